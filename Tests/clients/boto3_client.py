"""boto3 against a running node.

Environment: KOMORA_S3_URL (https://node:7401), KOMORA_ACCOUNT (also the bucket), KOMORA_ACCESS_KEY, KOMORA_SECRET_KEY,
KOMORA_CA (PEM file). Optional, for the check that accounts are apart: KOMORA_OTHER_ACCOUNT. The bucket should be empty.
"""
import datetime
import hashlib
import io
import os
import socket
import ssl
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from checks import Checks

URL, BUCKET, CA = os.environ["KOMORA_S3_URL"], os.environ["KOMORA_ACCOUNT"], os.environ["KOMORA_CA"]


def client(secret=None, access=None, **options):
    return boto3.client(
        "s3",
        endpoint_url=URL,
        aws_access_key_id=access or os.environ["KOMORA_ACCESS_KEY"],
        aws_secret_access_key=secret or os.environ["KOMORA_SECRET_KEY"],
        region_name="us-east-1",
        verify=CA,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1, "mode": "standard"}, **options),
    )


s3 = client()


def code_of(body):
    try:
        body()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "no error"


def put_and_get(checks):
    for name, body in [("one", b"x"), ("empty", b""), ("five", os.urandom(5 << 20)), ("chunk", os.urandom(256 << 10))]:
        answer = s3.put_object(Bucket=BUCKET, Key=f"basic/{name}", Body=body, ContentType="audio/wav", Metadata={"caller": "+380 44", "n": name})
        checks.equal(answer["ETag"], f'"{hashlib.md5(body).hexdigest()}"', f"ETag of {name}")
        got = s3.get_object(Bucket=BUCKET, Key=f"basic/{name}")
        checks.equal(got["Body"].read(), body, f"body of {name}")
        checks.equal(got["ContentLength"], len(body), f"length of {name}")
        checks.equal(got["ContentType"], "audio/wav", f"type of {name}")
        checks.equal(got["Metadata"], {"caller": "+380 44", "n": name}, f"metadata of {name}")
        head = s3.head_object(Bucket=BUCKET, Key=f"basic/{name}")
        checks.equal((head["ContentLength"], head["ETag"]), (len(body), answer["ETag"]), f"head of {name}")
        age = datetime.datetime.now(datetime.timezone.utc) - head["LastModified"]
        checks.true(abs(age.total_seconds()) < 120, f"time of {name}")
    s3.put_object(Bucket=BUCKET, Key="basic/one", Body=b"second")
    checks.equal(s3.get_object(Bucket=BUCKET, Key="basic/one")["Body"].read(), b"second", "a second put replaces the first")


