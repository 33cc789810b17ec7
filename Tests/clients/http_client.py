"""The admin API, Hrana's wire form and the probes of a running node, with nothing but the standard library.

Environment: KOMORA_URL, KOMORA_CA, KOMORA_ADMIN (an administrator's token with every scope), KOMORA_ACCOUNT, KOMORA_TOKEN
(that account's own token). Optional: KOMORA_OTHER_ACCOUNT. It makes and deletes accounts whose names begin with `http-check-`.
"""
import json
import os
import ssl
import time
import urllib.error
import urllib.request
import uuid

from checks import Checks

URL, ACCOUNT = os.environ["KOMORA_URL"], os.environ["KOMORA_ACCOUNT"]
ADMIN, TOKEN = os.environ["KOMORA_ADMIN"], os.environ["KOMORA_TOKEN"]
CONTEXT = ssl.create_default_context(cafile=os.environ["KOMORA_CA"])
NAME = "http-check-" + uuid.uuid4().hex[:8]


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def ask(method, path, body=None, token=ADMIN, **headers):
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, context=CONTEXT, timeout=60) as answer:
            return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


def finished(job):
    deadline = time.monotonic() + 120
    while job["state"] in ("waiting", "running"):
        if time.monotonic() > deadline:
            raise AssertionError(f"job {job['id']} has not ended")
        time.sleep(0.05)
        job = ask("GET", "/v1/jobs/" + job["id"]).json
    return job


def pipeline(requests, baton=None, token=TOKEN, account=ACCOUNT, **headers):
    return ask("POST", f"/db/{account}/v3/pipeline", {"baton": baton, "requests": requests}, token, **headers)


def execute(sql, *args):
    return {"type": "execute", "stmt": {"sql": sql, "args": [{"type": "text", "value": a} for a in args]}}


def batch(*steps):
    return {"type": "batch", "batch": {"steps": list(steps)}}


def step(sql, condition=None):
    return {"stmt": {"sql": sql}, "condition": condition}


def probes(checks):
    checks.equal(ask("GET", "/healthz", token=None).status, 200, "healthz is open")
    checks.equal(ask("GET", "/readyz", token=None).status, 200, "readyz is open")
    metrics = ask("GET", "/metrics", token=None)
    checks.true(b"komora_http_requests_total{" in metrics.body, "metrics count requests")
    checks.true(ACCOUNT.encode() not in metrics.body, "metrics name no account")
    checks.equal(ask("GET", "/nothing-here", token=None).status, 404, "an unknown path")


def access(checks):
    for path in ["/v1/accounts", "/v1/node", "/v1/jobs", "/v1/tokens", f"/v1/accounts/{ACCOUNT}", f"/db/{ACCOUNT}/v3"]:
        for token in [None, "wrong", "kt_" + "x" * 43]:
            checks.equal(ask("GET", path, token=token).status, 401, f"{path} without a good token")
    for path in ["/v1/accounts", "/v1/node", "/v1/jobs", "/v1/tokens", f"/v1/accounts/{ACCOUNT}/keys"]:
        reply = ask("GET", path, token=TOKEN)
        checks.equal(reply.status, 403, f"{path} with an account's token")
        checks.equal(reply.headers["Content-Type"], "application/problem+json", "a refusal is a problem document")
    checks.equal(ask("GET", f"/v1/accounts/{ACCOUNT}", token=TOKEN).json["name"], ACCOUNT, "an account looks at itself")
    hidden = [ask("POST", f"/db/{name}/v3/pipeline", {"requests": []}, TOKEN) for name in (os.environ.get("KOMORA_OTHER_ACCOUNT", "other"), "never-existed", "..%2fetc", "A")]
    checks.equal({(r.status, r.body) for r in hidden}, {(404, hidden[0].body)}, "a foreign account looks like none")


