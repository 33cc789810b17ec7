"""A checker's verdict: clients record what they ask and hear while faults hit a real cluster; checkers judge it.

Each run makes a cluster of its own in the lab's namespaces, and has a seed from which its plan of faults and its
clients' choices come. Its row of the table is written as soon as it is known. See scripts/verdict.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "histories")]
import faults  # noqa: E402
import history  # noqa: E402
import judge  # noqa: E402
import plan  # noqa: E402
import table  # noqa: E402
import workloads  # noqa: E402
from clocks import Clock  # noqa: E402
from cluster import Cluster  # noqa: E402
from history import Violation  # noqa: E402
from liar import LIES, StandInCluster  # noqa: E402
from network import Network, Place, Unable, places, require  # noqa: E402
from nodes import Failed  # noqa: E402
from volume import Volume, VolumeFailed, apart, built  # noqa: E402

CLIENT_NUMBER = 101
FINAL_SECONDS, VOTERS_SECONDS_MAX = 60, 60
PROBE_SECONDS = 20
SELF_TEST_SECONDS, SELF_TEST_FINAL = 12, 10


class Clients:
    """load.py, spoken to line by line."""

    def __init__(self, configuration, folder):
        path = Path(folder) / "load.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(configuration))
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-B", HERE / "load.py", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, what, **values):
        line = None
        with self.lock:
            try:
                self.process.stdin.write(json.dumps({"do": what} | values) + "\n")
                self.process.stdin.flush()
                line = self.process.stdout.readline()
            except BrokenPipeError:
                pass
        if not line:
            raise Failed(f"the clients ended with {self.process.wait()}: the history has holes")
        return json.loads(line)

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(5)
        except BrokenPipeError:
            self.process.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Lab:
    """What a fault may touch: the network, the cluster, and the history's time line. Safe from several threads."""

    def __init__(self, network, cluster, clients, path):
        # `clients` are the places that clients speak from.
        self.network, self.cluster, self.clients = network, cluster, clients
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.lock = threading.Lock()

    def write(self, **values):
        os.write(self.file, json.dumps(values).encode() + b"\n")

    def note(self, phase, what, **values):
        self.write(type="fault", at=time.monotonic_ns(), phase=phase, what=what, **values)

    def set(self, sources, targets, **condition):
        with self.lock:
            self.network.set(sources, targets, **condition)

    def calm(self, some, others):
        with self.lock:
            self.network.calm(some, others)