def keys(checks):
    for key in ["ключ/дзвінок 1.wav", "a+b c&d=e?f#g%41", "dots/../x/./y//z", "quote'\"<>&", "x" * 1024, "~tilde", "(paren)!*"]:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        checks.equal(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), key.encode(), f"key {key[:20]!r}")
    listed = {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    checks.true("quote'\"<>&" in listed and "ключ/дзвінок 1.wav" in listed, "awkward keys are listed as they are")
    checks.equal(code_of(lambda: s3.put_object(Bucket=BUCKET, Key="y" * 1025, Body=b"")), "KeyTooLongError", "a key that is too long")


def checksums(checks):
    body = os.urandom(300_000)
    for algorithm in ["CRC32", "SHA256"]:
        s3.put_object(Bucket=BUCKET, Key=f"sums/{algorithm}", Body=body, ChecksumAlgorithm=algorithm)
        checks.equal(s3.get_object(Bucket=BUCKET, Key=f"sums/{algorithm}")["Body"].read(), body, f"put with {algorithm}")
        s3.put_object(Bucket=BUCKET, Key=f"sums/stream-{algorithm}", Body=Unseekable(body), ContentLength=len(body), ChecksumAlgorithm=algorithm)
        checks.equal(s3.get_object(Bucket=BUCKET, Key=f"sums/stream-{algorithm}")["Body"].read(), body, f"streamed put with {algorithm}")
    wrong = "AAAAAA=="
    checks.equal(code_of(lambda: s3.put_object(Bucket=BUCKET, Key="sums/wrong", Body=body, ChecksumCRC32=wrong)), "BadDigest", "a wrong checksum")
    checks.equal(code_of(lambda: s3.put_object(Bucket=BUCKET, Key="sums/wrong", Body=body, ContentMD5="A" * 22 + "==")), "BadDigest", "a wrong Content-MD5")
    checks.equal(code_of(lambda: s3.head_object(Bucket=BUCKET, Key="sums/wrong")), "404", "nothing of a refused put exists")
    plain = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    plain.put_object(Bucket=BUCKET, Key="sums/plain", Body=body)
    checks.equal(plain.get_object(Bucket=BUCKET, Key="sums/plain")["Body"].read(), body, "a put with a signed hash only")


class Unseekable(io.RawIOBase):
    """A body that can be read once, as from a telephone line."""

    def __init__(self, data):
        super().__init__()
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def ranges(checks):
    body = os.urandom(1_000_000)
    s3.put_object(Bucket=BUCKET, Key="range", Body=body)
    for spec, expected in [
        ("bytes=0-0", body[:1]), ("bytes=5-9", body[5:10]), ("bytes=999990-", body[-10:]), ("bytes=-7", body[-7:]),
        ("bytes=262140-262150", body[262140:262151]), ("bytes=100-2000000", body[100:]), ("bytes=0-999999", body),
    ]:
        got = s3.get_object(Bucket=BUCKET, Key="range", Range=spec)
        checks.equal(got["Body"].read(), expected, spec)
        checks.true(got["ContentRange"].endswith("/1000000"), f"Content-Range of {spec}")
    checks.equal(code_of(lambda: s3.get_object(Bucket=BUCKET, Key="range", Range="bytes=1000000-")), "InvalidRange", "a range behind the end")
    etag = s3.head_object(Bucket=BUCKET, Key="range")["ETag"]
    checks.equal(code_of(lambda: s3.get_object(Bucket=BUCKET, Key="range", IfNoneMatch=etag)), "304", "If-None-Match")
    checks.equal(code_of(lambda: s3.get_object(Bucket=BUCKET, Key="range", IfMatch='"0"')), "PreconditionFailed", "If-Match")
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    checks.equal(code_of(lambda: s3.get_object(Bucket=BUCKET, Key="range", IfModifiedSince=later)), "304", "If-Modified-Since")
    got = s3.get_object(Bucket=BUCKET, Key="range", ResponseContentType="text/x", ResponseContentDisposition='attachment; filename="a"')
    checks.equal((got["ContentType"], got["ContentDisposition"]), ("text/x", 'attachment; filename="a"'), "response overrides")
    checks.equal(code_of(lambda: s3.put_object(Bucket=BUCKET, Key="range", Body=b"", IfNoneMatch="*")), "PreconditionFailed", "put only if absent")


def listing(checks):
    for number in range(25):
        s3.put_object(Bucket=BUCKET, Key=f"list/{number % 5}/{number:02}", Body=b"z" * number)
    first = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")
    checks.equal(first["KeyCount"], 25, "keys under a prefix")
    checks.equal([item["Size"] for item in first["Contents"]][:5], [0, 5, 10, 15, 20], "sizes, in key order")
    grouped = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", Delimiter="/")
    checks.equal([p["Prefix"] for p in grouped["CommonPrefixes"]], [f"list/{n}/" for n in range(5)], "common prefixes")
    checks.true("Contents" not in grouped, "no keys beside the common prefixes")
    for delimiter, expected in [("", 25), ("/", 5)]:
        found = []
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix="list/", Delimiter=delimiter, PaginationConfig={"PageSize": 2}
        ):
            found += [item["Key"] for item in page.get("Contents", [])] + [p["Prefix"] for p in page.get("CommonPrefixes", [])]
            checks.true(page["KeyCount"] <= 2, "a page is not longer than asked for")
        checks.equal((len(found), len(set(found)), found == sorted(found)), (expected, expected, True), f"pages with delimiter {delimiter!r}")
    after = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter="list/4/14")
    checks.equal([item["Key"] for item in after["Contents"]], ["list/4/19", "list/4/24"], "StartAfter")
    old = s3.list_objects(Bucket=BUCKET, Prefix="list/", MaxKeys=3)
    checks.equal((len(old["Contents"]), old["IsTruncated"]), (3, True), "the older form of listing")
    checks.equal(s3.list_objects_v2(Bucket=BUCKET, Prefix="nothing/")["KeyCount"], 0, "an empty prefix")


