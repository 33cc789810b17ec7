"""`komora import` against a node of its own: rows of every kind, killed with kill -9 at either end and run again; hostile
and wrong batches of rows; the MD5 that a client answers for. Environment: KOMORA_BIN.
"""
import base64
import hashlib
import http.client
import json
import math
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import boto3
from botocore.config import Config
from checks import Checks

BIN = os.environ["KOMORA_BIN"]
FOLDER = Path(tempfile.mkdtemp(prefix="komora-import-"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("KOMORA_", "XDG_"))} | {
    "HOME": str(FOLDER / "home"), "XDG_CONFIG_HOME": str(FOLDER / "home/.config"),
}  # fmt: skip
ROWS, FILES = 60_000, 120
CRC32C = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    CRC32C.append(number)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def free_port():
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port < 60000:
                return port


class Node:
    def __init__(self):
        (FOLDER / "home").mkdir()
        log = (FOLDER / "node.log").open("wb")
        self.process = subprocess.Popen(
            [BIN, "dev", "--data", FOLDER / "data", "--port", str(free_port())], env=ENVIRONMENT, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL)  # fmt: skip
        end = time.monotonic() + 60
        while b"ready\n" not in (FOLDER / "node.log").read_bytes():
            assert time.monotonic() < end and self.process.poll() is None, (FOLDER / "node.log").read_text()[-2000:]
            time.sleep(0.1)
        text = (FOLDER / "home/.config/komora/profile.toml").read_text()
        profile = dict(re.findall(r'^(\w+) *= *"(.*)"', text, re.M))
        self.url, self.s3_url, self.ca, self.token = (profile[k] for k in ("url", "s3_url", "ca", "token"))
        self.context = ssl.create_default_context(cafile=self.ca)

    def ask(self, method, path, body=None, token=None, **fields):
        parts = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=self.context, timeout=60)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        fields = {k.replace("_", "-"): v for k, v in fields.items()} | {"Authorization": "Bearer " + (token or self.token)}
        connection.request(method, path, data, fields)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        return reply.status, json.loads(content) if content[:1] in (b"{", b"[") else content

    def sql(self, account, statement):
        request = {"requests": [{"type": "execute", "stmt": {"sql": statement}}]}
        status, reply = self.ask("POST", f"/db/{account}/v2/pipeline", request)
        assert status == 200 and reply["results"][0]["type"] == "ok", reply
        rows = reply["results"][0]["response"]["result"]["rows"]
        return [[c.get("value", c.get("base64")) for c in row] for row in rows]

    def store(self, account):
        _, key = self.ask("POST", f"/v1/accounts/{account}/keys", {"label": "import"})
        return boto3.client(
            "s3", endpoint_url=self.s3_url, aws_access_key_id=key["access_key"],
            aws_secret_access_key=key["secret_key"], region_name="local", verify=self.ca,
            config=Config(s3={"addressing_style": "path"}))  # fmt: skip

    def kill(self):
        os.kill(int(next((FOLDER / "data").glob("*/komora.pid")).read_text()), signal.SIGKILL)

    def wait(self):
        end = time.monotonic() + 60
        while True:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < end, "the node did not come back"
            time.sleep(0.1)


