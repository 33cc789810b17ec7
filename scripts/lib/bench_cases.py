"""What a row of scripts/bench is: turns that are taken one after the other, again and again, and goals of medians.

A turn is a callable that measures once and gives at least commits_per_second, p50_ms and p99_ms.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field


class Unable(Exception):
    """This machine cannot run these rows, and what it lacks."""


@dataclass
class Case:
    name: str
    # What is measured, by who does it; Komora is "komora", the others are peers.
    turns: dict
    # At least so many times the commits per second of the best peer.
    ratio: float | None = None
    # At most so many times the best peer's 99th percentile.
    p99: float | None = None
    # {figure of Komora's: the greatest median that will do}
    most: dict = field(default_factory=dict)
    # What is done so many times a second.
    what: str = "commits"
    rows: dict = field(default_factory=dict)

    def median(self, who, figure):
        return statistics.median(row[figure] for row in self.rows[who])

    @property
    def best_peer(self):
        peers = [who for who in self.rows if who != "komora"]
        return max(peers, key=lambda who: self.median(who, "commits_per_second"), default=None)

    def line(self, who):
        """What the report says about one of them."""
        extra = "  ".join(
            f"{figure} {self.median(who, figure):.1f}"
            for figure in self.rows[who][0]
            if figure not in ("commits_per_second", "p50_ms", "p99_ms", "commits")
        )
        rate, p50, p99 = (self.median(who, figure) for figure in ("commits_per_second", "p50_ms", "p99_ms"))
        return f"{rate:10.{0 if rate >= 100 else 1}f} {p50:8.3f} {p99:8.3f}  {extra}"

    def verdicts(self):
        """(text, figure, goal, reached) for everything that has a goal, and the ratio in any case."""
        peer = self.best_peer
        if peer is not None:
            figure = self.median("komora", "commits_per_second") / self.median(peer, "commits_per_second")
            yield f"{self.what}/s against {peer}", figure, self.ratio, self.ratio is None or figure >= self.ratio
            if self.p99 is not None:
                figure = self.median("komora", "p99_ms") / self.median(peer, "p99_ms")
                yield f"p99 against {peer}", figure, self.p99, figure <= self.p99
        for name, goal in self.most.items():
            figure = self.median("komora", name)
            yield name, figure, goal, figure <= goal


def run(*command, text=None, **options):
    """A command's output; its failure ends the benchmark with what it said."""
    result = subprocess.run(list(map(str, command)), input=text or "", capture_output=True, text=True, **options)
    if result.returncode:
        said = (result.stderr or result.stdout).strip()[-2000:]
        sys.exit(f"bench: {' '.join(map(str, command))[:300]} ended with {result.returncode}: {said}")
    return result.stdout


def cpu_seconds(pid):
    """What a process and everything that it started have burnt so far."""
    total, pids = 0, [pid]
    with contextlib.suppress(FileNotFoundError):
        for one in pids:
            with open(f"/proc/{one}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children") as f:
                    pids += map(int, f.read().split())
    return total / os.sysconf("SC_CLK_TCK")


def probe(folder):
    """The median of 60 durable 4 KiB appends, in microseconds."""
    path, took = folder / "probe", []
    with open(path, "wb", buffering=0) as f:
        for _ in range(60):
            start = time.perf_counter()
            f.write(bytes(4096))
            os.fdatasync(f.fileno())
            took.append((time.perf_counter() - start) * 1e6)
    path.unlink()
    return round(statistics.median(took))


def measure(cases, repetitions, folder):
    """Everybody's turn in every repetition, in changing order, so that noise of the machine hits all alike."""
    for repetition in range(repetitions):
        load = os.getloadavg()[0]
        print(
            f"bench: repetition {repetition + 1} of {repetitions}, disk probe {probe(folder)} us, load {load:.1f}",
            flush=True,
        )
        for case in cases:
            turns = list(case.turns.items())
            for who, turn in turns if repetition % 2 == 0 else reversed(turns):
                case.rows.setdefault(who, []).append(turn())


def report(case):
    """Prints a case; gives the goals that were missed."""
    for who in case.turns:
        print(f"{case.name:44} {who:18} {case.line(who)}")
    missed = []
    for text, figure, goal, reached in case.verdicts():
        sign = "" if goal is None else f", goal {goal:g}: {'reached' if reached else 'MISSED'}"
        print(f"{case.name:44} {text}: {figure:.2f}{sign}")
        if not reached:
            missed.append(f"{case.name}: {text}")
    return missed