def deleting(checks):
    s3.put_object(Bucket=BUCKET, Key="gone", Body=b"1")
    s3.delete_object(Bucket=BUCKET, Key="gone")
    checks.equal(code_of(lambda: s3.get_object(Bucket=BUCKET, Key="gone")), "NoSuchKey", "get after delete")
    checks.equal(code_of(lambda: s3.head_object(Bucket=BUCKET, Key="gone")), "404", "head after delete")
    s3.delete_object(Bucket=BUCKET, Key="gone")
    checks.passed += 1
    names = [f"list/{number % 5}/{number:02}" for number in range(25)]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in names + ["quote'\"<>&", "never-there"]]})
    checks.equal(len(answer["Deleted"]), 27, "multi-delete")
    checks.equal(s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")["KeyCount"], 0, "nothing is left")
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "exports/x"}], "Quiet": True})
    checks.equal(answer["Errors"][0]["Code"], "AccessDenied", "exports are read-only")


def concurrency(checks):
    """What S3 promises of requests that overlap: each put is whole or absent, the last one stays, one creator wins."""
    bodies = [bytes([number]) * (200_000 + number) for number in range(8)]
    with ThreadPoolExecutor(16) as pool:
        puts = [pool.submit(s3.put_object, Bucket=BUCKET, Key="same", Body=body) for body in bodies]
        while not all(put.done() for put in puts):
            try:
                checks.true(s3.get_object(Bucket=BUCKET, Key="same")["Body"].read() in bodies, "a get shows one put, whole")
            except ClientError as error:
                checks.equal(error.response["Error"]["Code"], "NoSuchKey", "nothing is there before the first put")
        etags = {put.result()["ETag"] for put in puts}
        last = s3.get_object(Bucket=BUCKET, Key="same")
        checks.true(last["ETag"] in etags and last["Body"].read() in bodies, "one of the puts stays")
        created = [
            pool.submit(code_of, lambda body=body: s3.put_object(Bucket=BUCKET, Key="once", Body=body, IfNoneMatch="*"))
            for body in bodies
        ]
        said = sorted(each.result() for each in created)
        checks.equal(said, ["PreconditionFailed"] * 7 + ["no error"], "of puts that want an absent key one wins")
        got = s3.get_object(Bucket=BUCKET, Key="once")["Body"].read()
        checks.equal(got, bodies[[each.result() for each in created].index("no error")], "and its bytes are there")

        def put_and_list(number):
            s3.put_object(Bucket=BUCKET, Key=f"seen/{number:02}", Body=b"x")
            page = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"seen/{number:02}")
            s3.delete_object(Bucket=BUCKET, Key=f"seen/{number:02}")
            return page["KeyCount"], s3.list_objects_v2(Bucket=BUCKET, Prefix=f"seen/{number:02}")["KeyCount"]

        checks.equal(list(pool.map(put_and_list, range(32))), [(1, 0)] * 32, "a list shows each put and each delete at once")
        s3.put_object(Bucket=BUCKET, Key="read", Body=b"old" * 400_000)
        reading = s3.get_object(Bucket=BUCKET, Key="read")["Body"]
        first = reading.read(10)
        s3.put_object(Bucket=BUCKET, Key="read", Body=b"new")
        s3.delete_object(Bucket=BUCKET, Key="read")
        checks.equal(first + reading.read(), b"old" * 400_000, "a get that has begun ends with the bytes that it began with")