def accounts(checks):
    made = ask("POST", "/v1/accounts", {"name": NAME, "timezone": "Europe/Kyiv"}, Idempotency_Key="make-" + NAME)
    checks.equal((made.status, made.json["name"], made.json["state"]), (201, NAME, "active"), "an account is made")
    again = ask("POST", "/v1/accounts", {"name": NAME, "timezone": "Europe/Kyiv"}, Idempotency_Key="make-" + NAME)
    checks.equal((again.status, again.body), (201, made.body), "the same Idempotency-Key gives the same reply")
    checks.equal(ask("POST", "/v1/accounts", {"name": NAME + "x"}, Idempotency_Key="make-" + NAME).status, 422, "the key with another request")
    checks.equal(ask("POST", "/v1/accounts", {"name": NAME}).status, 409, "the name is taken")
    for body, status in [({"name": "Bad Name"}, 422), ({}, 400), (b"{", 400), ({"name": 5}, 400), ({"name": NAME, "survive": "x"}, 422)]:
        reply = ask("POST", "/v1/accounts", body)
        checks.equal((reply.status, reply.headers["Content-Type"]), (status, "application/problem+json"), f"{body!r} is refused")
    checks.equal(ask("POST", "/v1/accounts", b" " * (2 << 20)).status, 413, "a request that is too large")
    checks.true(NAME in [a["name"] for a in ask("GET", "/v1/accounts").json["accounts"]], "it is listed")
    checks.equal(ask("GET", "/v1/accounts/" + NAME).json["survives"], "none", "one node survives nothing, and says so")
    checks.equal(ask("GET", "/v1/accounts/never-existed").status, 404, "an unknown account")


def keys(checks):
    key = ask("POST", f"/v1/accounts/{NAME}/keys", {"label": "phone"}).json
    checks.true(len({key["access_key"], key["secret_key"], key["token"]}) == 3, "a key has two secrets")
    shown = ask("GET", f"/v1/accounts/{NAME}/keys").json["keys"]
    checks.equal([(k["access_key"], k["label"], "secret_key" in k) for k in shown], [(key["access_key"], "phone", False)], "secrets are shown once")
    ok = pipeline([execute("SELECT 1")], token=key["token"], account=NAME)
    checks.equal(ok.status, 200, "the token opens its account")
    checks.equal(pipeline([execute("SELECT 1")], token=key["token"]).status, 404, "and no other")
    checks.equal(ask("DELETE", f"/v1/accounts/{NAME}/keys/{key['access_key']}").status, 204, "a key is revoked")
    checks.equal(pipeline([execute("SELECT 1")], token=key["token"], account=NAME).status, 401, "then it opens nothing")
    recovery = ask("POST", f"/v1/accounts/{NAME}/recovery", {"passphrase": "correct horse battery staple"})
    checks.equal((recovery.status, recovery.headers["Content-Type"], len(recovery.body) > 100), (200, "application/octet-stream", True), "a recovery file")


