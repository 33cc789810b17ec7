"""Restores that are killed with kill -9 and go on: a node's in the middle of its job, and an offline one by the same command.

Starts a node of its own with KOMORA_BIN; `komora dev` starts a node that was killed again. Environment: KOMORA_BIN, and for
another size of the account KOMORA_RESUME_MIB.
"""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from checks import Checks

BIN = os.environ["KOMORA_BIN"]
MIB = int(os.environ.get("KOMORA_RESUME_MIB", "256"))
PARTS = (0.1, 0.5, 0.9)
# One group of chunks, as Backup.md has it, and the chunks that two or four threads have in hand.
GROUP = (64 << 20) // (256 << 10) + 8
FOLDER = Path(tempfile.mkdtemp(prefix="komora-resume-"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("KOMORA_")} | {
    "HOME": str(FOLDER / "home"), "XDG_CONFIG_HOME": str(FOLDER / "home/.config"),
}


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

    def ask(self, method, path, body=None, token=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", "Bearer " + (token or self.token))
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def patiently(self, method, path):
        """Asks until the node is there again."""
        end = time.monotonic() + 60
        while True:
            try:
                status, reply = self.ask(method, path)
                if status < 500:
                    return status, reply
            except OSError:
                pass
            assert time.monotonic() < end, "the node did not come back"
            time.sleep(0.1)

    def job(self, started, until=None):
        end = time.monotonic() + 300
        while started["state"] in ("waiting", "running"):
            if until is not None and started["progress"] >= until:
                break
            assert time.monotonic() < end, started
            time.sleep(0.005)
            started = self.patiently("GET", "/v1/jobs/" + started["id"])[1]
        return started

    def kill(self):
        pid = int(next((FOLDER / "data").glob("*/komora.pid")).read_text())
        os.kill(pid, signal.SIGKILL)

    def store(self, account):
        _, key = self.ask("POST", f"/v1/accounts/{account}/keys", {"label": "resume"})
        return boto3.client(
            "s3", endpoint_url=self.s3_url, aws_access_key_id=key["access_key"],
            aws_secret_access_key=key["secret_key"], region_name="local", verify=self.ca,
            config=Config(s3={"addressing_style": "path"})), key["token"]  # fmt: skip

    def sql(self, account, token, statement):
        request = {"requests": [{"type": "execute", "stmt": {"sql": statement}}]}
        status, reply = self.ask("POST", f"/db/{account}/v2/pipeline", request, token)
        assert status == 200 and reply["results"][0]["type"] == "ok", reply
        return [[c.get("value") for c in row] for row in reply["results"][0]["response"]["result"]["rows"]]

    def content(self, account):
        store, token = self.store(account)
        names = [o["Key"] for o in store.list_objects_v2(Bucket=account).get("Contents", [])]
        bodies = {k: hashlib.sha256(store.get_object(Bucket=account, Key=k)["Body"].read()).hexdigest() for k in names}
        return self.sql(account, token, "select count(*), sum(length(v)), max(v) from t"), bodies


NODE = Node()
EXPECTED = {}
CHUNKS = MIB * 4


def life(checks):
    checks.true(NODE.ask("POST", "/v1/accounts", {"name": "resume"})[0] < 300, "an account")
    store, token = NODE.store("resume")
    NODE.sql("resume", token, "create table t (id integer primary key, v text)")
    NODE.sql(
        "resume", token,
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 8000) "
        "insert into t (v) select hex(randomblob(500)) from n")  # fmt: skip
    for n in range(MIB // 8):
        store.put_object(Bucket="resume", Key=f"calls/{n:03}.bin", Body=os.urandom(8 << 20))
    done = NODE.job(NODE.ask("POST", "/v1/accounts/resume/snapshots", {})[1])
    checks.equal(done["state"], "done", f"a snapshot: {done}")
    EXPECTED["content"] = NODE.content("resume")
    EXPECTED["snapshot"] = done["result"]["snapshot"]


def node(checks):
    for part in PARTS:
        target = f"again-{int(part * 100)}"
        request = {"account": "resume", "snapshot": EXPECTED["snapshot"], "as": target}
        status, started = NODE.ask("POST", "/v1/restores", request)
        checks.equal(status, 202, f"a restore begins: {started}")
        reached = NODE.job(started, until=part * 0.9)
        checks.equal(reached["state"], "running", f"it runs at {part}")
        NODE.kill()
        NODE.patiently("GET", "/v1/jobs")
        status, again = NODE.patiently("GET", "/v1/jobs/" + started["id"])
        checks.equal(status, 200, f"its job is there after the restart: {again}")
        same = NODE.ask("POST", "/v1/restores", request)
        if again["state"] in ("waiting", "running") and same[0] == 202:
            checks.equal(same[1]["id"], started["id"], "the same request is given the same job")
        done = NODE.job(again)
        checks.equal(done["state"], "done", f"it ends well: {done}")
        checks.equal(done["result"]["resumed"], "true", "it went on")
        read, most = int(done["result"]["chunks_read"]), int(CHUNKS * (1 - reached["progress"] / 0.9)) + GROUP + 140
        print(f"resume: node killed at {reached['progress'] / 0.9:.2f}: {read} of {CHUNKS} chunks read again", flush=True)
        checks.true(read <= most, f"{read} chunks were read after a kill at {part}, of {CHUNKS}; at most {most}")
        checks.equal(NODE.content(target), EXPECTED["content"], f"the account after a kill at {part}")
        checks.true(not list((FOLDER / "data").glob("*/accounts/.restore-*")), "nothing lies about")
        checks.true(not list((FOLDER / "data").glob("*/accounts/*/restore.krpg")), "nothing is left to do")
        NODE.ask("DELETE", f"/v1/accounts/{target}")


def cancelled(checks):
    started = NODE.ask("POST", "/v1/restores", {"account": "resume", "latest": True, "as": "unwanted"})[1]
    NODE.job(started, until=0.3)
    shown = subprocess.run(
        [BIN, "job", "cancel", started["id"], "--json"], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    checks.equal(json.loads(shown.stdout)["state"], "cancelled", "komora job cancel")
    checks.equal(NODE.ask("GET", "/v1/jobs/" + started["id"])[1]["state"], "cancelled", "and so it stays")
    checks.true(not list((FOLDER / "data").glob("*/accounts/.restore-*")), "what it had built is gone")
    checks.equal(NODE.ask("GET", "/v1/accounts/unwanted")[0], 404, "and its name is free")
    checks.equal(NODE.ask("DELETE", "/v1/jobs/" + started["id"])[0], 403, "what has ended is not cancelled again")
    for path, body in ((f"/v1/accounts/resume/snapshots/{EXPECTED['snapshot']}/verify", {}),):
        started = NODE.ask("POST", path, body)[1]
        ended = NODE.ask("DELETE", "/v1/jobs/" + started["id"])[1]
        checks.equal(ended.get("state"), "cancelled", f"a verification: {ended}")


def files(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def offline(checks):
    secret, recovery = FOLDER / "secret", FOLDER / "recovery"
    secret.write_text("a passphrase for this test only\n")
    secret.chmod(0o600)
    subprocess.run(
        [BIN, "key", "recovery", "--account", "resume", "--passphrase-file", secret, "--out", recovery], env=ENVIRONMENT,
        check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    account = NODE.ask("GET", "/v1/accounts/resume")[1]["id"]
    archive = next((FOLDER / "data").glob(f"*/archive/{account}"))

    def command(out):
        return [
            BIN, "restore", "--offline", "--archive", archive, "--recovery", recovery, "--passphrase-file", secret,
            "--out", out, "--yes", "--json",
        ]  # fmt: skip

    whole = FOLDER / "whole"
    subprocess.run(command(whole), env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    expected = files(whole)
    checks.equal(len(expected), MIB // 8 + 2, "the files of a restore that nobody killed")
    for part in PARTS:
        out = FOLDER / f"out-{int(part * 100)}"
        process = subprocess.Popen(
            command(out), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in process.stdout:
            if line.startswith("{") and json.loads(line).get("progress", 0) >= part:
                break
        process.kill()
        process.wait()
        checks.true(not out.exists(), f"killed at {part}, nothing looks finished")
        again = subprocess.run(command(out), env=ENVIRONMENT, check=True, capture_output=True, text=True)
        said = json.loads(again.stdout.splitlines()[-1])
        checks.equal(said["resumed"], True, f"the same command goes on: {said}")
        most = int(CHUNKS * (1 - part)) + GROUP + 140 + 32
        print(f"resume: offline killed at {part}: {said['chunks_read']} of {CHUNKS} chunks read again", flush=True)
        checks.true(said["chunks_read"] <= most, f"{said['chunks_read']} chunks after {part}; at most {most}")
        checks.equal(files(out), expected, f"the files after a kill at {part}")
        shutil.rmtree(out)


try:
    Checks("resume").run(life, node, cancelled, offline)
finally:
    NODE.process.terminate()
    NODE.process.wait(30)
    shutil.rmtree(FOLDER, ignore_errors=True)
