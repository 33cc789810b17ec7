"""A week's work of a backup beside restic and borg, on one account: its first snapshot, one of an unchanged account, one of
the next day, a restore, a proof that reads every byte, one recording, an export; and the memory of each.

The account is made of the demo's calls (scripts/demo-calls.py), the next day of further calls and changed rows. Komora's
owner waits for the import and until the snapshot is *stored*, which is what is timed here; the proof, which the others do
not have, runs behind it and is a row beside restic's `check --read-data`. All of them encrypt. Each row's turns share
what the rows before them left.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import sqlite3
import ssl
import sys
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench_calls import from_voices
from bench_cases import Case, Unable, run
from bench_nodes import Cluster, pipeline
from bench_space import PACKAGES, PASSPHRASE, fresh, total

# The calls of six days and of the seventh; with `rows` of the demo's tables about one GiB in all.
CALLS, NEXT_DAY, ROWS = 1250, 180, 60_000
# Recordings that one turn of the row about single ones reads.
SINGLE = 20
# Clients that commit to another account of the node meanwhile.
NEIGHBOURS = 8
CHANGES = (
    "CREATE TABLE IF NOT EXISTS bench_day (id INTEGER PRIMARY KEY, v TEXT)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) "
    "INSERT INTO bench_day (v) SELECT hex(randomblob(400)) FROM n",
    "UPDATE bench_day SET v = hex(randomblob(400)) WHERE id % 7 = 0",
)


@dataclass
class Timed(Case):
    """A row of seconds: `goals` are the greatest parts of each peer's, `most` the most that Komora may take or add."""

    goals: dict | None = None

    def line(self, who):
        extra = "  ".join(f"{k} {self.median(who, k):.3g}" for k in self.rows[who][0] if k not in ("seconds",))
        return f"{self.median(who, 'seconds'):10.3f} s  {extra}"

    def verdicts(self):
        for (peer, what), goal in (self.goals or {}).items():
            figure = self.median("komora", what) / self.median(peer, what)
            yield f"{what} against {peer}", figure, goal, figure <= goal
        for what, goal in self.most.items():
            figure = self.median("komora", what)
            yield what, figure, goal, figure <= goal


def timed(*command, output=None, **options):
    """A row of a command: how long it took, and the bytes that it added to the folder `output`."""
    before = total(output) if output else 0
    began = time.monotonic()
    run(*command, **options)
    row = {"seconds": time.monotonic() - began}
    return row | ({"added_mb": (total(output) - before) / 1e6} if output else {})


class Files:
    """The account as plain files: `live`, and what the next day adds to it. `size` is in GiB, 1 for the usual one."""

    def __init__(self, folder, size=1.0):
        self.folder, self.live, self.later = folder, folder / "live", folder / "later"
        calls = int(CALLS * size)
        from_voices(self.live, calls + NEXT_DAY, int(ROWS * size))
        (self.live / "manifest.json").unlink()
        self.database = self.live / "account.sqlite"
        self.first_day = folder / "first-day.sqlite"
        shutil.copy(self.database, self.first_day)
        files = sorted(p for p in (self.live / "recordings").rglob("*") if p.is_file())
        self.new = [path.relative_to(self.live) for path in files[calls:]]
        self.keys = [str(path.relative_to(self.live / "recordings")) for path in files[:calls]]
        self.move(self.live, self.later)

    def move(self, source, target):
        for path in self.new:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).rename(target / path)

    def next_day(self):
        self.move(self.later, self.live)
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            for statement in CHANGES:
                connection.execute(statement)

    def first_day_again(self):
        self.move(self.live, self.later)
        shutil.copy(self.first_day, self.database)


