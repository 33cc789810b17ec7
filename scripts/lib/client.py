"""Komora's public surfaces with nothing but Python's standard library: SQL over Hrana, recordings over S3.

Written against the published protocols, not against Komora's code, so that what it reads back is an outside opinion.
One connection per object, kept open; not for use from several threads at once.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import ssl
import struct
import urllib.parse


class Refused(Exception):
    """What the server said, with its HTTP status or its SQL error code."""

    def __init__(self, status, said):
        super().__init__(f"{status}: {said}")
        self.status, self.said = status, said


class Connection:
    def __init__(self, url, ca):
        parts = urllib.parse.urlsplit(url)
        self.host, self.path = parts.netloc, parts.path.rstrip("/")
        self._http = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=120, context=ssl.create_default_context(cafile=ca)
        )

    def send(self, method, target, body, headers):
        """The status, headers and body of the reply; one more try when the kept connection was closed meanwhile."""
        for attempt in (1, 2):
            try:
                self._http.request(method, target, body=body, headers=headers)
                reply = self._http.getresponse()
                return reply.status, reply.headers, reply.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                self._http.close()
                if attempt == 2:
                    raise


class SQL:
    """One account's database over Hrana v3 (`/v3/pipeline`)."""

    def __init__(self, url, ca, account, token, headers=()):
        self._connection = Connection(url, ca)
        self._target = f"{self._connection.path}/db/{account}/v3/pipeline"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | dict(headers)
        self.replied = {}  # the last reply's headers

    def run(self, *statements):
        """Runs (sql, values...) tuples in one request; gives the rows of each. Stops at the first that fails."""
        steps = [
            {"type": "execute", "stmt": {"sql": sql, "args": [encode(v) for v in values], "want_rows": True}}
            for sql, *values in statements
        ]
        body = json.dumps({"baton": None, "requests": steps + [{"type": "close"}]})
        status, self.replied, said = self._connection.send("POST", self._target, body, self._headers)
        if status != 200:
            raise Refused(status, said.decode(errors="replace"))
        rows = []
        for result in json.loads(said)["results"][: len(steps)]:
            if result["type"] != "ok":
                raise Refused(result["error"].get("code", "SQL"), result["error"]["message"])
            rows.append([tuple(map(decode, row)) for row in result["response"]["result"]["rows"]])
        return rows

    def query(self, sql, *values):
        return self.run((sql, *values))[0]


def encode(value):
    if value is None:
        return {"type": "null"}
    if isinstance(value, int):
        return {"type": "integer", "value": str(value)}
    if isinstance(value, float):
        return {"type": "float", "value": value}
    if isinstance(value, bytes):
        return {"type": "blob", "base64": base64.b64encode(value).decode()}
    return {"type": "text", "value": value}


def decode(value):
    kind = value["type"]
    if kind == "null":
        return None
    if kind == "integer":
        return int(value["value"])
    if kind == "float":
        return float(value["value"])
    if kind == "blob":
        text = value["base64"]
        return base64.b64decode(text + "=" * (-len(text) % 4))
    return value["value"]


def row_bytes(row):
    """A row as bytes that differ whenever a value or its type does."""
    out = bytearray()
    for value in row:
        if value is None:
            out += b"n"
        elif isinstance(value, int):
            out += b"i" + str(value).encode() + b";"
        elif isinstance(value, float):
            out += b"f" + struct.pack("<d", value)
        else:
            raw = value if isinstance(value, bytes) else value.encode()
            out += (b"b" if isinstance(value, bytes) else b"t") + struct.pack("<Q", len(raw)) + raw
    return bytes(out)


class S3:
    """One account's recordings: a bucket, path style, Signature Version 4."""

    def __init__(self, url, ca, bucket, access_key, secret_key, region="us-east-1"):
        self._connection = Connection(url, ca)
        self._bucket, self._access, self._secret, self._region = bucket, access_key, secret_key, region

    def _request(self, method, key="", query=(), body=b"", headers=()):
        path = f"{self._connection.path}/{self._bucket}" + (f"/{urllib.parse.quote(key, safe='/-_.~')}" if key else "")
        query = "&".join(
            f"{urllib.parse.quote(k, safe='-_.~')}={urllib.parse.quote(v, safe='-_.~')}" for k, v in sorted(query)
        )
        when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        signed = dict(headers) | {"host": self._connection.host, "x-amz-content-sha256": digest, "x-amz-date": when}
        names = ";".join(sorted(signed))
        canonical = "\n".join(
            [method, path, query, "".join(f"{n}:{signed[n]}\n" for n in sorted(signed)), names, digest]
        )
        scope = f"{when[:8]}/{self._region}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key_bytes = f"AWS4{self._secret}".encode()
        for part in scope.split("/"):
            key_bytes = hmac.digest(key_bytes, part.encode(), "sha256")
        signature = hmac.digest(key_bytes, to_sign.encode(), "sha256").hex()
        signed["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._access}/{scope}, SignedHeaders={names}, " f"Signature={signature}"
        )
        status, replied, said = self._connection.send(method, path + (f"?{query}" if query else ""), body, signed)
        if status >= 300:
            raise Refused(status, said.decode(errors="replace")[:400])
        return replied, said

    def put(self, key, data, content_type="application/octet-stream"):
        return self._request("PUT", key, body=data, headers={"content-type": content_type})[0].get("ETag")

    def get(self, key):
        return self._request("GET", key)[1]

    def delete(self, key):
        self._request("DELETE", key)

    def list(self):
        """Every key with its size, in order, over all pages."""
        from xml.etree import ElementTree

        keys, token = [], None
        while True:
            query = [("list-type", "2")] + ([("continuation-token", token)] if token else [])
            root = ElementTree.fromstring(self._request("GET", query=query)[1])
            space = root.tag[: root.tag.find("}") + 1]
            keys += [
                (c.findtext(f"{space}Key"), int(c.findtext(f"{space}Size"))) for c in root.iter(f"{space}Contents")
            ]
            token = root.findtext(f"{space}NextContinuationToken")
            if root.findtext(f"{space}IsTruncated") != "true":
                return keys
