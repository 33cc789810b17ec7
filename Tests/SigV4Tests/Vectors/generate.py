"""Writes botocore.json: requests signed by botocore, the reference client, for the verifier's tests.

Run it by hand when a case is added: `python3 generate.py` with boto3 installed. Times are fixed, so the file changes only
when botocore signs in another way.
"""
import base64
import datetime
import io
import json
from unittest import mock

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum, Sha256Checksum

ACCESS, SECRET = "KMTESTACCESSKEY00001", "test/secret+key=for/vectors0123456789abcd"
NOW = datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.timezone.utc)
HOST = "https://node.example:7401"


def frozen():
    return mock.patch.multiple(
        "botocore.auth", get_current_datetime=lambda *a, **k: NOW.replace(tzinfo=None)
    )


def case(name, method, path, headers=None, params=None, body=b"", presign=None, wrapper=None, unsigned=False):
    headers = dict(headers or {})
    data = body
    if wrapper is not None:
        data = wrapper.read()
    request = AWSRequest(method=method, url=HOST + path, headers=headers, params=params or {}, data=body)
    if unsigned:
        request.context["has_streaming_input"] = True
        request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    if wrapper is not None:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    auth = (
        S3SigV4QueryAuth(Credentials(ACCESS, SECRET), "s3", "eu-central-1", expires=presign)
        if presign
        else S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", "eu-central-1")
    )
    with frozen():
        auth.add_auth(request)
    prepared = request.prepare()
    target = prepared.url[len(HOST):]
    fields = [["host", "node.example:7401"]]
    for key, value in prepared.headers.items():
        value = value.decode() if isinstance(value, bytes) else str(value)
        if key.lower() not in ("host", "transfer-encoding", "content-length"):
            fields.append([key, value])
    fields.append(["Content-Length", str(len(data))])
    return {
        "name": name,
        "method": method,
        "target": target,
        "fields": fields,
        "body": base64.b64encode(data).decode(),
        "payload": base64.b64encode(body).decode(),
    }


def chunked(body, checksum, name):
    return AwsChunkedWrapper(io.BytesIO(body), checksum_cls=checksum, checksum_name=name, chunk_size=1000)


def trailer_fields(body, name):
    return {
        "x-amz-trailer": name,
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": str(len(body)),
        "x-amz-sdk-checksum-algorithm": "CRC32",
    }


text = bytes(range(256)) * 11
cases = [
    case("get", "GET", "/acme/calls/one.wav"),
    case("get range", "GET", "/acme/calls/one.wav", {"Range": "bytes=5-9"}),
    case("encoded key", "GET", "/acme/a%20b/%D0%B7%D0%B2%D1%96%D0%BD%2B%28x%29%27%21%2A~.wav"),
    case("dots and empty segments", "GET", "/acme/a/../b//./c"),
    case("list", "GET", "/acme", params={"list-type": "2", "prefix": "calls/ä b", "delimiter": "/", "max-keys": "5"}),
    case("sub-resource without value", "GET", "/acme?location"),
    case("delete", "DELETE", "/acme/calls/one.wav"),
    case("put", "PUT", "/acme/k", {"x-amz-meta-name": "  two   blanks ", "Content-Type": "audio/wav"}, body=text),
    case("empty put", "PUT", "/acme/k", body=b""),
    case("unsigned put", "PUT", "/acme/k", body=text, unsigned=True),
    case("post", "POST", "/acme?delete", {"Content-MD5": "rL0Y20zC+Fzt72VPzMSk2A=="}, body=b"<Delete></Delete>"),
    case("presigned get", "GET", "/acme/calls/one.wav", presign=3600),
    case("presigned get with overrides", "GET", "/acme/x%20y?response-content-type=a%2Fb", presign=604800),
    case("presigned put", "PUT", "/acme/k", presign=60),
    case(
        "trailing crc32", "PUT", "/acme/k", trailer_fields(text, "x-amz-checksum-crc32"), body=text,
        wrapper=chunked(text, Crc32Checksum, "x-amz-checksum-crc32"),
    ),
    case(
        "trailing sha256", "PUT", "/acme/k", trailer_fields(text, "x-amz-checksum-sha256"), body=text,
        wrapper=chunked(text, Sha256Checksum, "x-amz-checksum-sha256"),
    ),
    case(
        "empty body with trailing crc32", "PUT", "/acme/k", trailer_fields(b"", "x-amz-checksum-crc32"), body=b"",
        wrapper=chunked(b"", Crc32Checksum, "x-amz-checksum-crc32"),
    ),
]
with open("botocore.json", "w") as out:
    json.dump({"access": ACCESS, "secret": SECRET, "now": int(NOW.timestamp()), "cases": cases}, out, indent=1)
    out.write("\n")
