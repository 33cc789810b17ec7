"""Restores to moments, as a client sees them: rows over Hrana, recordings over S3, times from outside.

Environment: KOMORA_URL, KOMORA_S3_URL, KOMORA_CA, KOMORA_ADMIN (an administrator's token with every scope). It makes and
deletes accounts whose names begin with `moment-`.
"""
import datetime
import hashlib
import json
import os
import ssl
import time
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.config import Config
from checks import Checks

URL, S3_URL, ADMIN = os.environ["KOMORA_URL"], os.environ["KOMORA_S3_URL"], os.environ["KOMORA_ADMIN"]
CONTEXT = ssl.create_default_context(cafile=os.environ["KOMORA_CA"])
NAME = "moment-" + uuid.uuid4().hex[:8]


def ask(method, path, body=None, token=ADMIN):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    request.add_header("Authorization", "Bearer " + token)
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


class Account:
    def __init__(self, name):
        self.name = name
        _, key = ask("POST", f"/v1/accounts/{name}/keys", {"label": "moments"})
        self.token = key["token"]
        self.s3 = boto3.client(
            "s3", endpoint_url=S3_URL, aws_access_key_id=key["access_key"], aws_secret_access_key=key["secret_key"],
            region_name="local", verify=os.environ["KOMORA_CA"], config=Config(s3={"addressing_style": "path"}))

    def sql(self, statement):
        request = {"requests": [{"type": "execute", "stmt": {"sql": statement}}]}
        status, reply = ask("POST", f"/db/{self.name}/v2/pipeline", request, self.token)
        result = reply["results"][0]
        assert status == 200 and result["type"] == "ok", reply
        return [[cell.get("value") for cell in row] for row in result["response"]["result"]["rows"]]

    def content(self):
        rows = self.sql("select n from calls order by n")
        listed = self.s3.list_objects_v2(Bucket=self.name).get("Contents", [])
        bodies = {o["Key"]: self.s3.get_object(Bucket=self.name, Key=o["Key"])["Body"].read() for o in listed}
        return [int(row[0]) for row in rows], {key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def restore(at, target, dry_run=False):
    return job(*ask("POST", "/v1/restores", {"account": NAME, "at": at, "as": target, "dry_run": dry_run}))


MOMENTS = []


def life(checks):
    status, _ = ask("POST", "/v1/accounts", {"name": NAME})
    checks.true(status in (200, 201, 202), "the account is made")
    account = Account(NAME)
    account.sql("create table calls (n integer)")
    before = now()
    time.sleep(0.02)
    account.sql("insert into calls values (0)")
    checks.equal(job(*ask("POST", f"/v1/accounts/{NAME}/snapshots", {}))["state"], "done", "a snapshot")
    for n in range(1, 6):
        account.sql(f"insert into calls values ({n})")
        account.s3.put_object(Bucket=NAME, Key=f"calls/{n}.wav", Body=os.urandom(n * 90_000))
        if n > 2:
            # Uploaded and deleted between two snapshots.
            account.s3.delete_object(Bucket=NAME, Key=f"calls/{n - 2}.wav")
        content = account.content()
        time.sleep(0.02)
        MOMENTS.append((now(), content))
        time.sleep(0.02)
    early = restore(before, NAME + "-x")
    checks.equal(early["state"], "failed", "a moment before the snapshot is refused")
    checks.true("first moment" in json.dumps(early), "and the first that there is is named")


def moments(checks):
    for i, (at, content) in enumerate(MOMENTS):
        target = f"{NAME}-{i}"
        plan = restore(at, target, dry_run=True)
        checks.equal(plan["result"]["would_create"], target, "the plan")
        checks.true(int(plan["result"]["log_records"]) > 0 and plan["result"]["position"], "the plan names records")
        done = restore(at, target)
        checks.equal(done["state"], "done", f"restored at {at}: {done}")
        checks.equal(Account(target).content(), content, f"rows and recordings as of {at}")
        ask("DELETE", f"/v1/accounts/{target}")


def edges(checks):
    last = restore("now", NAME + "-now")
    checks.equal(last["state"], "done", f"now: {last}")
    checks.equal(Account(NAME + "-now").content(), MOMENTS[-1][1], "now is the last state")
    ask("DELETE", f"/v1/accounts/{NAME}-now")
    future = restore("2999-01-01T00:00:00Z", NAME + "-x")
    checks.true(future["state"] == "failed" and "future" in json.dumps(future), "the future is refused")
    status, problem = ask("POST", "/v1/restores", {"account": NAME, "at": "yesterday", "as": NAME + "-x"})
    checks.equal(status, 400, f"what is no time is refused: {problem}")
    status, reply = ask("GET", f"/v1/accounts/{NAME}/moments")
    checks.true(status == 200 and len(reply["moments"]) == 1, f"the moments that there are: {reply}")
    ask("DELETE", f"/v1/accounts/{NAME}")


Checks("moments").run(life, moments, edges)
