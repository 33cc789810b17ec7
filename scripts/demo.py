#!/usr/bin/env python3
"""The demo: a business account from its first call to its restore, every row and byte compared. See scripts/demo.

Three nodes in three regions are started; an account is made and filled with calls and rows over the public surfaces,
and in the middle of that the node that leads it is killed. Nothing that was acknowledged may be missing, on the others
and on the killed one when it is back. Then the account is snapshotted, changed, and its directory destroyed on every
node. What the snapshot held must come back whole, twice: as a new account of the running nodes, and as plain files made
from an archive and a recovery file alone. What is compared comes from outside (SQL, S3, files).
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
from client import Refused, row_bytes  # noqa: E402
from dev_cluster import DevCluster, Failed  # noqa: E402
from live_load import LiveLoad  # noqa: E402

ACCOUNT, RESTORED = "nova-voice", "nova-voice-back"
REGIONS = ("eu", "us", "ap")
PAGE_ROWS = 1000
PATIENCE = {"Komora-Deadline": "5s"}


# ------------------------------------------------------------------------------------------------ what an account holds
class Content:
    """Everything of an account that can be compared: schema, a digest per row, a digest per recording."""

    def __init__(self):
        self.schema, self.rows, self.recordings = {}, {}, {}

    def read_rows(self, query):
        for kind, name, sql in query(
            "select type, name, sql from sqlite_schema where sql is not null and name not like "
            "'sqlite~_%' escape '~' and name not like 'komora~_%' escape '~' order by name"
        ):
            self.schema[name] = f"{kind} {sql}"
            if kind == "table":
                self.read_table(query, name)
        return self

    def read_table(self, query, name):
        after = -1
        while True:
            rows = query(f'select rowid, * from "{name}" where rowid > ? order by rowid limit {PAGE_ROWS}', after)
            for row in rows:
                self.rows[name, row[0]] = hashlib.sha256(row_bytes(row[1:])).digest()
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1][0]

    def read_bucket(self, s3):
        for key, size in s3.list():
            data = s3.get(key)
            if len(data) != size:
                raise Failed(f"{key}: listed with {size} bytes, served with {len(data)}")
            self.recordings[key] = hashlib.sha256(data).hexdigest()
        return self

    def read_files(self, folder):
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                self.recordings[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self

    def differences(self, other):
        """In words, what `other` has otherwise."""
        found = []
        for what, mine, theirs in (
            ("schema", self.schema, other.schema),
            ("row", self.rows, other.rows),
            ("recording", self.recordings, other.recordings),
        ):
            missing, more = mine.keys() - theirs.keys(), theirs.keys() - mine.keys()
            other_value = [k for k in mine.keys() & theirs.keys() if mine[k] != theirs[k]]
            for word, keys in (("missing", missing), ("too many", more), ("different", other_value)):
                if keys:
                    found.append(f"{len(keys)} of {what} {word}, such as {sorted(map(str, keys))[0]}")
        return found

    def without(self, table):
        """All but one table, and recordings below a folder of that name."""
        rest = Content()
        rest.schema = {name: sql for name, sql in self.schema.items() if name != table}
        rest.rows = {place: digest for place, digest in self.rows.items() if place[0] != table}
        rest.recordings = {k: digest for k, digest in self.recordings.items() if not k.startswith(f"{table}/")}
        return rest

    def __str__(self):
        return (
            f"{len(self.rows):,} rows of {sum(s.startswith('table') for s in self.schema.values())} tables, "
            f"{len(self.recordings):,} recordings"
        )


def file_content(database, recordings):
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    with contextlib.closing(db):
        content = Content().read_rows(lambda sql, *values: db.execute(sql, values).fetchall())
    return content.read_files(recordings)


def node_content(sql, s3):
    return Content().read_rows(sql.query).read_bucket(s3)


# ------------------------------------------------------------------------------------------------ the story
class Demo:
    def __init__(self, options):
        self.options, self.folder = options, Path(options.out).resolve()
        self.number, self.began = 0, time.monotonic()
        self.cluster = None

    @contextlib.contextmanager
    def step(self, title):
        """Says what is done, then how long it took and what came of it (`said`)."""
        self.number += 1
        print(f"{self.number:2}. {title}", flush=True)
        start, said = time.monotonic(), []
        yield said.append
        for line in said:
            print(f"      {line}")
        print(f"      {time.monotonic() - start:.2f} s", flush=True)

    def run(self):
        self.prepare()
        self.fill()
        self.come_back()
        self.snapshot()
        self.change()
        self.lose_one_directory()
        self.destroy()
        self.restore()
        self.restore_offline()

    def prepare(self):
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        with self.step(f"cut {self.options.calls} calls from voice prompts and hold music, and make the rows") as said:
            made = subprocess.run(
                [
                    sys.executable,
                    Path(__file__).with_name("demo-calls.py"),
                    "--out",
                    self.folder / "business",
                    "--calls",
                    str(self.options.calls),
                    "--rows",
                    str(self.options.rows),
                    "--seed",
                    str(self.options.seed),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if made.returncode:
                raise Failed(made.stderr.strip())
            for line in made.stdout.strip().splitlines():
                said(line)
        with self.step(f"start three nodes: komora dev --nodes 3 --regions {','.join(REGIONS)}") as said:
            self.cluster = DevCluster(self.options.binary, self.folder / "nodes", REGIONS)
            self.cluster.start()
            for name, region in zip(self.cluster.names, REGIONS):
                said(f"{name} in {region}: API {self.cluster.url(name)}, S3 {self.cluster.s3_url(name)}")
        with self.step(f"make the account {ACCOUNT}, with a key for SQL and one for S3") as said:
            account = self.cluster.json("account", "create", ACCOUNT, "--survive", "region")
            self.id = account["id"]
            self.key = self.cluster.key(ACCOUNT)
            said(f"id {self.id}, survives the loss of a {account['survives']}")
            said(f"{account['primary']} leads it, {' and '.join(account['standbys'])} stand by")
            if account["survives"] != "region":
                raise Failed(f"the account survives: {account['survives']}")

    def sql(self, node="node1", headers=()):
        return self.cluster.sql(node, ACCOUNT, self.key, headers)

    def s3(self, node="node1"):
        return self.cluster.s3(node, ACCOUNT, self.key)

    # ---------------------------------------------------------------------------------------- load, and a death in it
    def fill(self):
        business, cluster = self.folder / "business", self.cluster
        leader = cluster.json("account", "show", ACCOUNT)["primary"]
        load = LiveLoad(cluster, ACCOUNT, self.key).prepare(self.sql())
        killed = []
        with self.step(
            f"import the database and the recordings, while six programs write through all nodes; kill -9 {leader}, "
            "which leads the account, in the middle of it"
        ) as said:
            load.start()
            try:
                self.import_while(business, lambda: killed or killed.append(self.kill(leader, load)))
                if not killed:
                    raise Failed("the import ended before a node was killed")
                cluster.wait(f"{leader} is started again", 30, lambda: cluster.pid(leader))
                time.sleep(2)
            finally:
                load.stop()
            when = killed[0]
            before = sum(t <= when for _, t, _ in load.acknowledged)
            said(
                f"acknowledged: {len(load.rows):,} rows and {len(load.recordings):,} recordings of the programs, "
                f"{len(load.acknowledged) - before:,} of them after the kill"
            )
            gap, at = load.gaps(when - 1)[0]
            said(f"longest time without an acknowledgement: {gap:.2f} s, {at - when:+.2f} s from the kill")
            for what, count in load.failures.most_common(5):
                said(f"not acknowledged: {count} x {what}")
            said(f"{cluster.json('account', 'show', ACCOUNT)['primary']} leads the account now")
        with self.step("read everything back over SQL and S3 through another node, compare it with the files") as said:
            self.imported = file_content(business / "account.sqlite", business / "recordings")
            found = node_content(self.sql("node3"), self.s3("node3"))
            rows = dict(self.sql("node3").query("select n, said from live"))
            live = {key: digest for key, digest in found.recordings.items() if key.startswith("live/")}
            if lost := load.lost(rows, live):
                raise Failed(f"{len(lost)} acknowledged things are lost, such as {lost[0]}")
            said(f"no acknowledged row or recording of the programs is missing ({len(rows):,} and {len(live):,} are there)")
            self.compare(self.imported, found.without("live"), said)
            self.original = found
        if len(self.imported.recordings) < self.options.calls or len(self.imported.rows) < self.options.rows:
            raise Failed(f"the account is too small: {self.imported}")

    def import_while(self, business, in_the_middle):
        """Runs the import, and `in_the_middle` once when it has sent a third of the recordings."""
        command = [self.options.binary, "import", "--account", ACCOUNT, "--json"]
        command += ["--database", business / "account.sqlite", "--recordings", business / "recordings"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.cluster.environment,
        )
        said = []
        for line in process.stdout:
            said.append(line.strip())
            with contextlib.suppress(ValueError):
                news = json.loads(line)
                if news.get("work") == "recordings" and news.get("progress", 0) > 1 / 3:
                    in_the_middle()
        if process.wait():
            raise Failed(f"komora import ended with {process.returncode}: {said[-1] if said else ''}")

    def kill(self, node, load):
        when = time.monotonic()
        self.cluster.kill(node)
        return when

    def come_back(self):
        cluster = self.cluster
        with self.step("the killed node is back: wait until its own replica has everything, and compare that") as said:
            position = cluster.json("account", "show", ACCOUNT)["position"]
            leader = cluster.json("account", "show", ACCOUNT)["primary"]
            own = {"Komora-At-Least": position, "Komora-Staleness": "60s"}
            for name in [n for n in cluster.names if n != leader]:
                sql = self.sql(name, own)

                def answers():
                    sql.query("select 1")
                    return sql.replied.get("Komora-Node") == name

                cluster.wait(f"{name} answers from its own replica", 30, answers)
                content = Content().read_rows(sql.query)
                if sql.replied.get("Komora-Node") != name:
                    raise Failed(f"{name} passed the question on to {sql.replied.get('Komora-Node')}")
                content.recordings = self.original.recordings
                self.compare(self.original, content, lambda line: said(f"{name}, from its own replica: rows {line}"))

    def compare(self, expected, got, said):
        if differences := expected.differences(got):
            raise Failed("not equal: " + "; ".join(differences))
        said(f"equal: {got}")

    # ---------------------------------------------------------------------------------------- snapshot, change, loss
    def places(self, node=None):
        """The account's directories below the nodes', without archives."""
        root = self.cluster.data / node if node else self.cluster.data
        found = [p for p in root.rglob(self.id) if p.is_dir()]
        return [p for p in found if "archive" not in p.relative_to(self.cluster.data).parts]

    def snapshot(self):
        with self.step("snapshot the account") as said:
            self.cluster.komora("snapshot", "create", "--account", ACCOUNT)
            newest = self.cluster.json("snapshot", "list", "--account", ACCOUNT)["snapshots"][-1]
            self.snapshot_id, self.position, self.holder = newest["id"], newest["position"], newest["node"]
            said(f"{self.snapshot_id}: {newest['state']}, position {self.position}, {newest.get('bytes', 0):,} bytes")
            said(f"it lies in the archive of {self.holder}")
            if newest["state"] != "proven":
                raise Failed(f"the snapshot is {newest['state']}, not proven")
        with self.step("write the account's recovery file, under a passphrase") as said:
            self.passphrase, self.recovery = self.folder / "passphrase", self.folder / "recovery"
            self.passphrase.touch(mode=0o600)
            self.passphrase.write_text(f"{random.SystemRandom().getrandbits(160):040x}\n")
            self.cluster.komora(
                "key", "recovery", "--account", ACCOUNT, "--passphrase-file", self.passphrase, "--out", self.recovery
            )
            said(str(self.recovery))

    def change(self):
        draw, keys = random.Random(self.options.seed), sorted(self.imported.recordings)
        sql, s3 = self.sql("node2"), self.s3("node3")
        with self.step("go on working: new, changed and deleted rows; new, overwritten and deleted recordings") as said:
            chosen = draw.sample(keys, 40)
            for n in range(200):
                sql.run(
                    (
                        "insert into calls (uuid, started_at, direction, status, cdr) values (?, ?, 'in', 'missed', ?)",
                        f"{draw.getrandbits(128):032x}",
                        1773014400 + n,
                        json.dumps({"after": "the snapshot", "n": n}),
                    )
                )
            sql.run(
                ("begin",),
                ("update settings set value = 'changed' where rowid % 3 = 0",),
                ("delete from calls where id % 50 = 0",),
                ("drop index calls_user",),
                ("commit",),
            )
            for key in chosen[:20]:
                s3.delete(key)
            for key in chosen[20:]:
                s3.put(key, draw.randbytes(draw.randrange(1, 200_000)))
            s3.put("2026/03/09/after-the-snapshot.wav", draw.randbytes(100_000))
            self.changed = node_content(self.sql(), self.s3())
            for line in self.original.differences(self.changed):
                said(line)
            if not self.changed.differences(self.original):
                raise Failed("nothing changed, so the restore would show nothing")

    def lose_one_directory(self):
        cluster = self.cluster
        leader = cluster.json("account", "show", ACCOUNT)["primary"]
        with self.step(f"kill {leader}, which leads the account, and destroy the account's directory there") as said:
            cluster.kill(leader)
            for place in self.places(leader):
                shutil.rmtree(place)
                said(f"rm -rf {place}")
            other = next(name for name in cluster.names if name != leader)
            self.compare(self.changed, node_content(self.sql(other), self.s3(other)), said)
        with self.step(f"{leader} comes back and builds its replica anew, from the others") as said:
            own = {"Komora-At-Least": cluster.json("account", "show", ACCOUNT)["position"], "Komora-Staleness": "60s"}
            cluster.wait(f"{leader} is started again", 30, lambda: cluster.pid(leader))

            def answers():
                sql = self.sql(leader, own)
                rows = sql.query("select count(*) from calls")
                return sql.replied.get("Komora-Node") == leader and rows

            said(f"{leader}, from its own replica: {cluster.wait('an answer of its own', 60, answers)[0][0]:,} calls")

    def destroy(self):
        with self.step("stop the nodes and destroy the account's directory on all of them") as said:
            self.cluster.stop()
            for place in self.places():
                gone = sum(p.stat().st_size for p in place.rglob("*") if p.is_file())
                shutil.rmtree(place)
                said(f"rm -rf {place} ({gone:,} bytes)")
        with self.step("start them again: the loss must be noticed and said") as said:
            self.cluster.start()
            try:
                rows = self.sql(headers=PATIENCE).query("select count(*) from calls")
                raise Failed(f"the destroyed account answers, with {rows}")
            except Refused as refusal:
                said(f"SQL says: {str(refusal).strip()[:300]}")
            shown = self.cluster.json("account", "show", ACCOUNT)
            said(f"komora account show: primary {shown.get('primary') or '-'}, position {shown.get('position') or '-'}")
            if shown.get("primary"):
                raise Failed(f"{shown['primary']} leads an account that is gone")

    # ---------------------------------------------------------------------------------------- restore
    def restore(self):
        asked = next(name for name in self.cluster.names if name != self.holder)
        with self.step(f"restore the snapshot as the account {RESTORED}: asked of {asked}, done by {self.holder}") as said:
            self.cluster.komora(
                "restore", "--account", ACCOUNT, "--snapshot", self.snapshot_id, "--as", RESTORED,
                "--url", self.cluster.url(asked),
            )
            account = self.cluster.json("account", "show", RESTORED)
            said(f"{account['primary']} leads it, survives the loss of a {account['survives']}")
            if account["survives"] != "region":
                raise Failed(f"the restored account survives: {account['survives']}")
        with self.step("compare every row and every byte over SQL and S3") as said:
            key = self.cluster.key(RESTORED)
            sql, s3 = self.cluster.sql("node3", RESTORED, key), self.cluster.s3("node3", RESTORED, key)
            self.compare(self.original, node_content(sql, s3), said)
            if (check := sql.query("pragma integrity_check")) != [("ok",)]:
                raise Failed(f"integrity_check: {check}")
            sql.run(("insert into settings values ('alive', 'yes', 1)",))
            s3.put("alive", b"yes")
            said("integrity_check ok; it takes writes")

    def restore_offline(self):
        with self.step("stop the nodes as Ctrl-C does"):
            self.cluster.stop()
        copy, out = self.folder / "archive-copy", self.folder / "offline"
        with self.step("copy the archive with ordinary tools, verify every file of the copy") as said:
            shutil.copytree(self.cluster.data / self.holder / "archive" / self.id, copy)
            opened = ["--recovery", self.recovery, "--passphrase-file", self.passphrase]
            said(self.cluster.komora("verify", copy, *opened)[1].strip().splitlines()[-1])
        with self.step("restore offline, from the copy and the recovery file alone, without a node") as said:
            bare = [
                self.options.binary,
                "restore",
                "--offline",
                "--archive",
                copy,
                "--recovery",
                self.recovery,
                "--passphrase-file",
                self.passphrase,
                "--expect",
                self.position,
                "--out",
                out,
            ]
            result = subprocess.run(
                bare,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env={"HOME": str(self.folder), "PATH": os.environ["PATH"]},
            )
            if result.returncode:
                raise Failed(f"{' '.join(map(str, bare))}: {(result.stderr or result.stdout).strip()[-2000:]}")
        with self.step("compare every row (with Debian's sqlite3) and every byte") as said:
            self.compare(self.original, file_content(out / "account.sqlite", out / "recordings"), said)
            check = subprocess.run(
                ["sqlite3", out / "account.sqlite", "pragma integrity_check"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if check.stdout.strip() != "ok":
                raise Failed(f"integrity_check: {check.stdout or check.stderr}")
            said("integrity_check ok")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=os.path.abspath, help="the komora program")
    parser.add_argument("--out", required=True, help="directory of the demo; what is there is removed first")
    parser.add_argument("--calls", type=int, default=220)
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.calls < 50:
        parser.error("--calls: at least 50")
    demo, problem = Demo(options), None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo.run()
    except (Failed, Refused, OSError, subprocess.SubprocessError, sqlite3.Error, KeyError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    finally:
        with contextlib.suppress(Failed):
            if demo.cluster:
                demo.cluster.stop()
    print(f"\nfiles: {demo.folder}    nodes' words: {demo.folder / 'nodes' / 'nodes.log'}")
    if problem:
        print(f"\nDEMO FAILED in step {demo.number} after {time.monotonic() - demo.began:.1f} s: {problem}")
        return 1
    print(
        f"\nDEMO PASSED in {time.monotonic() - demo.began:.1f} s: "
        "nothing acknowledged was lost with the node, and the account came back twice, equal in every row and byte"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
