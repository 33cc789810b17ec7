"""Restores in place and their undo, with the real komora against a running node: rows over Hrana, recordings over S3.

Environment: KOMORA_BIN (the komora program), KOMORA_URL, KOMORA_S3_URL, KOMORA_CA, KOMORA_ADMIN (an administrator's token
with every scope). It makes and deletes accounts whose names begin with `inplace-`.
"""
import datetime
import hashlib
import json
import os
import pathlib
import pty
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.config import Config
from checks import Checks

BIN, URL, S3_URL = os.environ["KOMORA_BIN"], os.environ["KOMORA_URL"], os.environ["KOMORA_S3_URL"]
ADMIN = os.environ["KOMORA_ADMIN"]
CONTEXT = ssl.create_default_context(cafile=os.environ["KOMORA_CA"])
NAME = "inplace-" + uuid.uuid4().hex[:8]
HOME = pathlib.Path(tempfile.mkdtemp(prefix="komora-inplace-"))
ENVIRONMENT = os.environ | {"KOMORA_TOKEN": ADMIN, "HOME": str(HOME)}
ENVIRONMENT.pop("KOMORA_PROFILE", None)
state = {}


def komora(*arguments, code=0, **more):
    command = [BIN, *arguments]
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, timeout=300, stdin=subprocess.DEVNULL, **more)
    if done.returncode != code:
        raise AssertionError(f"{arguments}: exit {done.returncode}, not {code}: {done.stdout[-600:]!r} {done.stderr[-600:]!r}")
    return done


def result(*arguments):
    """The last JSON line, behind those of the progress."""
    return json.loads(komora(*arguments, "--json").stdout.decode().strip().splitlines()[-1])