def presigned(checks):
    context = ssl.create_default_context(cafile=CA)
    # Without this boto3 still makes links of Signature V2.
    s3 = client(signature_version="s3v4")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "signed/ä b"}, ExpiresIn=60)
    request = urllib.request.Request(url, data=b"by link", method="PUT", headers={"Content-Type": ""})
    checks.equal(urllib.request.urlopen(request, context=context).status, 200, "presigned put")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "signed/ä b"}, ExpiresIn=60)
    checks.equal(urllib.request.urlopen(url, context=context).read(), b"by link", "presigned get")
    for changed in [url.replace("signed/", "sign3d/"), url + "&x=1", url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")]:
        try:
            urllib.request.urlopen(changed, context=context)
            raise AssertionError(f"a changed link was served: {changed}")
        except urllib.error.HTTPError as error:
            checks.equal(error.code, 403, "a changed link")


def status_of(url):
    try:
        return urllib.request.urlopen(url, context=ssl.create_default_context(cafile=CA)).status
    except urllib.error.HTTPError as error:
        return error.code


def raw(head, body=b""):
    """Sends a request head, waits for an answer, then the body if the answer is 100; gives both answers."""
    host, port = URL.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as plain:
        with ssl.create_default_context(cafile=CA).wrap_socket(plain, server_hostname=host) as connection:
            connection.sendall("\r\n".join(head + ["", ""]).encode())
            first = connection.recv(65536).decode()
            if not first.startswith("HTTP/1.1 100"):
                return first, ""
            connection.sendall(body)
            return first, connection.recv(65536).decode()


def continues(checks):
    url = client(signature_version="s3v4").generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "expected"}, ExpiresIn=60)
    host = URL.removeprefix("https://")
    path = url.removeprefix(URL)
    fields = [f"Host: {host}", "Content-Length: 4", "Expect: 100-continue"]
    first, second = raw([f"PUT {path} HTTP/1.1"] + fields, b"body")
    checks.true(first.startswith("HTTP/1.1 100"), f"an interim answer comes before the body: {first[:60]!r}")
    checks.true(second.startswith("HTTP/1.1 200"), f"then the put succeeds: {second[:60]!r}")
    first, _ = raw([f"PUT {path.replace('Expires=60', 'Expires=61')} HTTP/1.1"] + fields)
    checks.true(first.startswith("HTTP/1.1 403") and "connection: close" in first.lower(), f"a refused body is not sent: {first[:60]!r}")
    # Without the interim answer botocore would read the final one as that of its next request.
    first, second = raw([f"PUT {path} HTTP/1.1", f"Host: {host}", "Content-Length: 0", "Expect: 100-continue", "Connection: close"])
    checks.true(first.startswith("HTTP/1.1 100"), f"an interim answer comes for an empty body too: {first[:60]!r}")
    checks.true("\netag:" in (first + second).lower(), f"and then its ETag: {(first + second)[:160]!r}")
    for name, lines in {
        "two hosts": [f"GET {path} HTTP/1.1", f"Host: {host}", "Host: evil.example"],
        "two ranges": [f"GET {path} HTTP/1.1", f"Host: {host}", "Range: bytes=0-1", "Range: bytes=2-3"],
        "no path": ["GET * HTTP/1.1", f"Host: {host}"],
        "a broken escape": [f"GET /{BUCKET}/%zz HTTP/1.1", f"Host: {host}"],
    }.items():
        first, _ = raw(lines)
        checks.true(first.startswith("HTTP/1.1 400"), f"{name}: {first[:60]!r}")
    signed = client(signature_version="s3v4").generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "range"}).removeprefix(URL)
    first, _ = raw([f"GET {signed} HTTP/1.1", f"Host: {host}", "Connection: close"])
    checks.true(first.startswith("HTTP/1.1 200"), f"a signed get: {first[:60]!r}")
    # An absolute target means its path; whose host it names decides nothing, the signed Host does.
    elsewhere = signed.replace(f"/{BUCKET}/", "/somebody-else/")
    for what, target, name, wanted in [
        ("as it was signed", URL + signed, host, "200"), ("of another host than the signed one", URL + signed, "evil.example", "403"),
        ("with another path", URL + elsewhere, host, "403"), ("with a path in place of its host", f"https:///{BUCKET}/range", host, "403"),
        ("with dots", URL + signed.replace("/range", "/x/../range"), host, "403"),
    ]:
        first, _ = raw([f"GET {target} HTTP/1.1", f"Host: {name}", "Connection: close"])
        checks.true(first.startswith(f"HTTP/1.1 {wanted}"), f"an absolute target {what}: {first[:60]!r}")
    other = os.environ.get("KOMORA_OTHER_ACCOUNT", "somebody-else")
    for key in [f"../{other}/range", f"..%2f{other}/range", f"/../../{other}/range"]:
        checks.equal(code_of(lambda: s3.get_object(Bucket=BUCKET, Key=key)), "NoSuchKey", f"{key} is only a key")