def jobs(checks):
    pipeline([execute("CREATE TABLE t (x)"), execute("INSERT INTO t VALUES (1)")], token=ADMIN, account=NAME)
    reply = ask("POST", f"/v1/accounts/{NAME}/snapshots")
    checks.equal((reply.status, reply.headers["Location"]), (202, "/v1/jobs/" + reply.json["id"]), "a snapshot is a job")
    events = ask("GET", f"/v1/jobs/{reply.json['id']}/events").body.decode()
    last = json.loads(events.strip().split("\n\n")[-1].removeprefix("data: "))
    checks.equal((last["state"], last["progress"]), ("done", 1), f"its events end with its end: {last}")
    listed = ask("GET", f"/v1/accounts/{NAME}/snapshots").json["snapshots"]
    checks.equal([s["state"] for s in listed], ["proven"], "the snapshot is proven")
    checks.equal(finished(ask("POST", f"/v1/accounts/{NAME}/snapshots/{listed[0]['id']}/verify").json)["state"], "done", "it verifies")
    pipeline([execute("UPDATE t SET x = 2"), execute("INSERT INTO t VALUES (3)")], token=ADMIN, account=NAME)
    found = finished(ask("POST", f"/v1/accounts/{NAME}/diff", {"from": listed[0]["id"], "listed": 10}).json)
    checks.equal((found["result"]["rows_changed"], found["result"]["rows_added"]), ("1", "1"), "what differs is counted")
    checks.equal([(r["table"], r["change"], r["key"], r["columns"]) for r in found["diff"]["listed_rows"]],
                 [("t", "changed", ["1"], ["x"]), ("t", "added", ["2"], [])], "and listed")
    key = ask("POST", f"/v1/accounts/{NAME}/keys", {"label": "diff"}).json["token"]
    reader = ask("POST", "/v1/tokens", {"name": "reader", "scopes": ["read"]}).json["token"]
    status = lambda token: ask("POST", f"/v1/accounts/{NAME}/diff", {"from": "live"}, token).status  # noqa: E731
    checks.equal([status(key), status(reader), status(TOKEN), status(None)], [202, 403, 404, 401], "who may compare")
    seen = [ask("GET", "/v1/jobs/" + found["id"], token=token) for token in (key, reader, TOKEN)]
    checks.equal([r.json.get("diff") == found["diff"] for r in seen[:2]], [True, False], "who may see the account's keys")
    checks.equal((seen[1].status, seen[2].status), (200, 404), "and who may see that there is a job")
    checks.true(all("diff" not in job for job in ask("GET", "/v1/jobs").json["jobs"]), "a list of jobs names no keys")
    bad = [ask("POST", f"/v1/accounts/{NAME}/diff", b).status for b in ({"from": "yesterday"}, {}, {"from": "0" * 32})]
    checks.equal(bad, [400, 400, 404], "what cannot be compared")
    done = finished(ask("POST", "/v1/restores", {"account": NAME, "as": NAME + "-r"}).json)
    checks.equal(done["state"], "done", f"it restores: {done['message']}")
    rows = pipeline([execute("SELECT x FROM t")], token=ADMIN, account=NAME + "-r").json["results"][0]["response"]["result"]["rows"]
    checks.equal(rows, [[{"type": "integer", "value": "1"}]], "the restored account has the rows")
    checks.equal(ask("GET", "/v1/jobs/" + "0" * 32).status, 404, "an unknown job")
    for name in (NAME, NAME + "-r"):
        checks.equal(ask("DELETE", "/v1/accounts/" + name).status, 204, f"{name} is deleted")
    checks.equal(ask("GET", "/v1/accounts/" + NAME).status, 404, "then it is gone")


def streams(checks):
    first = pipeline([execute("CREATE TABLE IF NOT EXISTS wire (x TEXT)"), execute("BEGIN"), execute("INSERT INTO wire VALUES (?)", "a")])
    baton = first.json["baton"]
    checks.true(baton is not None and len(baton) >= 43, "an open transaction has a baton")
    checks.equal(pipeline([execute("SELECT 1")], baton, token=ADMIN).status, 400, "a baton is bound to its credential")
    second = pipeline([{"type": "get_autocommit"}, execute("SELECT count(*) FROM wire")], baton).json
    checks.equal(second["results"][0]["response"]["is_autocommit"], False, "the transaction goes on")
    checks.equal(pipeline([execute("SELECT 1")], baton).json["code"], "STREAM_EXPIRED", "a baton is good once")
    third = pipeline([execute("ROLLBACK"), {"type": "get_autocommit"}, {"type": "close"}, execute("SELECT 1")], second["baton"]).json
    checks.equal(third["results"][1]["response"]["is_autocommit"], True, "rolled back")
    checks.equal((third["baton"], third["results"][3]["error"]["code"]), (None, "STREAM_CLOSED"), "closed")
    checks.equal(pipeline([execute("SELECT 1")], "0" * 64).status, 400, "an invented baton")
    stored = pipeline([{"type": "store_sql", "sql_id": 1, "sql": "SELECT 7"}, {"type": "execute", "stmt": {"sql_id": 1}},
                       {"type": "close_sql", "sql_id": 1}, {"type": "execute", "stmt": {"sql_id": 1}}]).json["results"]
    checks.equal(stored[1]["response"]["result"]["rows"][0][0]["value"], "7", "stored SQL")
    checks.equal(stored[3]["error"]["code"], "SQL_NOT_FOUND", "closed SQL")
    temporary = pipeline([execute("CREATE TEMP TABLE tt (x)"), execute("INSERT INTO tt VALUES (1)"), execute("SELECT count(*) FROM tt")]).json
    checks.equal(temporary["results"][2]["response"]["result"]["rows"][0][0]["value"], "1", "temporary tables")
    other = pipeline([execute("SELECT * FROM tt")]).json["results"][0]
    checks.equal(other["error"]["code"], "SQLITE_ERROR", "another stream does not see them")
    pipeline([{"type": "close"}], temporary["baton"])


