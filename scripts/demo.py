#!/usr/bin/env python3
"""The demo: a business account from its first call to its restore, every row and byte compared. See scripts/demo.

A node is started; an account is made, filled with calls and rows over the public surfaces, snapshotted, changed, and
its directory destroyed. What the snapshot held must come back whole, twice: as a new account of the running node, and
as plain files made from the archive and a recovery file alone. What is compared comes from outside (SQL, S3, files).
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
from client import Refused, S3, SQL, row_bytes  # noqa: E402

ACCOUNT, RESTORED = "nova-voice", "nova-voice-back"
PAGE_ROWS = 1000
START_SECONDS_MAX, STOP_SECONDS_MAX = 60, 30


class Failed(Exception):
    """The demo cannot go on, and why."""


# ------------------------------------------------------------------------------------------------ the node
class Node:
    """One `komora dev` in a directory of its own, with a home of its own for the profile."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.process = binary, folder, None
        self.data, self.home, self.log = folder / "data", folder / "home", folder / "node.log"
        self.home.mkdir(parents=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("KOMORA_")} | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
        }
        self.port = free_ports()

    def start(self):
        with open(self.log, "ab") as log:
            mark = log.tell()
            self.process = subprocess.Popen(
                [self.binary, "dev", "--data", self.data, "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            said = self.log.read_bytes()[mark:].decode(errors="replace")
            if "ready" in said.splitlines():
                return
            if self.process.poll() is not None:
                raise Failed(f"the node ended with {self.process.returncode}: {said[-2000:]}")
            time.sleep(0.05)
        raise Failed(f"the node was not ready within {START_SECONDS_MAX} s: {said[-2000:]}")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise Failed(f"the node did not stop within {STOP_SECONDS_MAX} s and was killed") from None

    def komora(self, *arguments, may_fail=False):
        """Runs the command line tool; gives its exit code and what it said."""
        result = subprocess.run(
            [self.binary, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment,
        )
        if result.returncode and not may_fail:
            raise Failed(
                f"komora {' '.join(map(str, arguments))} ended with {result.returncode}: "
                f"{(result.stderr or result.stdout).strip()[-2000:]}"
            )
        return result.returncode, result.stdout, result.stderr

    def json(self, *arguments):
        """The JSON document that the tool printed; of several lines (progress), the last."""
        said = self.komora(*arguments, "--json")[1].strip()
        try:
            return json.loads(said)
        except json.JSONDecodeError:
            return json.loads(said.splitlines()[-1])

    def profile(self):
        import tomllib

        return tomllib.loads((self.home / ".config/komora/profile.toml").read_text())

    def clients(self, account):
        """SQL and S3 with a key of the account's own."""
        key, profile = self.json("key", "create", "--account", account), self.profile()
        return (
            SQL(profile["url"], profile["ca"], account, key["token"]),
            S3(profile["s3_url"], profile["ca"], account, key["access_key"], key["secret_key"]),
        )


def free_ports():
    """A port whose next two are free as well."""
    for _ in range(200):
        base, held = random.randrange(20000, 32000, 4), contextlib.ExitStack()
        with held:
            try:
                for port in range(base, base + 3):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return base
            except OSError:
                continue
    raise Failed("no three free ports in a row on 127.0.0.1")


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
        self.node = None

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
        node = self.prepare()
        self.fill(node)
        self.snapshot(node)
        self.change(node)
        self.destroy(node)
        self.restore(node)
        self.restore_offline(node)

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
        with self.step("start a node: komora dev") as said:
            self.node = Node(self.options.binary, self.folder / "node")
            self.node.start()
            said(f"API {self.node.profile()['url']}, S3 {self.node.profile()['s3_url']}, TLS with a CA of its own")
        return self.node

    def fill(self, node):
        business = self.folder / "business"
        with self.step(f"make the account {ACCOUNT}, with a key for SQL and one for S3") as said:
            account = node.json("account", "create", ACCOUNT)
            self.id = account["id"]
            self.sql, self.s3 = node.clients(ACCOUNT)
            said(f"id {self.id}, survives: {account.get('survives')}")
        with self.step("import the database and the recordings") as said:
            node.komora(
                "import",
                "--account",
                ACCOUNT,
                "--database",
                business / "account.sqlite",
                "--recordings",
                business / "recordings",
            )
        with self.step("read everything back over SQL and S3, compare it with the files") as said:
            self.original = file_content(business / "account.sqlite", business / "recordings")
            self.compare(self.original, node_content(self.sql, self.s3), said)
        if len(self.original.recordings) < self.options.calls or len(self.original.rows) < self.options.rows:
            raise Failed(f"the account is too small: {self.original}")

    def compare(self, expected, got, said):
        if differences := expected.differences(got):
            raise Failed("not equal: " + "; ".join(differences))
        said(f"equal: {got}")

    def directory(self, node, in_archive):
        """The one directory below the node's that has the account's id and lies in the archive, or does not."""
        found = [p for p in node.data.rglob(self.id) if p.is_dir()]
        found = [p for p in found if ("archive" in p.relative_to(node.data).parts) == in_archive]
        if len(found) != 1:
            raise Failed(f"the {'archive' if in_archive else 'directory'} of {self.id} is not found: {found}")
        return found[0]

    def snapshot(self, node):
        with self.step("snapshot the account") as said:
            node.komora("snapshot", "create", "--account", ACCOUNT)
            snapshots = node.json("snapshot", "list", "--account", ACCOUNT)
            newest = (snapshots.get("snapshots") if isinstance(snapshots, dict) else snapshots)[-1]
            self.snapshot_id, self.position = newest["id"], newest["position"]
            said(f"{self.snapshot_id}: {newest['state']}, position {self.position}, {newest.get('bytes', 0):,} bytes")
            if newest["state"] != "proven":
                raise Failed(f"the snapshot is {newest['state']}, not proven")
        with self.step("write the account's recovery file, under a passphrase") as said:
            self.passphrase, self.recovery = self.folder / "passphrase", self.folder / "recovery"
            self.passphrase.touch(mode=0o600)
            self.passphrase.write_text(f"{random.SystemRandom().getrandbits(160):040x}\n")
            node.komora(
                "key", "recovery", "--account", ACCOUNT, "--passphrase-file", self.passphrase, "--out", self.recovery
            )
            said(str(self.recovery))

    def change(self, node):
        draw, keys = random.Random(self.options.seed), sorted(self.original.recordings)
        with self.step("go on working: new, changed and deleted rows; new, overwritten and deleted recordings") as said:
            chosen = draw.sample(keys, 40)
            for n in range(200):
                self.sql.run(
                    (
                        "insert into calls (uuid, started_at, direction, status, cdr) values (?, ?, 'in', 'missed', ?)",
                        f"{draw.getrandbits(128):032x}",
                        1773014400 + n,
                        json.dumps({"after": "the snapshot", "n": n}),
                    )
                )
            self.sql.run(
                ("begin",),
                ("update settings set value = 'changed' where rowid % 3 = 0",),
                ("delete from calls where id % 50 = 0",),
                ("drop index calls_user",),
                ("commit",),
            )
            for key in chosen[:20]:
                self.s3.delete(key)
            for key in chosen[20:]:
                self.s3.put(key, draw.randbytes(draw.randrange(1, 200_000)))
            self.s3.put("2026/03/09/after-the-snapshot.wav", draw.randbytes(100_000))
            changed = node_content(self.sql, self.s3)
            for line in self.original.differences(changed):
                said(line)
            if not changed.differences(self.original):
                raise Failed("nothing changed, so the restore would show nothing")

    def destroy(self, node):
        with self.step("stop the node and destroy the account's directory") as said:
            node.stop()
            place = self.directory(node, in_archive=False)
            gone = sum(p.stat().st_size for p in place.rglob("*") if p.is_file())
            shutil.rmtree(place)
            said(f"rm -rf {place} ({gone:,} bytes)")
        with self.step("start it again: the loss must be noticed and said") as said:
            node.start()
            try:
                rows = self.sql.query("select count(*) from calls")
                raise Failed(f"the destroyed account answers, with {rows}")
            except Refused as refusal:
                said(f"SQL says: {str(refusal).strip()[:300]}")
            try:
                self.s3.get(sorted(self.original.recordings)[0])
                raise Failed("the destroyed account serves a recording")
            except Refused as refusal:
                said(f"S3 says: {' '.join(str(refusal).split())[:300]}")
                if refusal.status == 404:
                    raise Failed("S3 says of a recording that was lost that it does not exist") from None
            code, out, error = node.komora("account", "show", ACCOUNT, may_fail=True)
            said(f"komora account show ends with {code}: {' '.join((error or out).split())[:300]}")

    def restore(self, node):
        with self.step(f"restore the snapshot as the account {RESTORED}"):
            node.komora("restore", "--account", ACCOUNT, "--snapshot", self.snapshot_id, "--as", RESTORED)
        with self.step("compare every row and every byte over SQL and S3") as said:
            sql, s3 = node.clients(RESTORED)
            self.compare(self.original, node_content(sql, s3), said)
            if (check := sql.query("pragma integrity_check")) != [("ok",)]:
                raise Failed(f"integrity_check: {check}")
            sql.run(("insert into settings values ('alive', 'yes', 1)",))
            s3.put("alive", b"yes")
            said("integrity_check ok; it takes writes")

    def restore_offline(self, node):
        with self.step("stop the node as Ctrl-C does"):
            node.stop()
        copy, out = self.folder / "archive-copy", self.folder / "offline"
        with self.step("copy the archive with ordinary tools, verify every file of the copy") as said:
            shutil.copytree(self.directory(node, in_archive=True), copy)
            opened = ["--recovery", self.recovery, "--passphrase-file", self.passphrase]
            said(self.node.komora("verify", copy, *opened)[1].strip().splitlines()[-1])
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
            if demo.node:
                demo.node.stop()
    print(f"\nfiles: {demo.folder}    node's words: {demo.folder / 'node' / 'node.log'}")
    if problem:
        print(f"\nDEMO FAILED in step {demo.number} after {time.monotonic() - demo.began:.1f} s: {problem}")
        return 1
    print(
        f"\nDEMO PASSED in {time.monotonic() - demo.began:.1f} s: "
        "the account came back twice, equal in every row and byte"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
