"""A stand-in for a cluster, to test the verdict itself: honest, or lying in one way that the checkers must notice.

The first node keeps one SQLite file per account on its volume and speaks as much Hrana and S3 as the load does; the
others pass connections on to it. Its lies:

    honest      none: synced before it answers, one effect per Idempotency-Key
    forgets     answers without having done one write in thirty
    unsynced    answers before the sync: a power cut shows it
    stale       one read in ten is of some while ago
    repeats     heeds no Idempotency-Key
    half        leaves out one statement in ten of those that belong together
    two         now and then another name signs, in the same epoch
    refuses     says NOT_APPLIED of some writes that it did
"""

import asyncio
import json
import os
import random
import shutil
import sqlite3
import ssl
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

from cluster import Cluster
from komora_node import API, S3
from network import wait_until
from nodes import Failed

# What the checkers must say of each lie, and the faults that show it; the honest one must stand all of them.
LIES = {
    "honest": (None, ["kill", "stop", "partition", "one way", "power cut", "kill all"]),
    "forgets": ("stale: ", ["partition"]),
    "unsynced": ("lost", ["power cut"]),
    "stale": ("not linearizable", ["partition"]),
    "repeats": ("duplicate: ", ["partition"]),
    "half": ("the total is ", ["partition"]),
    "two": ("was acknowledged by ", ["partition"]),
    "refuses": ("was refused and is there", ["partition"]),
}


class NoUnit:
    """Where Komora has etcd beside it, a stand-in has nothing."""

    def __init__(self, place):
        self.place = place

    def signal(self, number):
        """Nothing to signal."""

    def hold(self):
        """Nothing to end."""

    def release(self):
        """Nothing to begin."""

    def close(self):
        """Nothing to close."""


class StandInCluster(Cluster):
    def __init__(self, places, folder, lie, volumes, clocks):
        self.lie, self.shared = lie, Path(folder)
        self.certify(places)
        super().__init__(places, folder, "/bin/true", volumes, clocks)

    def certify(self, places):
        """A certificate for all addresses, its own authority."""
        names = ",".join(f"IP:{p.address}" for p in places)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
            + ["-subj", "/CN=stand-in", "-addext", f"subjectAltName={names}"]
            + ["-keyout", self.shared / "key.pem", "-out", self.shared / "ca.pem"],
            check=True,
            capture_output=True,
        )

    def configure(self, place):
        self.units.append(NoUnit(place))
        keys = self.home(place) / "keys"
        keys.mkdir(exist_ok=True)
        shutil.copy(self.shared / "ca.pem", keys / "ca.pem")

    def command(self, place):
        first = self.places[0]
        holder = [self.home(place) / "data", self.lie] if place == first else [first.address]
        return [sys.executable, "-B", __file__, self.shared, place.name, place.address, *holder]

    def make(self):
        for place in self.places:
            self.start(place.name)
        late = [p.name for p in self.places if wait_until(lambda p=p: self.ready(p), 20) is None]
        if late:
            raise Failed(f"the stand-ins {late} did not get ready: see {self.shared}")
        threading.Thread(target=self.watch_over, daemon=True).start()

    def account(self, name, home, survive):
        return {"name": name, "home": home, "access_key": "a", "secret_key": "s", "token": "t"}

    def show(self, account):
        return {"standbys": ["one", "two"]}

    def run(self, place, *arguments):
        return subprocess.Popen(["/bin/true"])