def komora(*arguments, fails=False):
    run = subprocess.run([BIN, *map(str, arguments)], env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert fails or run.returncode == 0, (arguments, run.stdout[-1000:], run.stderr[-1000:])
    return run


def make_files():
    """A database with every kind of value, keys that lead to other tables and around a cycle, and recordings."""
    draw = random.Random(8)
    database = sqlite3.connect(FOLDER / "source.sqlite")
    database.executescript(
        """
        CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
        CREATE TABLE calls (uuid TEXT NOT NULL, person REFERENCES people(id), length REAL, note, sound BLOB);
        CREATE INDEX calls_uuid ON calls (uuid);
        CREATE TABLE words (word TEXT PRIMARY KEY, n) WITHOUT ROWID;
        CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b(id));
        CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a(id));
        """
    )
    database.executemany("INSERT INTO people (name) VALUES (?)", [(f"person {i} š",) for i in range(500)])
    odd = [None, 0, -1, 1, 2**63 - 1, -(2**63), 0.1, math.inf, -math.inf, "", "šč\0😀", b"", b"\0\xff", "x" * 3_000_000]
    for i in range(ROWS):
        note = odd[i] if i < len(odd) else odd[draw.randrange(len(odd) - 1)]
        database.execute(
            "INSERT INTO calls VALUES (?, ?, ?, ?, ?)",
            (f"{draw.getrandbits(128):x}", 1 + i % 500, draw.random() * 100, note, draw.randbytes(draw.randrange(300))))
    database.executemany("INSERT INTO words VALUES (?, ?)", [(f"word {i}", i * i) for i in range(5000)])
    database.executemany("INSERT INTO a VALUES (?, ?)", [(i, 1201 - i) for i in range(1, 1201)])
    database.executemany("INSERT INTO b VALUES (?, ?)", [(i, i) for i in range(1, 1201)])
    database.commit()
    for i in range(FILES):
        path = FOLDER / "recordings" / f"{i % 7}" / f"{i:03}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        # On both sides of what is sent from memory, and empty.
        size = {0: 0, 1: 4 << 20, 2: (4 << 20) + 1, 3: 9_000_001}.get(i, draw.randrange(400_000))
        path.write_bytes(draw.randbytes(size))


def expected():
    database = sqlite3.connect(FOLDER / "source.sqlite")
    return database.execute(FINGERPRINT).fetchall(), {
        str(p.relative_to(FOLDER / "recordings")): p.read_bytes() for p in (FOLDER / "recordings").rglob("*.bin")}


# The same question to both databases: how many of each kind, and the whole of what they hold in an order.
FINGERPRINT = """
    SELECT count(*), sum(rowid), count(DISTINCT uuid), sum(length(sound)), sum(length(CAST(note AS BLOB))),
      sum(typeof(note) = 'text'), sum(typeof(note) = 'blob'), sum(typeof(note) = 'real'), sum(note = 9e999),
      sum(note = -9e999), sum(note = -9223372036854775808), sum(note IS NULL), min(uuid), max(uuid),
      (SELECT count(*) FROM people), (SELECT sum(n) FROM words), (SELECT count(*) FROM a), (SELECT sum(a * id) FROM b)
    FROM calls"""
SAMPLE = "SELECT uuid, person, hex(note), typeof(note), hex(sound) FROM calls WHERE rowid % 997 = 3 ORDER BY rowid"


# Seconds.
TOOK = {}


def same(checks, account, what):
    rows, files = expected()
    checks.equal([str(v) for v in node.sql(account, FINGERPRINT)[0]], [str(v) for v in rows[0]], f"{what}: rows")
    database = sqlite3.connect(FOLDER / "source.sqlite")
    checks.equal(
        [[str(v) for v in r] for r in node.sql(account, SAMPLE)],
        [[str(v) for v in r] for r in database.execute(SAMPLE).fetchall()], f"{what}: a sample of rows")
    s3 = node.store(account)
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=account):
        listed |= {o["Key"]: o["ETag"].strip('"') for o in page.get("Contents", [])}
    checks.equal(listed, {k: hashlib.md5(v).hexdigest() for k, v in files.items()}, f"{what}: recordings' ETags")
    for key in sorted(files)[:12]:
        checks.true(s3.get_object(Bucket=account, Key=key)["Body"].read() == files[key], f"{what}: bytes of {key}")


def arguments(account):
    return ["import", "--account", account, "--database", FOLDER / "source.sqlite", "--recordings", FOLDER / "recordings"]


def whole(checks):
    komora("account", "create", "whole-1")
    began = time.monotonic()
    shown = json.loads(komora(*arguments("whole-1"), "--json").stdout.splitlines()[-1])
    TOOK["whole"] = time.monotonic() - began
    checks.equal(shown["rows"], ROWS + 500 + 5000 + 2400, "rows of the whole import")
    checks.equal(shown["files_sent"], FILES, "files of the whole import")
    same(checks, "whole-1", "whole")
    # The process that reads the file still has rows to give when the first statement is refused.
    again = komora(*arguments("whole-1"), fails=True)
    checks.equal(again.returncode, 1, "a second import into the same account")
    checks.true("already exists" in again.stderr, again.stderr[-500:])
    same(checks, "whole-1", "refused a second time")
    checks.equal(node.sql("whole-1", "SELECT seq FROM sqlite_sequence WHERE name = 'people'"), [["500"]], "AUTOINCREMENT")