def batches(checks):
    chained = lambda n: {"type": "ok", "step": n}  # noqa: E731
    good = batch(step("BEGIN"), step("INSERT INTO wire VALUES ('t1')", chained(0)), step("INSERT INTO wire VALUES ('t2')", chained(1)),
                 step("COMMIT", chained(2)), step("ROLLBACK", {"type": "not", "cond": chained(3)}))
    result = pipeline([good, {"type": "close"}]).json["results"][0]["response"]["result"]
    checks.equal([r is not None for r in result["step_results"]], [True, True, True, True, False], "a transaction in one request")
    bad = batch(step("BEGIN"), step("INSERT INTO wire VALUES ('t3')", chained(0)), step("INSERT INTO missing VALUES (1)", chained(1)),
                step("COMMIT", chained(2)), step("ROLLBACK", {"type": "not", "cond": chained(3)}))
    result = pipeline([bad, {"type": "close"}]).json["results"][0]["response"]["result"]
    checks.equal([e is not None for e in result["step_errors"]], [False, False, True, False, False], "its error is told")
    count = pipeline([execute("SELECT count(*) FROM wire WHERE x LIKE 't%'")]).json["results"][0]["response"]["result"]["rows"][0][0]
    checks.equal(count["value"], "2", "and it is rolled back")
    apart = pipeline([batch(step("INSERT INTO wire VALUES ('u1')"), step("INSERT INTO missing VALUES (1)"), step("INSERT INTO wire VALUES ('u2')"))])
    checks.equal([e is not None for e in apart.json["results"][0]["response"]["result"]["step_errors"]], [False, True, False], "statements apart")
    key = "wire-" + uuid.uuid4().hex
    once = [pipeline([execute("INSERT INTO wire VALUES (?) RETURNING rowid", key)], Idempotency_Key=key).json["results"] for _ in range(3)]
    checks.true(once[0] == once[1] == once[2] and once[0][0]["type"] == "ok", "an Idempotency-Key gives the same reply")
    count = pipeline([execute("SELECT count(*) FROM wire WHERE x = ?", key)]).json["results"][0]["response"]["result"]["rows"][0][0]
    checks.equal(count["value"], "1", "and one effect")
    clash = pipeline([execute("INSERT INTO wire VALUES (?)", "z")], Idempotency_Key=key).json["results"][0]
    checks.true(clash["error"]["code"].startswith("NOT_APPLIED"), "the key with another request")
    reply = pipeline([execute("INSERT INTO wire VALUES (?)", "p")])
    checks.true(reply.headers["Komora-Position"].count(".") == 1 and reply.headers["Komora-Node"], "a reply names position and node")


def cursors(checks):
    def cursor(*steps):
        reply = ask("POST", f"/db/{ACCOUNT}/v3/cursor", {"baton": None, "batch": {"steps": list(steps)}}, TOKEN)
        return [json.loads(line) for line in reply.body.decode().strip().split("\n")]
    lines = cursor(step("SELECT 1"), step("SELECT * FROM missing"), step("SELECT 2", {"type": "ok", "step": 1}))
    checks.equal([line.get("type") for line in lines[1:]], ["step_begin", "row", "step_end", "step_error"], "entries of a cursor")
    many = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 40000) SELECT n, hex(zeroblob(40)) FROM c"
    lines = cursor(step(many), step("SELECT 'end'"))
    numbers = [line["row"][0]["value"] for line in lines if line.get("type") == "row"]
    checks.equal((len(numbers), numbers[0], numbers[-2], numbers[-1]), (40001, "1", "40000", "end"), "a large result comes whole and in order")
    checks.equal(lines[-1]["type"], "step_end", "its last entry")
    checks.equal(pipeline([execute("DROP TABLE wire")]).json["results"][0]["type"], "ok", "nothing is left behind")


if __name__ == "__main__":
    Checks("http").run(probes, access, streams, batches, cursors, accounts, keys, jobs)