class Run:
    def __init__(self, options, seed, folder):
        self.options, self.seed, self.folder = options, seed, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "history.jsonl"
        self.troubles, self.active, self.threads, self.lock = [], {}, [], threading.Lock()
        self.spots = places(options.regions.split(","), options.nodes)
        regions = {p.region: p.region_number for p in self.spots}
        self.clients = [Place(CLIENT_NUMBER + n, region, number) for n, (region, number) in enumerate(regions.items())]

    # ------------------------------------------------------------------------------------------------ a run
    def go(self):
        """(violations, figures) of a whole run. What the lab itself could not do raises."""
        began = time.monotonic()
        with Network(self.spots + self.clients, far_ms=self.options.far_ms, seed=self.seed) as network:
            volumes, clocks = self.disks(), self.shims()
            cluster = self.made(volumes, clocks)
            try:
                cluster.make()
                accounts = [
                    cluster.account(f"v{n}-{p.region}", p.region, self.options.survive)
                    for n, p in enumerate(self.first_of_regions())
                ]
                self.wait_for_voters(cluster, [a["name"] for a in accounts])
                self.names = [a["name"] for a in accounts]
                self.say(f"ready after {time.monotonic() - began:.0f} s")
                load = Clients(self.configuration(cluster, accounts), self.folder)
                lab = Lab(network, cluster, self.clients, self.path)
                try:
                    self.drive(lab, load)
                finally:
                    load.close()
                found, row = self.judged({"respawned": cluster.respawned, "blocks": cluster.taken})
                if found and not self.options.stand_in:
                    cluster.keep_data()
                return found, row
            finally:
                cluster.close()

    def disks(self):
        if not self.options.disks:
            return None
        program = built(self.options.tools, "disk")
        return {p.name: Volume(self.folder / p.name / "volume", program, self.seed * 64 + p.number) for p in self.spots}

    def shims(self):
        library = built(self.options.tools, "clock.so", "-shared", "-fPIC", "-ldl")
        return {p.name: Clock(self.folder / p.name, library) for p in self.spots}

    def made(self, volumes, clocks):
        if self.options.stand_in:
            return StandInCluster(self.spots, self.folder, self.options.stand_in, volumes, clocks)
        return Cluster(self.spots, self.folder, self.options.binary, volumes, clocks)

    def first_of_regions(self):
        """One account at home in each region, so that every node has one to lose."""
        return list({p.region: p for p in reversed(self.spots)}.values())[::-1][: self.options.accounts]

    def wait_for_voters(self, cluster, accounts):
        """Until each account has its standbys: without them a run would test nothing but itself."""
        until = time.monotonic() + VOTERS_SECONDS_MAX
        wanted = min(3, len(self.spots)) - 1
        for account in accounts:
            while len(cluster.show(account).get("standbys") or ()) < wanted and not self.options.single:
                if time.monotonic() > until:
                    raise Failed(f"{account} has no {wanted} standbys after {VOTERS_SECONDS_MAX} s")
                time.sleep(0.5)

    def configuration(self, cluster, accounts):
        return {
            "seed": self.seed,
            "single": self.options.single,
            "history": str(self.path),
            "ca": cluster.authority(),
            "nodes": [cluster.description(p) for p in self.spots],
            "clients": [{"region": p.region, "namespace": p.namespace} for p in self.clients],
            "accounts": accounts,
            "writers": self.options.writers,
            "readers": self.options.writers,
            "writes_per_second": self.options.writes,
            "reads_per_second": self.options.writes * 0.7,
        }

    def drive(self, lab, load):
        """Schema, load, faults, healing, and the last reads."""
        planned = plan.plan(self.seed, self.options.seconds, len(self.names), self.options.faults, self.options.disks)
        lab.write(
            type="run", seed=self.seed, nodes=[p.name for p in self.spots], accounts=self.names, bank=workloads.START
        )
        if failed := load.ask("prepare", seconds=VOTERS_SECONDS_MAX)["failed"]:
            raise Failed(f"the tables could not be made: {failed}")
        load.ask("start")
        began = time.monotonic()
        for each in planned:
            time.sleep(max(0, began + each.at - time.monotonic()))
            self.strike(lab, load, each)
        time.sleep(max(0, began + self.options.seconds - time.monotonic()))
        for thread in self.threads:
            thread.join(self.options.seconds)
        lab.network.normal()
        try:
            lab.cluster.heal()
        except Failed as error:
            self.troubles.append(Violation("recovery", "-", f"unknown: {error}"))
        lab.note("begin of the end", "healed")
        time.sleep(1)
        load.ask("stop")
        left = load.ask("final", nodes=[p.name for p in self.spots], seconds=self.options.final_seconds)["failed"]
        for what in left[:10]:
            self.troubles.append(Violation("recovery", "-", f"unknown: not readable after all was healed: {what}"))

    # ------------------------------------------------------------------------------------------------ one fault
    def strike(self, lab, load, planned):
        """Chooses whom it hits, and leaves the rest to a thread of its own."""
        kind = faults.KINDS[planned.kind]
        dice = random.Random(planned.seed)
        account = self.names[planned.account]
        with self.lock:
            targets = self.targets(lab, load, kind, planned, account, dice)
            if not targets:
                lab.note("left out", planned.kind, why="those that it would hit are being hit already")
                return
            for name in targets:
                self.active[name] = planned.kind
        fault = kind(lab, targets, dice)
        thread = threading.Thread(target=self.whole, args=(lab, load, planned, fault, account, dice))
        self.threads.append(thread)
        thread.start()
        if not planned.aim:
            thread.join(0.2)

    def targets(self, lab, load, kind, planned, account, dice):
        free = [p.name for p in self.spots if p.name not in self.active]
        if not kind.single:
            return free if len(free) == len(self.spots) else []
        primary = load.ask("primaries")["primaries"].get(account)
        if planned.role == "primary":
            wanted = [name for name in free if name == primary]
        else:
            wanted = [name for name in free if planned.role == "any" or name != primary]
        return [dice.choice(wanted or free)] if wanted or free else []

    def whole(self, lab, load, planned, fault, account, dice):
        try:
            aimed, about = planned.aim if fault.single else None, fault.target
            if aimed == "hand-over" and dice.random() < 0.5:
                # The primary hands over while the fault hits whoever it was planned for: its successor, or a bystander.
                about = load.ask("primaries")["primaries"].get(account, about)
            action = faults.Action(lab, about, account, dice)
            if aimed:
                lab.note("action", aimed, target=about, account=account)
                action.begin(aimed)
                time.sleep(planned.after_action)
            load.ask("volley")
            time.sleep(planned.after_volley)
            target = ",".join(fault.targets)
            lab.note("begin", planned.kind, target=target, seconds=round(planned.seconds, 3), aim=aimed)
            try:
                fault.begin()
            finally:
                load.ask("struck")
            time.sleep(planned.seconds)
            fault.end()
            lab.note("end", planned.kind, target=target)
            if aimed:
                action.close(aimed)
            for name in fault.targets:
                load.ask("probe", node=name, seconds=PROBE_SECONDS)
        except Failed as error:
            self.troubles.append(Violation("recovery", "-", f"{planned.kind} of {fault.targets}: {error}"))
        except Exception:  # noqa: BLE001 - a fault that the lab could not do makes the run worthless; it must say so
            self.troubles.append(Violation("lab", "-", traceback.format_exc()))
        finally:
            with self.lock:
                for name in fault.targets:
                    self.active.pop(name, None)

    # ------------------------------------------------------------------------------------------------ the verdict
    def judged(self, of_cluster):
        told = history.read(self.path)
        found = self.troubles + judge.judge(told)
        row = {"seed": self.seed, "violations": len(found)} | of_cluster | judge.figures(told)
        kinds = {}
        for fault in told.faults:
            if fault.get("phase") == "begin":
                kinds[fault["what"]] = kinds.get(fault["what"], 0) + 1
        return found, row | {"kinds": kinds}

    def say(self, text):
        print(f"verdict: seed {self.seed}: {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/verdict", description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--regions", default="eu,us,ap")
    parser.add_argument("--accounts", type=int, default=3, help="at most one per region")
    parser.add_argument("--survive", default="node")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others follow")
    parser.add_argument("--far-ms", type=float, default=20, help="one way between regions")
    parser.add_argument("--writers", type=int, default=24)
    parser.add_argument("--writes", type=float, default=60, help="a second, all clients together")
    parser.add_argument("--faults", type=lambda text: text.split(","), help="these kinds alone, with commas")
    parser.add_argument("--no-disks", dest="disks", action="store_false", help="no volumes of its own, no disk faults")
    parser.add_argument("--single", action="store_true", help="accounts live on one node each, which alone answers")
    parser.add_argument("--final-seconds", type=float, default=FINAL_SECONDS, help="to read all when all is healed")
    parser.add_argument("--binary", help="the komora to run")
    parser.add_argument("--stand-in", choices=LIES, help="instead of Komora: tests the verdict itself")
    parser.add_argument("--self-test", action="store_true", help="every stand-in: the honest passes, each lie is seen")
    parser.add_argument("--table", help="writes the rows here, Markdown")
    parser.add_argument("--keep", help="keeps histories and logs here; those of runs with violations in any case")
    return parser.parse_args()


def check_machine(options):
    """Says what is missing before anything is made."""
    require()
    wanted = {"nsenter": "util-linux", "cc": "gcc"}
    if options.disks:
        wanted |= {"losetup": "mount", "mkfs.ext4": "e2fsprogs"}
        for device in ("/dev/fuse", "/dev/loop-control"):
            if not os.path.exists(device):
                raise Unable(f"{device} is missing: load its kernel module, or run with --no-disks")
    if not (options.stand_in or options.self_test):
        wanted["etcd"] = "etcd-server"
    for command, package in wanted.items():
        if shutil.which(command) is None:
            raise Unable(f"the command `{command}` is missing: install the package {package}")


def self_test(options, scratch):
    """The honest stand-in must stand its faults, and each lie must be called what it is."""
    missed, options.seconds, options.final_seconds = 0, SELF_TEST_SECONDS, SELF_TEST_FINAL
    for lie, (word, kinds) in LIES.items():
        options.stand_in, options.faults = lie, kinds
        run = Run(options, options.seed, scratch / lie)
        found, row = run.go()
        seen = bool(found) if word is None else not any(word in str(violation) for violation in found)
        missed += seen
        what = "nothing" if not found else f"{len(found)} violations, the first: {str(found[0]).splitlines()[0]}"
        print(f"{'MISS' if seen else 'ok  '} {lie}: {row['ok']} ok, {row['faults']} faults; {what}", flush=True)
    print(f"{len(LIES) - missed} stand-ins passed, {missed} failed")
    return 1 if missed else 0


def one(options, seed, scratch):
    """A row, whatever happens; the run's folder stays when there is something to look at."""
    folder = Path(scratch) / f"seed-{seed}"
    run = Run(options, seed, folder)
    try:
        found, row = run.go()
    except (Failed, VolumeFailed, subprocess.TimeoutExpired) as error:
        found = [*run.troubles, Violation("lab", "-", f"the run could not be made: {error}")]
        row = {"seed": seed, "violations": len(found), "kinds": {}}
    for violation in found:
        print(f"seed {seed}: {violation}", flush=True)
    (folder / "violations.txt").write_text("\n".join(map(str, found)))
    return row, folder


def main():
    options = arguments()
    # A polite end cleans up like any other.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    scratch = Path(options.keep or tempfile.mkdtemp(prefix="komora-verdict-"))
    scratch.mkdir(parents=True, exist_ok=True)
    options.tools = scratch
    try:
        check_machine(options)
        apart()
        if options.self_test:
            return self_test(options, scratch)
        rows = []
        print(table.HEAD, flush=True)
        for seed in range(options.seed, options.seed + options.runs):
            row, folder = one(options, seed, scratch)
            rows.append(row)
            print(table.line(row), flush=True)
            if options.table:
                Path(options.table).write_text(table.whole(rows, options))
            if not row["violations"] and not options.keep:
                shutil.rmtree(folder, ignore_errors=True)
    except (Unable, VolumeFailed) as error:
        print(f"verdict: {error}", file=sys.stderr)
        return 3
    bad = sum(bool(row["violations"]) for row in rows)
    print(table.total(rows))
    if bad:
        print(f"verdict: histories and logs of the runs with violations are in {scratch}")
    print(f"{len(rows) - bad} runs passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