def killed(checks):
    """Each account's import is killed again and again, the command or the node, until it comes through."""
    draw = random.Random(11)
    words = FOLDER / "words"
    kills = 0
    for number in range(1, 13):
        # On a quick machine some imports come through between two kills.
        if number > 3 and kills >= 6:
            break
        account, victim = f"killed-{number}", ("command", "node", "both")[number % 3]
        komora("account", "create", account)
        for turn in range(10):
            run = subprocess.Popen(
                [BIN, *map(str, arguments(account))], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=words.open("ab"))
            try:
                # The last turn runs through.
                code = run.wait(draw.uniform(0.05, 0.6 + turn * 0.1) * TOOK["whole"] if turn < 9 else 300)
            except subprocess.TimeoutExpired:
                kills += 1
                if victim in ("node", "both"):
                    node.kill()
                if victim in ("command", "both"):
                    run.kill()
                code = run.wait(300)
                node.wait()
            if code == 0:
                break
        checks.equal(code, 0, f"{account}: the import that was not killed: {words.read_text()[-600:]}")
        same(checks, account, f"{account}, {victim} killed")
    checks.true(kills >= 6, f"only {kills} kills hit an import")
    left = list((FOLDER / "home/.local/state/komora/imports").glob("*"))
    checks.equal(left, [], "states left behind")


def batch(sql, rows, columns=None, count=None):
    def number(value):
        out = b""
        while value >= 128:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    def value(v):
        match v:
            case None:
                return b"\0"
            case int():
                return b"\1" + number((v << 1 ^ v >> 63) & (1 << 64) - 1)
            case float():
                return b"\2" + struct.pack("<d", v)
            case str():
                return b"\3" + number(len(v.encode())) + v.encode()
            case bytes():
                return b"\4" + number(len(v)) + v

    text = sql.encode()
    body = b"KROW" + struct.pack("<HHII", 1, columns or len(rows[0]), count or len(rows), len(text)) + text
    body += b"".join(value(v) for row in rows for v in row)
    return body + struct.pack("<I", crc32c(body))


def rows(checks):
    """The layout as its page has it, by another hand; and what is refused."""
    komora("account", "create", "rows-1")
    node.sql("rows-1", "CREATE TABLE t (id INTEGER PRIMARY KEY, v CHECK (v IS NOT 'bad'))")
    path, insert = "/db/rows-1/v1/rows", "INSERT INTO t VALUES (?, ?)"

    def post(body, path=path, **fields):
        return node.ask("POST", path, body, **fields)

    several = batch(insert, [(1, "one š"), (-2, None), (3, 2.5), (2**40, b"\0\xff")])
    first = post(several, Idempotency_Key="k1")
    checks.equal(first, (200, {"rows": 4, "affected_row_count": 4}), "four rows")
    checks.equal(post(several, Idempotency_Key="k1"), first, "the same key again")
    checks.equal(post(several)[1]["code"], "SQLITE_CONSTRAINT_PRIMARYKEY", "the same rows without it")
    checks.equal(
        node.sql("rows-1", "SELECT id, v, typeof(v) FROM t ORDER BY id"),
        [["-2", None, "null"], ["1", "one š", "text"], ["3", 2.5, "real"], [str(2**40), "AP8=", "blob"]], "what is there")
    changed = batch(insert, [(9, 9)])
    checks.equal(post(changed, Idempotency_Key="k1")[1]["code"], "NOT_APPLIED_REFUSED", "the key for other rows")
    many = [(100 + i, i) for i in range(1000)] + [(5000, "bad")]
    checks.equal(post(batch(insert, many), Idempotency_Key="k2")[0], 400, "the last row breaks a rule")
    checks.equal(node.sql("rows-1", "SELECT count(*) FROM t"), [["4"]], "then none of them is there")
    update = batch("UPDATE t SET v = ?2 WHERE id = ?1", [(1, "two"), (77, "nobody")])
    checks.equal(post(update), (200, {"rows": 2, "affected_row_count": 1}), "an UPDATE")
    for sql, code in (
        ("SELECT ?, ?", "ROWS_STATEMENT"), ("PRAGMA user_version = 3", "ARGS_INVALID"), ("", "SQL_NO_STATEMENT"),
        ("INSERT INTO t VALUES (?, ?); DELETE FROM t", "SQL_MANY_STATEMENTS"), ("INSERT INTO t (id) VALUES (?)", "ARGS_INVALID"),
        ("INSERT INTO komora_recordings (key, id) VALUES (?, ?)", "SQLITE_AUTH"), ("BEGIN", "ROWS_STATEMENT"),
        ("INSERT INTO t VALUES (?, ?) RETURNING id", "ROWS_STATEMENT"), ("CREATE TABLE u (v)", "ROWS_STATEMENT"),
        ("ATTACH ? AS ?", "SQLITE_AUTH"), ("INSERT INTO nothing VALUES (?, ?)", "SQLITE_ERROR"),
    ):  # fmt: skip
        status, reply = post(batch(sql, [(1000, 1)]))
        checks.equal(status, 400, f"{sql}: {reply}")
        if code != "ARGS_INVALID" or "PRAGMA" not in sql:
            checks.equal(reply["code"], code, f"{sql}: {reply}")
    draw = random.Random(3)
    for turn in range(300):
        damaged = bytearray(several)
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        if turn % 2:
            damaged[-4:] = struct.pack("<I", crc32c(damaged[:-4]))
        status, reply = post(bytes(damaged[: draw.randrange(len(damaged))] if turn % 5 == 0 else damaged))
        # With a right checksum a flip may be another value; the key of the first row is there, so nothing is written.
        checks.true(status in (200, 400), f"a damaged batch: {status} {reply}")
    checks.equal(post(several[:-1])[1]["code"], "ROWS_INVALID", "a batch cut short")
    before = node.sql("rows-1", "SELECT count(*) FROM t")
    checks.equal(post(batch(insert, [(4242, 2)], count=2))[1]["code"], "ROWS_INVALID", "a row too few")
    checks.equal(node.sql("rows-1", "SELECT count(*) FROM t"), before, "then the first one is not there either")
    checks.equal(post(bytes(33 << 20))[0], 413, "a batch beyond the limit")
    checks.equal(post(several, path="/db/killed-1x/v1/rows")[0], 404, "an account that is not there")
    _, key = node.ask("POST", "/v1/accounts/whole-1/keys", {"label": "other"})
    checks.equal(node.ask("POST", path, several, key["token"])[0], 404, "another account's token")
    checks.equal(node.ask("POST", path, several, "nonsense")[0], 401, "a wrong token")


