"""Komora's public surfaces as the verdict's clients use them: SQL over Hrana, objects over S3; what an answer means.

`Answer.outcome`: `ok`; `fail` when it says, or its kind implies, that nothing was applied; `info` in every other case.
A doubt is always `info`: a wrong `fail` would convict an innocent store, or hide a loss.
"""

import datetime
import hashlib
import hmac
import json
import urllib.parse
from dataclasses import dataclass
from xml.etree import ElementTree

OK, FAIL, INFO = "ok", "fail", "info"


@dataclass
class Answer:
    outcome: str
    result: object = None
    position: tuple | None = None
    node: str | None = None
    error: str | None = None


def position(text):
    """`<epoch>.<index>` as a pair of numbers."""
    if not text:
        return None
    epoch, _, index = text.partition(".")
    return int(epoch), int(index)


def shown(pair):
    return f"{pair[0]}.{pair[1]}"


# ---------------------------------------------------------------------------------------------------------------- SQL
def statement(sql, *values):
    return {"sql": sql, "args": [{"type": "integer", "value": str(v)} if isinstance(v, int) else
                                 {"type": "text", "value": v} for v in values], "want_rows": True}  # fmt: skip


def execute(sql, *values):
    """One statement, by itself."""
    return {"type": "execute", "stmt": statement(sql, *values)}


def transaction(*statements):
    """BEGIN, the statements, COMMIT if all went well, else ROLLBACK."""
    steps = [{"stmt": {"sql": "BEGIN"}}]
    for said in statements:
        steps.append({"stmt": said, "condition": {"type": "ok", "step": len(steps) - 1}})
    commit = len(steps)
    steps.append({"stmt": {"sql": "COMMIT"}, "condition": {"type": "ok", "step": commit - 1}})
    undo = {"type": "not", "cond": {"type": "ok", "step": commit}}
    steps.append({"stmt": {"sql": "ROLLBACK"}, "condition": undo})
    return {"type": "batch", "batch": {"steps": steps}}


def rows(result):
    return [[int(v["value"]) if v["type"] == "integer" else v.get("value") for v in row] for row in result["rows"]]


def meaning(code):
    """What an error's code says about the request as a whole: a statement that SQLite refused had no effect."""
    if code.startswith("NOT_APPLIED") or (code.startswith("SQLITE_") and not code.startswith("SQLITE_IOERR")):
        return FAIL
    return INFO


def sql_request(account, token, asked, at_least=None, staleness=None, idempotency=None):
    """(method, target, headers, body) of a pipeline with one request in it."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    if at_least is not None:
        headers["komora-at-least"] = shown(at_least)
    if staleness is not None:
        headers["komora-staleness"] = f"{staleness}s"
    if idempotency is not None:
        headers["idempotency-key"] = idempotency
    body = json.dumps({"baton": None, "requests": [asked, {"type": "close"}]}).encode()
    return "POST", f"/db/{account}/v3/pipeline", headers, body


def sql_answer(reply):
    """The results of the steps, or what the refusal means."""
    node, at = reply.headers.get("komora-node"), position(reply.headers.get("komora-position"))
    try:
        said = json.loads(reply.body)
        if reply.status != 200:
            return Answer(refusal(reply.status, said), None, at, node, f"{reply.status} {reply.body[:200]!r}")
        first = said["results"][0]
        if first["type"] == "error":
            code = first["error"].get("code", "")
            return Answer(meaning(code), None, at, node, f"{code}: {first['error']['message'][:160]}")
        result = first["response"]["result"]
        if first["response"]["type"] == "execute":
            return Answer(OK, result, at, node)
        return batch_answer(result, at, node)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return Answer(INFO, None, at, node, f"not understood: {reply.status} {error!r} {reply.body[:160]!r}")


def batch_answer(result, at, node):
    """COMMIT is the last step but one. Committed, or refused in a step before it and rolled back, or unknown."""
    errors, commit = result["step_errors"], len(result["step_errors"]) - 2
    if result["step_results"][commit] is not None:
        return Answer(OK, result["step_results"], at, node)
    code, message = next(((e.get("code", ""), e["message"]) for e in errors if e is not None), ("", "no commit"))
    outcome, doubt = meaning(code), code.startswith("UNKNOWN")
    if not doubt and errors[commit] is None and result["step_results"][commit + 1] is not None:
        outcome = FAIL
    return Answer(outcome, None, at, node, f"{code}: {message[:160]}")


def refusal(status, said):
    applied, code = said.get("applied"), str(said.get("code", ""))
    if applied is False or code.startswith("NOT_APPLIED") or status in (400, 401, 403, 404, 413, 421, 429):
        return FAIL
    return INFO


# ----------------------------------------------------------------------------------------------------------------- S3
def s3_request(method, account, key, host, access, secret, body=b"", when=None):
    """(method, target, headers, body), signed with Signature V4."""
    when = (when or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
    target, digest = f"/{account}/{urllib.parse.quote(key, safe='/-_.~')}", hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": when}
    names = ";".join(sorted(headers))
    listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join([method, target, "", listed, names, digest])
    scope = f"{when[:8]}/us-east-1/s3/aws4_request"
    signed = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, signed.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return method, target, headers, body


def s3_answer(reply, method):
    """A get's result is the SHA-256 of the bytes, or None when there is no such key."""
    node, at = reply.headers.get("komora-node"), position(reply.headers.get("komora-position"))
    if reply.status < 300:
        return Answer(OK, hashlib.sha256(reply.body).hexdigest() if method == "GET" else None, at, node)
    try:
        code = ElementTree.fromstring(reply.body).findtext("{*}Code") or ""
    except ElementTree.ParseError:
        code = ""
    error = f"{reply.status} {code} {reply.body[:120]!r}"
    if method == "GET":
        return Answer(OK if code == "NoSuchKey" else FAIL, None, at, node, error)
    return Answer(FAIL if reply.status < 500 else INFO, None, at, node, error)