def refused(checks):
    checks.equal(code_of(lambda: client(secret="wrong").get_object(Bucket=BUCKET, Key="range")), "SignatureDoesNotMatch", "a wrong secret")
    checks.equal(code_of(lambda: client(access="KMNOBODY").list_objects_v2(Bucket=BUCKET)), "InvalidAccessKeyId", "an unknown key")
    for other in [os.environ.get("KOMORA_OTHER_ACCOUNT", "somebody-else"), "never-existed-at-all"]:
        for what, body in [
            ("list", lambda: s3.list_objects_v2(Bucket=other)), ("get", lambda: s3.get_object(Bucket=other, Key="range")),
            ("put", lambda: s3.put_object(Bucket=other, Key="x", Body=b"x")), ("delete", lambda: s3.delete_object(Bucket=other, Key="x")),
        ]:
            checks.equal(code_of(body), "AccessDenied", f"{what} in a foreign bucket")
    checks.equal([b["Name"] for b in s3.list_buckets()["Buckets"]], [BUCKET], "only the own bucket is listed")
    s3.head_bucket(Bucket=BUCKET)
    checks.equal(s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"], None, "location")
    signing = client(signature_version="s3v4")
    for name in ["ContentType", "ContentDisposition", "ContentLanguage", "ContentEncoding", "CacheControl"]:
        for bad in ["text/x\r\nX-Evil: 1", "text/x\nX-Evil: 1", "text/x\x00"]:
            params = {"Bucket": BUCKET, "Key": "range", "Response" + name: bad}
            checks.equal(status_of(signing.generate_presigned_url("get_object", Params=params)), 400, f"Response{name} with {bad!r}")
    for what, body in [
        ("put", lambda: s3.put_object(Bucket=BUCKET, Key="exports/x", Body=b"")), ("delete", lambda: s3.delete_object(Bucket=BUCKET, Key="exports/x")),
        ("upload in parts", lambda: s3.create_multipart_upload(Bucket=BUCKET, Key="exports/x")),
        ("part", lambda: s3.upload_part(Bucket=BUCKET, Key="exports/x", UploadId="0" * 32, PartNumber=1, Body=b"")),
        ("tags", lambda: s3.put_object_tagging(Bucket=BUCKET, Key="exports/x", Tagging={"TagSet": []})),
    ]:
        checks.equal(code_of(body), "AccessDenied", f"{what} below exports/")
    try:
        urllib.request.urlopen(f"{URL}/{BUCKET}/range", context=ssl.create_default_context(cafile=CA))
        raise AssertionError("a request without credentials was served")
    except urllib.error.HTTPError as error:
        checks.equal(error.code, 403, "no credentials")


if __name__ == "__main__":
    Checks("boto3").run(put_and_get, keys, checksums, ranges, listing, deleting, concurrency, presigned, continues, refused)
