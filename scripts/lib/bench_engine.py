"""Rows of the engine in process, beside plain SQLite in C: WAL, synchronous=FULL (sqlite_peer.c)."""

import contextlib
import json
import re
import shutil

from bench_cases import Case, run

# name, number of komora-bench's row, writers, ways of the peer (the best counts), goal of the ratio
ROWS = [
    ("engine: 64 writers, 64 accounts", 0, 64, ["own"], 1.0),
    ("engine: 64 writers, 1 account", 1, 64, ["contended", "locked"], 4.0),
    ("engine: 8 writers, 8 accounts", 2, 8, ["own"], None),
    ("engine: 1 writer, 1 account", 3, 1, ["own"], None),
]
LOG_BYTES_MAX = 1536


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextlib.contextmanager
def cases(options, folder):
    peer = folder / "sqlite_peer"
    run("clang", "-O2", "-o", peer, "scripts/lib/sqlite_peer.c", "-lsqlite3", "-lpthread")

    def komora(row):
        place = fresh(folder / "work")
        said = run(
            *(options.bench, "--row", row, "--only", "engine", "--repetitions", 1),
            *("--seconds", options.seconds, "--dir", place),
        )
        number = r"([\d.]+)"
        found = re.search(rf"komora {number}/s p50 {number} p99 {number} ms, {number} log bytes a commit", said)
        if not found:
            raise SystemExit(f"bench: komora-bench says something else than this script reads: {said}")
        return dict(zip(("commits_per_second", "p50_ms", "p99_ms", "log_bytes"), map(float, found.groups())))

    def sqlite(way, writers):
        return json.loads(run(peer, fresh(folder / "work"), way, writers, options.seconds))

    yield [
        Case(
            name,
            {"komora": lambda row=row: komora(row)}
            | {f"SQLite {way}": lambda way=way, writers=writers: sqlite(way, writers) for way in ways},
            ratio=goal,
            most={"log_bytes": LOG_BYTES_MAX},
        )
        for name, row, writers, ways, goal in ROWS
    ]
    shutil.rmtree(folder / "work", ignore_errors=True)