class Peer:
    def __init__(self, name, files):
        self.name, self.files, self.place = name, files, files.folder / name
        self.out = files.folder / f"{name}-out"
        self.environment = os.environ | {
            "RESTIC_PASSWORD": PASSPHRASE, "RESTIC_REPOSITORY": str(self.place), "BORG_PASSPHRASE": PASSPHRASE,
            "BORG_BASE_DIR": str(files.folder / "borg-own"),
        }  # fmt: skip
        self.names = itertools.count(1)

    def snapshot(self):
        if self.name == "restic":
            command = ["restic", "--quiet", "--no-cache", "backup", self.files.live]
        else:
            command = ["borg", "create", "--compression", "zstd,3", f"{self.place}::{next(self.names)}", self.files.live]
        return timed(*command, output=self.place, env=self.environment)

    def first(self):
        fresh(self.place)
        if self.name == "restic":
            run("restic", "--quiet", "--no-cache", "init", env=self.environment)
        else:
            run("borg", "init", "--encryption", "repokey-blake2", self.place, env=self.environment)
        return self.snapshot()

    def next_day(self):
        self.files.next_day()
        try:
            return self.snapshot()
        finally:
            self.files.first_day_again()

    def restore(self):
        fresh(self.out)
        if self.name == "restic":
            row = timed("restic", "--quiet", "--no-cache", "restore", "latest", "--target", self.out, env=self.environment)
        else:
            newest = f"{self.place}::{next(self.names) - 1}"
            row = timed("borg", "extract", newest, env=self.environment, cwd=self.out)
        shutil.rmtree(self.out)
        return row

    def verify(self):
        if self.name == "restic":
            return timed("restic", "--quiet", "--no-cache", "check", "--read-data", env=self.environment)
        return timed("borg", "check", "--verify-data", self.place, env=self.environment)


    def one(self):
        """The median of single files out of the newest snapshot."""
        took = []
        for key in random.sample(self.files.keys, SINGLE):
            began = time.monotonic()
            path = self.files.live / "recordings" / key
            command = ["restic", "--quiet", "--no-cache", "dump", "latest", path]
            process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE)
            process.stdout.read(1)
            took.append(time.monotonic() - began)
            process.stdout.read()
            if process.wait() != 0:
                sys.exit(f"bench: restic did not give {path}")
        return {"seconds": sorted(took)[SINGLE // 2]}


class Memory:
    """What the process `pid` has in memory beyond what it had before, at its most."""

    def __init__(self, pid):
        self.pid, self.idle, self.most, self.ended = pid, self.resident(pid), 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    @staticmethod
    def resident(pid, line_name="VmRSS:"):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(line_name):
                return int(line.split()[1]) / 1024
        return 0.0

    def watch(self):
        while not self.ended.wait(0.01):
            self.most = max(self.most, self.resident(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    @property
    def above_idle_mib(self):
        return max(0.0, self.most - self.idle)


class Pipeline:
    """tar, zstd and age: what one would write by hand."""

    def __init__(self, files):
        self.files, self.out = files, files.folder / "tar.zst.age"
        self.identity = files.folder / "identity"
        run("age-keygen", "-o", self.identity)
        self.recipient = run("age-keygen", "-y", self.identity).strip()

    def export(self):
        """Of the account as Komora has it by now: with the next day."""
        self.out.unlink(missing_ok=True)
        self.files.next_day()
        try:
            began = time.monotonic()
            packed = f"tar -C {self.files.live} -cf - . | zstd -q -3 -T1 | age -r {self.recipient} -o {self.out}"
            run("bash", "-o", "pipefail", "-c", f"{packed} && sync {self.out}")
            return {"seconds": time.monotonic() - began, "mb": self.out.stat().st_size / 1e6}
        finally:
            self.files.first_day_again()


class Komora:
    """Each repetition is an account of its own, on one node."""

    def __init__(self, nodes, files):
        self.nodes, self.files, self.numbers, self.name = nodes, files, itertools.count(1), None
        self.archive, self.out = nodes.data / "node1/archive", files.folder / "komora-out"

    def snapshot(self):
        before = total(self.archive)
        said = self.nodes.komora("snapshot", "create", "--account", self.name, "--json")
        # Lines of progress come before it.
        shown = json.loads(said.splitlines()[-1])
        return {
            "seconds": float(shown["stored_seconds"]), "added_mb": (total(self.archive) - before) / 1e6,
            "proven_seconds": float(shown["proven_seconds"]),
        }  # fmt: skip

    def import_files(self, recordings, database=None):
        began = time.monotonic()
        given = ["--recordings", recordings, *(["--database", database] if database else [])]
        self.nodes.komora("import", "--account", self.name, *given)
        return time.monotonic() - began

    def first(self):
        self.name = f"backup-{next(self.numbers)}"
        self.nodes.komora("account", "create", self.name)
        seconds = self.import_files(self.files.live / "recordings", self.files.database)
        row = self.snapshot()
        return row | {"snapshot_seconds": row["seconds"], "seconds": seconds + row["seconds"]}

    def next_day(self):
        self.import_files(self.files.later / "recordings")
        for statement in CHANGES:
            self.ask(pipeline(statement))
        return self.snapshot()

    def ask(self, body):
        nodes = self.nodes
        request = urllib.request.Request(
            f"https://127.0.0.1:{nodes.port}/db/{self.name}/v2/pipeline", data=body.encode(),
            headers={"Authorization": f"Bearer {nodes.token.read_text().strip()}", "Content-Type": "application/json"},
        )  # fmt: skip
        authority = ssl.create_default_context(cafile=nodes.data / "ca/ca.pem")
        with urllib.request.urlopen(request, context=authority) as reply:
            results = json.load(reply)["results"]
        if any(result["type"] != "ok" for result in results):
            sys.exit(f"bench: a statement of the next day failed: {results}")

    def restore(self):
        return timed(
            *(self.nodes.options.komora, "restore", "--account", self.name, "--latest", "--as", f"{self.name}-again"),
            env=self.nodes.environment,
        )

    def restore_files(self):
        shutil.rmtree(self.out, ignore_errors=True)
        recovery, secret = self.files.folder / "recovery", self.files.folder / "secret"
        secret.write_text(f"{PASSPHRASE} for a recovery file\n")
        recovery.unlink(missing_ok=True)
        secret.chmod(0o600)
        self.nodes.komora(
            *("key", "recovery", "--account", self.name, "--passphrase-file", secret, "--out", recovery)
        )
        shown = json.loads(self.nodes.komora("account", "show", self.name, "--json"))
        row = timed(
            *(self.nodes.options.komora, "restore", "--offline", "--archive", self.archive / shown["id"]),
            *("--recovery", recovery, "--passphrase-file", secret, "--out", self.out, "--yes"), env=self.nodes.environment,
        )  # fmt: skip
        shutil.rmtree(self.out)
        return row

    def verify(self):
        return timed(
            self.nodes.options.komora, "snapshot", "verify", "--account", self.name,
            env=self.nodes.environment,
        )  # fmt: skip

    def request(self, path, connection):
        token = self.nodes.token.read_text().strip()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse()

    def one(self):
        """The median of single recordings out of the newest snapshot, until the first byte is there."""
        listed = json.loads(self.nodes.komora("snapshot", "list", "--account", self.name, "--json"))
        newest = listed["snapshots"][-1]["id"]
        authority = ssl.create_default_context(cafile=self.nodes.data / "ca/ca.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", self.nodes.port, context=authority)
        took, whole = [], []
        for key in random.sample(self.files.keys, SINGLE + 1):
            began = time.monotonic()
            path = f"/v1/accounts/{self.name}/snapshots/{newest}/recordings/{urllib.parse.quote(key, safe='')}"
            reply = self.request(path, connection)
            if reply.status != 200:
                sys.exit(f"bench: {path} answered {reply.status}: {reply.read()[:200]}")
            reply.read(1)
            took.append(time.monotonic() - began)
            bytes_read = 1 + len(reply.read())
            whole.append(time.monotonic() - began)
            if bytes_read != (self.files.live / "recordings" / key).stat().st_size:
                sys.exit(f"bench: {key} came with {bytes_read} bytes")
        connection.close()
        # The first one opens the snapshot.
        took, whole = sorted(took[1:]), sorted(whole[1:])
        return {"seconds": took[SINGLE // 2], "whole_ms": whole[SINGLE // 2] * 1e3, "worst_ms": took[-1] * 1e3}

    def export(self, pipeline, *more):
        began = time.monotonic()
        command = ["export", "create", "--account", self.name, "--recipient", pipeline.recipient, *more, "--json"]
        shown = json.loads(self.nodes.komora(*command).splitlines()[-1])
        return {"seconds": time.monotonic() - began, "mb": int(shown["bytes"]) / 1e6}

    def memory(self, pipeline):
        """MiB beyond idle of a snapshot, a restore and an export, each in a node that has just been started and serves the
        account: what a process has had once it keeps in part, and that would hide what the next one takes."""
        row = {"seconds": 0.0, "node_peak_mib": 0.0}
        work = {"snapshot": self.snapshot, "restore": self.restore_memory, "export": lambda: self.export(pipeline)}
        for what, step in work.items():
            pid = self.fresh_node()
            with Memory(pid) as memory:
                step()
            row[f"{what}_mib"] = memory.above_idle_mib
            row["node_peak_mib"] = max(row["node_peak_mib"], Memory.resident(pid, "VmHWM:"))
        return row

    def fresh_node(self):
        self.nodes.restart()
        self.ask(pipeline("SELECT 1"))
        return int((self.nodes.data / "node1/komora.pid").read_text())

    def restore_memory(self):
        self.nodes.komora("restore", "--account", self.name, "--latest", "--as", f"{self.name}-memory{next(self.numbers)}")

    def commits_beside(self):
        """The 99th percentile of another account's commits beside snapshots and their proofs, in parts of that without."""
        alone = self.nodes.public("neighbour", NEIGHBOURS)
        ended = threading.Event()

        def snapshots():
            while not ended.is_set():
                self.snapshot()

        thread = threading.Thread(target=snapshots)
        thread.start()
        beside = self.nodes.public("neighbour", NEIGHBOURS)
        ended.set()
        thread.join()
        ratio = {"p99_ratio": beside["p99_ms"] / alone["p99_ms"], "p99_ms": beside["p99_ms"], "alone_ms": alone["p99_ms"]}
        return {"seconds": 0.0} | ratio


@contextlib.contextmanager
def cases(options, folder):
    wanted = {"borg": PACKAGES["borg"], "restic": PACKAGES["restic"], "age": "age", "zstd": "zstd"}
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    if missing:
        raise Unable(f"programs are missing: install {' '.join(missing)}")
    folder.mkdir(parents=True)
    files = Files(folder, options.size_gib)
    print(f"bench: the account is {total(files.live) / 2**20:.0f} MiB of files", flush=True)
    with Cluster(options, folder / "komora", 1) as nodes:
        nodes.accounts("neighbour")
        komora, restic, borg = Komora(nodes, files), Peer("restic", files), Peer("borg", files)
        pipeline = Pipeline(files)

        def row(what, step, **more):
            turns = {"komora": getattr(komora, step), "restic": getattr(restic, step), "borg": getattr(borg, step)}
            return Timed(f"backup: {what}", turns, **more)

        def unchanged():
            # The first of a process reads the archive's lists and lists of chunks; a node takes one every day.
            return komora.snapshot()

        yield [
            row("first, import and stored", "first", goals={("restic", "seconds"): 0.6, ("borg", "seconds"): 0.6}),
            Timed(
                "backup: unchanged",
                {"komora": unchanged, "restic": restic.snapshot, "borg": borg.snapshot}, most={"seconds": 0.05},
            ),
            row(
                "next day", "next_day", goals={("borg", "seconds"): 0.3, ("borg", "added_mb"): 0.7},
            ),
            row("restore", "restore", goals={("restic", "seconds"): 0.4}),
            Timed(
                "backup: restore to plain files", {"komora": komora.restore_files, "restic": restic.restore},
                goals={("restic", "seconds"): 1.0},
            ),
            row("verify every byte", "verify", goals={("restic", "seconds"): 0.35}),
            Timed(
                "backup: one recording, first byte", {"komora": komora.one, "restic": restic.one},
                most={"seconds": 0.005},
            ),
            Timed(
                "backup: export, encrypted", {"komora": lambda: komora.export(pipeline), "tar": pipeline.export},
                goals={("tar", "seconds"): 0.7, ("tar", "mb"): 1.03},
            ),
            Timed(
                "backup: export, audio as FLAC",
                {"komora": lambda: komora.export(pipeline, "--audio", "flac"), "tar": pipeline.export},
                goals={("tar", "mb"): 0.85},
            ),
            Timed(
                "backup: memory above idle", {"komora": lambda: komora.memory(pipeline)},
                most={"snapshot_mib": 64, "restore_mib": 64, "export_mib": 64},
            ),
            Timed(
                "backup: a neighbour's commits beside it", {"komora": komora.commits_beside}, most={"p99_ratio": 1.3},
            ),
        ]  # fmt: skip
    shutil.rmtree(folder)