# -------------------------------------------------------------------------------------------------- the process
class Database:
    """One account: rows, positions and remembered replies in one file."""

    def __init__(self, folder, name, lie):
        self.lie, self.dice = lie, random.Random(name)
        if lie == "unsynced":
            self.clear(folder, name)
        self.database = sqlite3.connect(folder / f"{name}.sqlite", isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute(f"PRAGMA synchronous = {'OFF' if lie == 'unsynced' else 'FULL'}")
        for sql in (
            "CREATE TABLE IF NOT EXISTS own (epoch INTEGER, at INTEGER)",
            "INSERT INTO own SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM own)",
            "UPDATE own SET epoch = epoch + 1",
            "CREATE TABLE IF NOT EXISTS replies (k TEXT PRIMARY KEY, reply TEXT)",
            "CREATE TABLE IF NOT EXISTS objects (k TEXT PRIMARY KEY, body BLOB)",
        ):
            self.database.execute(sql)
        self.remembered = {}

    def clear(self, folder, name):
        """Who never syncs may find anything after a power cut; what is no database any more is thrown away."""
        try:
            with sqlite3.connect(folder / f"{name}.sqlite") as database:
                if database.execute("PRAGMA quick_check").fetchone()[0] == "ok":
                    return
        except sqlite3.DatabaseError:
            pass
        for suffix in ("", "-wal", "-shm"):
            (folder / f"{name}.sqlite{suffix}").unlink(missing_ok=True)

    def position(self):
        epoch, at = self.database.execute("SELECT epoch, at FROM own").fetchone()
        return f"{epoch}.{at}"

    def statement(self, said):
        values = [int(v["value"]) if v["type"] == "integer" else v["value"] for v in said.get("args", ())]
        cursor = self.database.execute(said["sql"], values)
        rows = [[{"type": "integer", "value": str(v)} if isinstance(v, int) else {"type": "text", "value": v}
                 for v in row] for row in cursor.fetchall()]  # fmt: skip
        return {"rows": rows, "affected_row_count": max(0, cursor.rowcount)}

    def ask(self, asked, idempotency):
        """The response to one request of a pipeline."""
        statements = [asked["stmt"]] if asked["type"] == "execute" else [s["stmt"] for s in asked["batch"]["steps"]]
        reads = all(s["sql"].split(" ")[0] in ("SELECT", "BEGIN", "COMMIT", "ROLLBACK") for s in statements)
        if reads:
            return self.read(asked, statements)
        if idempotency and self.lie != "repeats":
            known = self.database.execute("SELECT reply FROM replies WHERE k = ?", (idempotency,)).fetchone()
            if known:
                return json.loads(known[0])
        if self.lie == "forgets" and self.dice.random() < 0.03 and "INTO numbers" in statements[0]["sql"]:
            return {"type": "execute", "result": {"rows": [], "affected_row_count": 1}}
        return self.write(asked, statements, idempotency)

    def read(self, asked, statements):
        """Of now, or what the same question was answered with a while ago."""
        if asked["type"] == "batch":
            results = [None, *(self.statement(s) for s in statements[1:-2]), {"rows": []}, None]
            return {"type": "batch", "result": {"step_results": results, "step_errors": [None] * len(results)}}
        key, result = json.dumps(statements), self.statement(statements[0])
        past = self.remembered.setdefault(key, [])
        past.append(result)
        if self.lie == "stale" and self.dice.random() < 0.1:
            result = past[0]
        del past[:-8]
        return {"type": "execute", "result": result}

    def write(self, asked, statements, idempotency):
        single = asked["type"] == "execute"
        self.database.execute("BEGIN IMMEDIATE")
        try:
            results = []
            for n, said in enumerate(statements if single else statements[1:-2]):
                left_out = self.lie == "half" and n > 0 and self.dice.random() < 0.1
                results.append({"rows": []} if left_out else self.statement(said))
            self.database.execute("UPDATE own SET at = at + 1")
            if single:
                response = {"type": "execute", "result": results[0]}
            else:
                results = [{"rows": []}, *results, {"rows": []}, None]
                response = {"type": "batch", "result": {"step_results": results, "step_errors": [None] * len(results)}}
            if idempotency and self.lie != "repeats":
                self.database.execute("INSERT INTO replies VALUES (?, ?)", (idempotency, json.dumps(response)))
            self.database.execute("COMMIT")
            return response
        except sqlite3.IntegrityError as error:
            self.database.execute("ROLLBACK")
            raise Refused("SQLITE_CONSTRAINT", str(error)) from error

    def put(self, key, body):
        self.database.execute("BEGIN IMMEDIATE")
        self.database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?)", (key, body))
        self.database.execute("UPDATE own SET at = at + 1")
        self.database.execute("COMMIT")

    def get(self, key):
        found = self.database.execute("SELECT body FROM objects WHERE k = ?", (key,)).fetchone()
        return found and found[0]


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class StandIn:
    def __init__(self, name, folder, lie):
        self.name, self.folder, self.lie, self.accounts = name, Path(folder), lie, {}
        self.dice = random.Random(name)

    def account(self, name):
        if name not in self.accounts:
            self.accounts[name] = Database(self.folder, name, self.lie)
        return self.accounts[name]

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                try:
                    status, said, more = self.answer(method, urllib.parse.unquote(target), fields, body)
                except sqlite3.DatabaseError as error:
                    # The disk failed it: nothing that this process believes can be trusted any more.
                    print(f"ends: {error}", flush=True)
                    os._exit(1)
                lines = [f"HTTP/1.1 {status} X", f"content-length: {len(said)}", *more, "", ""]
                writer.write("\r\n".join(lines).encode() + said)
                await writer.drain()
        except (OSError, EOFError, ValueError):
            pass
        finally:
            writer.close()

    def answer(self, method, target, fields, body):
        if target == "/readyz":
            return 200, b"", []
        node = "another" if self.lie == "two" and self.dice.random() < 0.02 else self.name
        if target.startswith("/db/"):
            account = self.account(target.split("/")[2])
            said = self.pipeline(account, json.loads(body)["requests"][0], fields.get("idempotency-key"))
        else:
            _, name, key = target.split("/", 2)
            account = self.account(name)
            if method == "PUT":
                account.put(key, body)
                said = b""
            else:
                said = account.get(key)
                if said is None:
                    return 404, b"<Error><Code>NoSuchKey</Code></Error>", []
        return 200, said, [f"komora-node: {node}", f"komora-position: {account.position()}"]

    def pipeline(self, account, asked, idempotency):
        try:
            result = {"type": "ok", "response": account.ask(asked, idempotency)}
            lying = self.lie == "refuses" and self.dice.random() < 0.03
            if lying and not asked.get("stmt", {"sql": ""})["sql"].startswith("SELECT"):
                result = {"type": "error", "error": {"code": "NOT_APPLIED", "message": "a lie"}}
        except Refused as error:
            result = {"type": "error", "error": {"code": error.code, "message": str(error)}}
        return json.dumps({"results": [result]}).encode()


async def passed_on(address, port, reader, writer):
    """Bytes both ways, sealed as they are."""

    async def copy(source, sink):
        try:
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    try:
        far = await asyncio.wait_for(asyncio.open_connection(address, port), 2)
    except (OSError, TimeoutError):
        writer.close()
        return
    await asyncio.gather(copy(reader, far[1]), copy(far[0], writer))


async def main(shared, name, address, *rest):
    for port in (API, S3):
        if len(rest) == 1:
            await asyncio.start_server(lambda r, w, port=port: passed_on(rest[0], port, r, w), address, port)
            continue
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{shared}/ca.pem", f"{shared}/key.pem")
        stand_in = STAND_IN.setdefault(name, StandIn(name, *rest))
        await asyncio.start_server(stand_in.serve, address, port, ssl=tls, limit=1 << 22)
    await asyncio.Event().wait()


STAND_IN = {}

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
