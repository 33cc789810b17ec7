"""Copies of archives in S3-compatible storage, another Komora's and one that others wrote: what lies there is what lies here,
also when the node is killed on the way, and an account comes back from it when the node and its disk are gone.

Starts nodes of its own with KOMORA_BIN. The other storage is moto's server over TLS.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from checks import Checks

BIN = os.environ["KOMORA_BIN"]
FOLDER = Path(tempfile.mkdtemp(prefix="komora-offsite-"))
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("KOMORA_") and k != "SSL_CERT_FILE"}
KINDS = ("packs/*.kpak", "log/*.klrg", "manifests/*.kman", "manifests/*.kman.proof", "keyring")
RECORDINGS, RECORDING_BYTES = 12, 4 << 20
PROCESSES = []


def free_port():
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port < 60000:
                return port


def until(what, ready, seconds=60, told=lambda: ""):
    end = time.monotonic() + seconds
    while True:
        value = ready()
        if value:
            return value
        assert time.monotonic() < end, f"in vain: {what}{told()}"
        time.sleep(0.05)


class Node:
    def __init__(self, name, **more):
        self.folder = FOLDER / name
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        home = {"HOME": str(self.folder / "home"), "XDG_CONFIG_HOME": str(self.folder / "home/.config")}
        self.environment = CLEAN | home
        self.more, self.port = more, free_port()
        self.start()
        text = (self.folder / "home/.config/komora/profile.toml").read_text()
        profile = dict(re.findall(r'^(\w+) *= *"(.*)"', text, re.M))
        self.url, self.s3_url, self.ca, self.token = (profile[k] for k in ("url", "s3_url", "ca", "token"))

    def start(self):
        log = self.folder / "node.log"
        log.write_bytes(b"")
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [BIN, "dev", "--data", self.folder / "data", "--port", str(self.port)],
                env=self.environment | self.more, stdout=out, stderr=out, stdin=subprocess.DEVNULL)  # fmt: skip
        PROCESSES.append(self.process)
        until(f"a node: {log}", lambda: b"ready\n" in log.read_bytes())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self):
        """The node alone; `komora dev` starts it again."""
        os.kill(int(next((self.folder / "data").glob("*/komora.pid")).read_text()), signal.SIGKILL)

    def log(self):
        return (self.folder / "node.log").read_text()

    def komora(self, *words, code=0):
        done = subprocess.run(
            [BIN, *map(str, words)], env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def account(self, name):
        return json.loads(self.komora("account", "create", name, "--json"))["id"]

    def key(self, name):
        return json.loads(self.komora("key", "create", "--account", name, "--json"))

    def sql(self, account, statement):
        body = json.dumps({"requests": [{"type": "execute", "stmt": {"sql": statement}}]}).encode()
        request = urllib.request.Request(f"{self.url}/db/{account}/v2/pipeline", data=body)
        request.add_header("Authorization", "Bearer " + self.token)
        context = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            assert json.load(answer)["results"][0]["type"] == "ok", statement


class Storage:
    """A bucket, and what lies in it below the prefix that the tests use."""

    def __init__(self, url, bucket, access_key, secret_key, ca, region):
        self.url, self.bucket, self.access_key, self.ca = url, bucket, access_key, str(ca)
        # A node of ours, where it is one.
        self.node = None
        self.secret = FOLDER / f"secret-{bucket}"
        self.secret.write_text(secret_key + "\n")
        self.secret.chmod(0o600)
        self.client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region,
            verify=self.ca, config=Config(s3={"addressing_style": "path"}))  # fmt: skip

    def environment(self, **more):
        return {
            "KOMORA_OFFSITE_URL": f"{self.url}/{self.bucket}/copies", "KOMORA_OFFSITE_ACCESS_KEY": self.access_key,
            "KOMORA_OFFSITE_SECRET_FILE": str(self.secret), "KOMORA_OFFSITE_CA": self.ca,
            "KOMORA_OFFSITE_ALLOW_PRIVATE": "true", "KOMORA_OFFSITE_PART_BYTES": "5MiB",
            "KOMORA_TIMERS_OFFSITE_PERIOD": "200ms", "KOMORA_TIMERS_ARCHIVE_LOG_PERIOD": "100ms",
        } | more  # fmt: skip

    def options(self):
        return ("--s3-access-key", self.access_key, "--s3-secret-file", self.secret, "--s3-ca", self.ca)

    def objects(self):
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = entry["Size"]
        return found

    def uploads(self):
        return self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])

    def body(self, key):
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()


def ours(checks):
    node = Node("storage")
    node.account("offsite")
    key = node.key("offsite")
    storage = Storage(node.s3_url, "offsite", key["access_key"], key["secret_key"], node.ca, "local")
    storage.node = node
    return storage


def others(checks):
    cert, key, port = FOLDER / "moto.pem", FOLDER / "moto.key", free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=storage", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)  # fmt: skip
    PROCESSES.append(subprocess.Popen(
        [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port), "--ssl", "-c", cert, "-k", key],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))  # fmt: skip
    storage = Storage(f"https://127.0.0.1:{port}", "offsite-others", "access", "secret-of-others", cert, "us-east-1")

    def ready():
        try:
            storage.client.create_bucket(Bucket=storage.bucket)
            return True
        except Exception:
            return False

    until("moto's server", ready)
    return storage


def listed(node, account, storage):
    archive = next((node.folder / "data").glob("*/archive")) / account
    return {str(p.relative_to(archive)): p for kind in KINDS for p in archive.glob(kind)}, storage.objects()


def same(node, account, storage):
    """True when what lies there is what lies here, byte for byte, and nothing else."""
    here, there = listed(node, account, storage)
    prefixes = {key[: key.index(account) + len(account) + 1] for key in there if account in key}
    if len(prefixes) != 1:
        return False
    prefix = prefixes.pop()
    if {key[len(prefix):]: size for key, size in there.items()} != {k: p.stat().st_size for k, p in here.items()}:
        return False
    return all(storage.body(prefix + path) == file.read_bytes() for path, file in here.items())


def away(checks, storage, node, account):
    """Longer than a request is tried again: the node says so once, and goes on when the storage is there."""
    storage.node.stop()
    node.sql("calls", "update t set v = v || '.' where id = 7")
    until("word of it", lambda: "not copied off site" in node.log())
    storage.node.start()
    until("the copy after a pause", lambda: same(node, account, storage), 90)
    checks.equal(node.log().count("not copied off site"), 1, "it is said once")


def copies(checks, storage, name):
    node = Node(f"node-{name}", **storage.environment())
    account = node.account("calls")
    key = node.key("calls")
    node.sql("calls", "create table t (id integer primary key, v text)")
    node.sql("calls", "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) "
             "insert into t (v) select hex(randomblob(300)) from n")  # fmt: skip
    store = boto3.client(
        "s3", endpoint_url=node.s3_url, aws_access_key_id=key["access_key"], aws_secret_access_key=key["secret_key"],
        region_name="local", verify=node.ca, config=Config(s3={"addressing_style": "path"}))  # fmt: skip
    bodies = {f"2026/call {n}.wav": os.urandom(RECORDING_BYTES) for n in range(RECORDINGS)}
    for where, body in bodies.items():
        store.put_object(Bucket="calls", Key=where, Body=body)
    recovery, passphrase = node.folder / "recovery", node.folder / "passphrase"
    passphrase.write_text("a long passphrase of a test\n")
    passphrase.chmod(0o600)
    node.komora(
        "key", "recovery", "--account", "calls", "--passphrase-file", passphrase, "--out", recovery)
    node.komora("snapshot", "create", "--account", "calls")
    # In the middle of a pack that goes up in parts, if the machine is not faster.
    until("a beginning", lambda: storage.uploads() or storage.objects(), 60)
    node.kill()
    until(f"{name}: the copy", lambda: same(node, account, storage), 90, lambda: (
        f" {listed(node, account, storage)} {node.log()[-2000:]}"))
    checks.true(True, f"{name}: killed on the way, the copy is whole, byte for byte")
    checks.equal(storage.uploads(), [], f"{name}: no upload is left open")
    packs = [size for where, size in storage.objects().items() if where.endswith(".kpak")]
    checks.true(max(packs) > 5 << 20, f"{name}: a pack that went up in parts")
    node.sql("calls", "insert into t (v) values ('after the snapshot')")
    until("the log", lambda: same(node, account, storage))
    time.sleep(0.5)
    until("the log there", lambda: same(node, account, storage))
    if storage.node:
        away(checks, storage, node, account)
    checks.equal(node.stop(), 0, f"{name}: the node ends cleanly")
    shutil.rmtree(node.folder / "data")

    out = node.folder / "out"
    place = f"{storage.url}/{storage.bucket}/copies"
    command = ("restore", "--offline", "--archive", place, *storage.options(), "--recovery", recovery,
               "--passphrase-file", passphrase)  # fmt: skip
    node.komora(*command, "--at", "2100-01-01T00:00:00Z", "--out", out)
    with sqlite3.connect(out / "account.sqlite") as database:
        count, newest = database.execute("select count(*), (select v from t order by id desc limit 1) from t").fetchone()
    checks.equal((count, newest), (2001, "after the snapshot"), f"{name}: rows, those behind the snapshot too")
    lines = [json.loads(line) for line in (out / "recordings.jsonl").read_text().splitlines()]
    came = {line["key"]: hashlib.sha256((out / line["path"]).read_bytes()).hexdigest() for line in lines}
    checks.equal(came, {k: hashlib.sha256(v).hexdigest() for k, v in bodies.items()}, f"{name}: recordings")
    said = node.komora(*command, "--out", node.folder / "twice", code=4)
    checks.true("hours ago" in said, f"{name}: the age is asked about: {said}")
    return node, command, place


def wrong_secret(checks, storage, node, command):
    other = FOLDER / "other-secret"
    other.write_text("not-the-secret\n")
    refused = [str(other) if word == storage.secret else word for word in command]
    said = node.komora(*refused, "--yes", "--out", node.folder / "never", code=4)
    checks.true("Signature" in said, f"a wrong secret is refused: {said}")


def wrong(checks, storage, node, command, place):
    plain = [word.replace("https://", "http://") if word == place else word for word in map(str, command)]
    said = node.komora(*plain, "--yes", "--out", node.folder / "never", code=3)
    said = node.komora("restore", "--offline", "--archive", place, "--recovery", node.folder / "recovery",
                       "--passphrase-file", node.folder / "passphrase", "--out", node.folder / "never", code=2)  # fmt: skip
    checks.true("--s3-access-key" in said, f"keys are asked for: {said}")
    nobody = [word.replace(storage.bucket, "no-such-bucket") if word == place else word for word in map(str, command)]
    node.komora(*nobody, "--yes", "--out", node.folder / "never", code=3 if storage.bucket != "offsite" else 4)
    checks.true(not (node.folder / "never").exists(), "nothing was written")


def forbidden(checks, storage):
    node = Node("careful", **storage.environment(KOMORA_OFFSITE_ALLOW_PRIVATE="false"))
    account = node.account("inside")
    node.sql("inside", "create table t (x)")
    node.komora("snapshot", "create", "--account", "inside")
    until("the refusal", lambda: "lies in no public network" in node.log())
    checks.true(not [k for k in storage.objects() if account in k], "an address inside is not talked to unless allowed")
    checks.true(storage.secret.read_text().strip() not in node.log(), "the log has no secret")
    checks.equal(node.stop(), 0, "it ends cleanly")


def own(checks):
    storage = ours(checks)
    node, command, place = copies(checks, storage, "ours")
    # moto looks at no signature.
    wrong_secret(checks, storage, node, command)
    wrong(checks, storage, node, command, place)
    forbidden(checks, storage)


def foreign(checks):
    storage = others(checks)
    node, command, place = copies(checks, storage, "others")
    wrong(checks, storage, node, command, place)


try:
    Checks("offsite").run(own, foreign)
finally:
    for process in PROCESSES:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in PROCESSES:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    shutil.rmtree(FOLDER, ignore_errors=True)