def said_md5(checks):
    komora("account", "create", "said-1")
    s3 = node.store("said-1")
    body = random.Random(5).randbytes(300_000)
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()

    def put(key, headers, **more):
        def add(request, **_):
            for name, value in headers.items():
                request.headers[name] = value

        s3.meta.events.register("before-send.s3.PutObject", add)
        try:
            return s3.put_object(Bucket="said-1", Key=key, Body=body, **more)["ETag"].strip('"')
        finally:
            s3.meta.events.unregister("before-send.s3.PutObject", add)

    good = base64.b64encode(struct.pack(">I", crc32c(body))).decode()
    wrong = base64.b64encode(struct.pack(">I", crc32c(body) ^ 1)).decode()
    checks.equal(put("a", {"komora-content-md5": md5}, ChecksumCRC32C=good), hashlib.md5(body).hexdigest(), "said MD5")
    checks.true(s3.get_object(Bucket="said-1", Key="a")["Body"].read() == body, "its bytes")
    checks.raises(lambda: put("b", {"komora-content-md5": md5}, ChecksumCRC32C=wrong), "a wrong checksum", "checksum")
    checks.raises(lambda: put("b", {"komora-content-md5": "xx"}, ChecksumCRC32C=good), "no MD5", "InvalidDigest")
    other = base64.b64encode(bytes(16)).decode()
    checks.raises(
        lambda: put("b", {"komora-content-md5": other}, ChecksumCRC32C=good, ContentMD5=other), "Content-MD5", "BadDigest")
    checks.equal([o["Key"] for o in s3.list_objects_v2(Bucket="said-1")["Contents"]], ["a"], "what was refused is not there")


def other_release(checks):
    """A state that another release has begun is refused, and nothing is touched."""
    komora("account", "create", "older-1")
    run = subprocess.Popen([BIN, *map(str, arguments("older-1"))], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    states = FOLDER / "home/.local/state/komora/imports"
    end = time.monotonic() + 60
    while not any(json.loads(p.read_text()).get("stepsDone", 0) > 3 for p in states.glob("*.json")):
        assert time.monotonic() < end and run.poll() is None, "the import was over too soon"
        time.sleep(0.005)
    run.kill()
    run.wait()
    state = next(states.glob("*.json"))
    old = json.loads(state.read_text())
    del old["layout"]
    state.write_text(json.dumps(old))
    refused = komora(*arguments("older-1"), fails=True)
    checks.equal(refused.returncode, 4, "the exit code of a refusal")
    checks.true("another release" in refused.stderr, refused.stderr)
    state.write_text(json.dumps(old | {"layout": 2}))
    komora(*arguments("older-1"))
    same(checks, "older-1", "went on")


node = None
try:
    make_files()
    node = Node()
    parts = [whole, rows, said_md5, other_release, killed]
    Checks("import").run(*(part for part in parts if part.__name__ in (sys.argv[1:] or part.__name__)))
finally:
    if node:
        node.process.terminate()
        node.process.wait(30)
    shutil.rmtree(FOLDER)
