"""Calls deleted by mistake, brought back and taken back again, as a client and a person at the command line see it.

Environment: KOMORA_URL, KOMORA_S3_URL, KOMORA_CA, KOMORA_ADMIN (an administrator's token with every scope), KOMORA_BIN. It
makes and deletes accounts whose names begin with `merge-`.
"""
import datetime
import hashlib
import io
import json
import math
import os
import ssl
import sqlite3
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
import wave

import boto3
from botocore.config import Config
from checks import Checks

URL, S3_URL, ADMIN = os.environ["KOMORA_URL"], os.environ["KOMORA_S3_URL"], os.environ["KOMORA_ADMIN"]
CONTEXT = ssl.create_default_context(cafile=os.environ["KOMORA_CA"])
NAME = "merge-" + uuid.uuid4().hex[:8]
DELETED = list(range(11, 25))


def ask(method, path, body=None, token=ADMIN, key=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    request.add_header("Authorization", "Bearer " + token)
    if key:
        request.add_header("Idempotency-Key", key)
    try:
        with urllib.request.urlopen(request, context=CONTEXT, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def job(status, started):
    assert status == 202, (status, started)
    end = time.monotonic() + 120
    while started["state"] in ("waiting", "running"):
        assert time.monotonic() < end, f"job {started['id']} has not ended"
        time.sleep(0.05)
        started = ask("GET", "/v1/jobs/" + started["id"])[1]
    return started


def komora(*words):
    """Exit code, the last line of standard output as JSON, standard error."""
    connection = ["--url", URL, "--ca", os.environ["KOMORA_CA"], "--json"]
    environment = dict(os.environ, KOMORA_TOKEN=ADMIN)
    done = subprocess.run(
        [os.environ["KOMORA_BIN"], *words, *connection], capture_output=True, text=True, timeout=120, env=environment)
    # Progress comes line by line; a result may be one line or several.
    for start in reversed([i for i, c in enumerate(done.stdout) if c == "{" and done.stdout[i - 1:i] in ("", "\n")]):
        try:
            return done.returncode, json.loads(done.stdout[start:]), done.stderr
        except json.JSONDecodeError:
            continue
    return done.returncode, {}, done.stderr


def call(n):
    """A WAV file of two seconds that a player opens."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        tone = (int(9000 * math.sin(i * (n + 5) / 40)) for i in range(16000))
        file.writeframes(b"".join(struct.pack("<hh", v, -v // 2) for v in tone))
    return out.getvalue()


class Account:
    def __init__(self, name):
        self.name = name
        _, key = ask("POST", f"/v1/accounts/{name}/keys", {"label": "merges"})
        self.token = key["token"]
        self.s3 = boto3.client(
            "s3", endpoint_url=S3_URL, aws_access_key_id=key["access_key"], aws_secret_access_key=key["secret_key"],
            region_name="local", verify=os.environ["KOMORA_CA"], config=Config(s3={"addressing_style": "path"}))

    def reply(self, statement):
        request = {"requests": [{"type": "execute", "stmt": {"sql": statement}}]}
        status, reply = ask("POST", f"/db/{self.name}/v2/pipeline", request, self.token)
        assert status == 200, reply
        return reply["results"][0]

    def sql(self, statement):
        result = self.reply(statement)
        assert result["type"] == "ok", result
        return [[cell.get("value") for cell in row] for row in result["response"]["result"]["rows"]]

    def content(self):
        rows = self.sql("select id, note, recording from calls order by id")
        listed = self.s3.list_objects_v2(Bucket=self.name).get("Contents", [])
        bodies = {o["Key"]: self.s3.get_object(Bucket=self.name, Key=o["Key"])["Body"].read() for o in listed}
        return rows, {key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


STATE = {}
SELECTION = ["row:calls/11..24"] + [f"recording:2026/{n}.wav" for n in DELETED]


def mistake(checks):
    status, _ = ask("POST", "/v1/accounts", {"name": NAME})
    checks.true(status in (200, 201, 202), "the account is made")
    account = STATE["account"] = Account(NAME)
    account.sql("create table calls (id integer primary key, note text, recording text)")
    account.sql("create table audit (what text)")
    account.sql("create trigger came after insert on calls begin insert into audit values ('came'); end")
    for n in range(1, 41):
        account.sql(f"insert into calls values ({n}, 'call {n}', '2026/{n}.wav')")
        account.s3.put_object(Bucket=NAME, Key=f"2026/{n}.wav", Body=call(n), ContentType="audio/wav")
    STATE["audit"] = account.sql("select count(*) from audit")
    snapshot = job(*ask("POST", f"/v1/accounts/{NAME}/snapshots", {}))
    checks.equal(snapshot["state"], "done", "a snapshot")
    STATE["snapshot"], STATE["whole"] = snapshot["result"]["snapshot"], account.content()
    time.sleep(0.05)
    STATE["moment"] = now()
    time.sleep(0.05)
    for n in DELETED:
        account.sql(f"delete from calls where id = {n}")
        account.s3.delete_object(Bucket=NAME, Key=f"2026/{n}.wav")
    account.sql("update calls set note = 'changed since' where id = 30")
    account.sql("insert into calls values (41, 'new', null)")
    STATE["audit"] = account.sql("select count(*) from audit")
    STATE["broken"] = account.content()


def brought_back(checks):
    account, snapshot = STATE["account"], STATE["snapshot"]
    only = [word for pattern in SELECTION for word in ("--only", pattern)]
    code, plan, _ = komora("merge", "--account", NAME, "--from", snapshot, *only, "--dry-run")
    checks.equal((code, plan.get("inserted"), plan.get("dry_run")), (0, "14", "true"), f"the plan: {plan}")
    checks.equal(account.content(), STATE["broken"], "a plan changes nothing")
    code, done, error = komora("merge", "--account", NAME, "--from", snapshot, *only)
    checks.equal((code, done.get("inserted"), done.get("changed")), (0, "14", "0"), f"merged: {done} {error}")
    rows, recordings = account.content()
    whole_rows, whole_recordings = STATE["whole"]
    checks.equal([r for r in rows if int(r[0]) in DELETED], [r for r in whole_rows if int(r[0]) in DELETED],
                 "the fourteen rows are what they were")
    checks.equal(recordings, whole_recordings, "every recording is byte for byte what it was")
    body = account.s3.get_object(Bucket=NAME, Key="2026/17.wav")
    checks.equal(body["ContentType"], "audio/wav", "with its type")
    with wave.open(io.BytesIO(body["Body"].read())) as file:
        checks.equal((file.getframerate(), file.getnframes()), (8000, 16000), "and a player opens it")
    checks.true(["30", "changed since"] in [r[:2] for r in rows] and ["41", "new"] in [r[:2] for r in rows],
                "later work is untouched")
    checks.equal(account.sql("select count(*) from audit"), STATE["audit"], "no trigger fired")
    checks.equal(account.reply("select * from komora_merge_rows")["type"], "error", "tenants do not see the undo")
    code, undone, error = komora("merge", "undo", done["merge"])
    checks.equal((code, undone.get("removed")), (0, "14"), f"undone: {undone} {error}")
    checks.equal(account.content(), STATE["broken"], "undo takes exactly that back")
    code, _, error = komora("merge", "undo", done["merge"], "--account", NAME)
    checks.true(code == 4 and "undone already" in error, f"once: {code} {error}")


def conflicts(checks):
    account, snapshot = STATE["account"], STATE["snapshot"]
    words = ["merge", "--account", NAME, "--from", snapshot, "--only", "table:calls?id>=24", "--on-conflict"]
    code, report, error = komora(*words, "refuse")
    checks.equal(code, 4, f"a row that is otherwise now refuses all: {error}")
    checks.equal(report["conflicts"][0]["key"], ["30"], f"and is named: {report}")
    checks.equal(report["conflicts"][0]["differences"],
                 [{"column": "note", "then": "'call 30'", "now": "'changed since'"}], "with both values")
    checks.true("changed since" not in error, "and no value is in the message")
    checks.equal(account.content(), STATE["broken"], "nothing was changed")
    code, kept, _ = komora(*words, "keep")
    checks.equal((code, kept["inserted"], kept["conflicts"]), (0, "1", "1"), "keep")
    checks.equal(account.sql("select note from calls where id = 30"), [["changed since"]], "the live row stays")
    checks.equal(komora("merge", "undo", kept["merge"], "--account", NAME)[0], 0, "undone")
    code, taken, _ = komora(*words, "take")
    checks.equal((code, taken["inserted"], taken["changed"]), (0, "1", "1"), "take")
    checks.equal(account.sql("select note from calls where id = 30"), [["call 30"]], "the old row wins")
    account.sql("update calls set note = 'and again' where id = 30")
    code, report, _ = komora("merge", "undo", taken["merge"], "--account", NAME)
    checks.equal((code, report["conflicts"][0]["key"]), (4, ["30"]), "an undo after later work is refused")
    code, undone, _ = komora("merge", "undo", taken["merge"], "--account", NAME, "--on-conflict", "keep")
    checks.equal((code, undone["removed"], undone["conflicts"]), (0, "1", "1"), "or leaves that row")
    account.sql("update calls set note = 'changed since' where id = 30")
    checks.equal(account.content(), STATE["broken"], "all is as it was")


def moments(checks):
    account = STATE["account"]
    path, key = f"/v1/accounts/{NAME}/merges", uuid.uuid4().hex
    body = {"from": STATE["moment"], "only": ["table:calls", "recording:*"], "on_conflict": "keep"}
    first = job(*ask("POST", path, body, key=key))
    checks.equal(first["state"], "done", f"from a moment: {first}")
    checks.equal((first["result"]["inserted"], first["result"]["recordings"]), ("14", "14"), "rows and recordings")
    second = job(*ask("POST", path, body, key=key))
    checks.equal(second["id"], first["id"], "the same key is the same merge")
    status, problem = ask("POST", path, dict(body, on_conflict="take"), key=key)
    checks.equal(status, 422, f"and no other one: {problem}")
    status, problem = ask("POST", path, body, account.token)
    checks.equal(status, 403, f"an account's own token may not: {problem}")
    for wrong in ({"from": "yesterday"}, {"only": []}, {"only": ["calls"]}, {"on_conflict": "maybe"}):
        status, problem = ask("POST", path, dict(body, **wrong))
        checks.equal(status, 400, f"{wrong} is refused: {problem}")
    unknown = job(*ask("POST", path, dict(body, only=["table:nobody"])))
    checks.equal(unknown["error"]["code"], "refused", f"a table that never was: {unknown}")
    status, problem = ask("POST", path, dict(body, **{"from": "0" * 32}))
    checks.equal(status, 404, f"a snapshot that is not there: {problem}")
    undone = job(*ask("POST", f"{path}/{first['id']}/undo", {}))
    checks.equal(undone["result"]["recordings_removed"], "14", f"undone: {undone}")
    checks.equal(account.content(), STATE["broken"], "all is as it was")
    code, _, error = komora("merge", "--account", NAME, "--from", STATE["snapshot"], "--only", "calls")
    checks.true(code == 2 and "table:" in error, f"wrong use says what a pattern is: {code} {error}")


def parts(checks):
    only = [word for pattern in SELECTION for word in ("--only", pattern)]
    restore = ["restore", "--account", NAME, "--as", NAME + "-part", *only]
    code, plan, error = komora(*restore, "--snapshot", STATE["snapshot"], "--dry-run")
    checks.equal((code, plan.get("only_rows"), plan.get("recordings")), (0, "14", "14"), f"the plan: {plan} {error}")
    checks.equal(plan.get("left_out"), "everything else", "says what is left out")
    for point in (["--snapshot", STATE["snapshot"]], ["--at", STATE["moment"]]):
        code, done, error = komora(*restore, *point)
        checks.equal(code, 0, f"restored in part: {done} {error}")
        part = Account(NAME + "-part")
        rows, recordings = part.content()
        checks.equal(rows, [r for r in STATE["whole"][0] if int(r[0]) in DELETED], "the chosen rows alone")
        checks.equal(recordings, {k: v for k, v in STATE["whole"][1].items() if int(k[5:-4]) in DELETED}, "and recordings")
        checks.equal(part.sql("select count(*) from audit"), [["0"]], "other tables are there and empty")
        part.sql("insert into calls values (99, 'new', null)")
        checks.equal(part.sql("select count(*) from audit"), [["1"]], "and so are the triggers")
        ask("DELETE", f"/v1/accounts/{NAME}-part")
    offline(checks, only)
    code, _, error = komora(*restore, "--latest", "--only", "row:calls")
    checks.equal(code, 2, f"wrong patterns are wrong use: {error}")
    ask("DELETE", f"/v1/accounts/{NAME}")


def offline(checks, only):
    with tempfile.TemporaryDirectory() as folder:
        secret, recovery, out = (os.path.join(folder, name) for name in ("secret", "recovery", "out"))
        with open(secret, "w", encoding="utf-8") as file:
            file.write("a passphrase of some words\n")
        code, _, error = komora("key", "recovery", "--account", NAME, "--passphrase-file", secret, "--out", recovery)
        checks.equal(code, 0, f"a recovery file: {error}")
        words = ["restore", "--offline", "--archive", os.environ["KOMORA_ARCHIVE"], "--recovery", recovery,
                 "--passphrase-file", secret, "--yes", "--out", out, *only]
        done = subprocess.run(
            [os.environ["KOMORA_BIN"], *words, "--json"], capture_output=True, text=True, timeout=120, check=False)
        checks.equal(done.returncode, 0, f"offline: {done.stderr}")
        with sqlite3.connect(os.path.join(out, "account.sqlite")) as database:
            found = [row[0] for row in database.execute("select id from calls order by id")]
        checks.equal(found, DELETED, "its database has the chosen rows")
        files = sorted(os.listdir(os.path.join(out, "recordings", "2026")))
        checks.equal(files, sorted(f"{n}.wav" for n in DELETED), "and its files are the chosen recordings")
        with open(os.path.join(out, "account.sqlite"), "rb") as file:
            checks.true(b"call 30" not in file.read(), "nothing of the rest lies in it")


Checks("merges").run(mistake, brought_back, conflicts, moments, parts)