def ask(method, path, body=None, token=ADMIN, fields=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    request.add_header("Authorization", "Bearer " + token)
    for name, value in (fields or {}).items():
        request.add_header(name, value)
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


def sql(*statements):
    requests = [{"type": "execute", "stmt": {"sql": statement}} for statement in statements]
    status, reply = ask("POST", f"/db/{NAME}/v2/pipeline", {"requests": requests}, state["token"])
    assert status == 200 and all(r["type"] == "ok" for r in reply["results"]), reply
    rows = reply["results"][-1]["response"]["result"]["rows"]
    return [[cell.get("value") for cell in row] for row in rows]


def content():
    rows = [int(row[0]) for row in sql("select n from calls order by n")]
    listed = state["s3"].list_objects_v2(Bucket=NAME).get("Contents", [])
    bodies = {o["Key"]: state["s3"].get_object(Bucket=NAME, Key=o["Key"])["Body"].read() for o in listed}
    return rows, {key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}


def put(key, size):
    state["s3"].put_object(Bucket=NAME, Key=key, Body=os.urandom(size))


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def make(checks):
    komora("account", "create", NAME)
    _, key = ask("POST", f"/v1/accounts/{NAME}/keys", {"label": "inplace"})
    state["token"] = key["token"]
    state["s3"] = boto3.client(
        "s3", endpoint_url=S3_URL, aws_access_key_id=key["access_key"], aws_secret_access_key=key["secret_key"],
        region_name="local", verify=os.environ["KOMORA_CA"], config=Config(s3={"addressing_style": "path"}))
    sql("create table calls (n integer primary key, note text)", "insert into calls values (1, 'one')")
    put("a.wav", 300_000)
    put("b.wav", 20_000)
    state["snapshot"] = result("snapshot", "create", "--account", NAME)["id"]
    state["first"] = content()
    sql("insert into calls values (2, 'two')")
    state["s3"].delete_object(Bucket=NAME, Key="a.wav")
    put("c.wav", 5_000)
    time.sleep(0.02)
    state["between"] = (now(), content())
    time.sleep(0.02)
    sql("alter table calls add column cost integer", "delete from calls where n = 1", "insert into calls values (3, '', 3)")
    put("b.wav", 21_000)
    state["last"] = content()
    checks.equal(state["last"][0], [2, 3], "the account as it is")


def plan(checks):
    before = ask("GET", f"/v1/accounts/{NAME}")[1]["position"]
    said = result("restore", "--account", NAME, "--snapshot", state["snapshot"], "--in-place", "--dry-run")
    checks.true(said["dry_run"] == "true" and "undo" not in said, f"it is a plan: {said}")
    checks.true(int(said["changed_pages"]) > 0 and int(said["changed_bytes"]) > 0, "pages and bytes are named")
    checks.equal((said["rows_added"], said["rows_removed"]), ("1", "2"), "rows that would come and go")
    checks.equal((said["recordings_returning"], said["recordings_vanishing"]), ("2", "2"), "recordings likewise")
    checks.equal(said["before"], before, "it can be undone to the position that is")
    checks.equal(content(), state["last"], "nothing has changed")
    shown = komora("restore", "--account", NAME, "--latest", "--in-place", "--dry-run").stdout.decode()
    checks.true("pages that differ" in shown and "recordings that go" in shown, f"people see it too: {shown}")


def wrong_use(checks):
    for arguments in (
        ["--latest", "--in-place", "--as", "other"], ["--in-place"], ["--latest"], ["--latest", "--snapshot", "x", "--in-place"],
    ):
        komora("restore", "--account", NAME, *arguments, code=2)
    komora("restore", "undo", code=2)
    refused = komora("restore", "--account", NAME, "--latest", "--in-place", code=4)
    checks.true(b"--yes" in refused.stderr, "without a terminal it wants --yes")
    komora("restore", "--account", NAME, "--snapshot", "0" * 32, "--in-place", "--yes", code=3)
    komora("restore", "--account", "no-such-account", "--latest", "--in-place", "--yes", code=3)
    komora("restore", "undo", "0" * 31 + "1", "--yes", code=3)
    future = komora("restore", "--account", NAME, "--at", "2999-01-01T00:00:00Z", "--in-place", "--yes", code=4)
    checks.true(b"future" in future.stderr, "the future is refused")
    early = komora("restore", "--account", NAME, "--at", "2001-01-01T00:00:00Z", "--in-place", "--yes", code=3)
    checks.true(b"first moment" in early.stderr, "before everything it names the first moment")
    checks.equal(content(), state["last"], "and nothing has changed")


def typed(answer, *arguments):
    """Runs it on a terminal and types `answer`."""
    master, slave = pty.openpty()
    process = subprocess.Popen([BIN, *arguments], stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=ENVIRONMENT)
    os.close(slave)
    os.write(master, answer.encode() + b"\n")
    drain = threading.Thread(target=lambda: drained(master), daemon=True)
    drain.start()
    out = process.communicate(timeout=120)[0]
    return process.returncode, out.decode()


def drained(master):
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass


def there_and_back(checks):
    code, _ = typed("something else", "restore", "--account", NAME, "--latest", "--in-place")
    checks.equal(code, 4, "another name than the account's is no consent")
    checks.equal(content(), state["last"], "and nothing has changed")
    code, shown = typed(NAME, "restore", "--account", NAME, "--latest", "--in-place")
    checks.true(code == 0 and "undo" in shown, f"its name is: {shown}")
    checks.equal(content(), state["first"], "the snapshot's rows and recordings, at once")
    job_id = [line.split()[-1] for line in shown.splitlines() if line.startswith("undo ")][0]
    sql("insert into calls values (100, 'later')")
    put("later.wav", 1000)
    later = content()
    told = result("restore", "undo", job_id, "--dry-run")
    checks.equal(told["later_transactions"], "2", f"what would go is told first: {told}")
    checks.equal(content(), later, "a plan changes nothing")
    undone = result("restore", "undo", job_id, "--yes")
    checks.equal(undone["undoes"], job_id, "undone")
    checks.equal(content(), state["last"], "all of it is back")
    checks.equal(sql("select count(cost) from calls"), [["1"]], "the schema too")
    again = result("restore", "undo", undone["undo"], "--yes")
    checks.equal(content(), later, "an undo can be undone: what came later is back")
    result("restore", "undo", again["undo"], "--yes")
    checks.equal(content(), state["last"], "and again")


def moments(checks):
    at, wanted = state["between"]
    done = result("restore", "--account", NAME, "--at", at, "--in-place", "--yes")
    checks.equal(content(), wanted, "in place to a moment between")
    time.sleep(0.02)
    sql("insert into calls values (50, '')")
    # Beside, to moments before, between and after the restores in place.
    for when, expected in ((at, wanted[0]), (now(), wanted[0] + [50])):
        target = NAME + "-" + uuid.uuid4().hex[:4]
        komora("restore", "--account", NAME, "--at", when, "--as", target)
        _, key = ask("POST", f"/v1/accounts/{target}/keys", {"label": "inplace"})
        request = {"requests": [{"type": "execute", "stmt": {"sql": "select n from calls order by n"}}]}
        _, reply = ask("POST", f"/db/{target}/v2/pipeline", request, key["token"])
        rows = [int(row[0]["value"]) for row in reply["results"][0]["response"]["result"]["rows"]]
        checks.equal(rows, expected, f"beside at {when}")
        komora("account", "delete", target, "--yes")
    result("restore", "undo", done["undo"], "--yes")
    checks.equal(content(), state["last"], "undone")


def once(checks):
    body, fields = {"account": NAME, "latest": True, "in_place": True}, {"Idempotency-Key": uuid.uuid4().hex}
    first = job(*ask("POST", "/v1/restores", body, fields=fields))
    checks.equal(first["state"], "done", f"{first}")
    sql("insert into calls values (7, 'after')")
    second = job(*ask("POST", "/v1/restores", body, fields=fields))
    checks.equal(second["id"], first["id"], "the same request is the same job")
    checks.equal(content()[0], state["first"][0] + [7], "and was done once")
    status, problem = ask("POST", "/v1/restores", {"account": NAME, "latest": True, "in_place": True, "as": "x-y-z"})
    checks.equal(status, 400, f"in_place and as are two things: {problem}")
    status, problem = ask("POST", "/v1/restores", {"account": NAME, "latest": True})
    checks.equal(status, 400, f"neither of them is none: {problem}")


def busy(checks):
    """Writers and readers go on: each sees one state or the other, and no acknowledged write is lost from the archive."""
    stop, seen, failures = threading.Event(), set(), []

    def read():
        while not stop.is_set():
            try:
                a, b = sql("select (select count(*) from left_side), (select count(*) from right_side)")[0]
                seen.add((a == b, a))
            except Exception as error:  # noqa: BLE001 - told below
                failures.append(error)

    sql("create table left_side (x)", "create table right_side (x)")
    fill = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) insert into {} select i from n"
    sql("begin", fill.format(2000, "left_side"), fill.format(2000, "right_side"), "commit")
    time.sleep(0.02)
    at = now()
    time.sleep(0.02)
    sql("begin", fill.format(3000, "left_side"), fill.format(3000, "right_side"), "commit")
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        done = result("restore", "--account", NAME, "--at", at, "--in-place", "--yes")
        result("restore", "undo", done["undo"], "--yes")
    stop.set()
    for thread in threads:
        thread.join()
    checks.equal(failures, [], "no reader failed")
    checks.equal(seen, {(True, "2000"), (True, "5000")}, "each saw one state or the other")
    komora("account", "delete", NAME, "--yes")


Checks("inplace").run(make, plan, wrong_use, there_and_back, moments, once, busy)
