"""boto3 against a running node: uploads in parts, copies, tags, stored fields, additional checksums.

Environment as for boto3_client.py.
"""
import base64
import datetime
import hashlib
import os
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from boto3_client import BUCKET, client, code_of, s3
from checks import Checks

MIB = 1 << 20
OTHER = os.environ.get("KOMORA_OTHER_ACCOUNT", "somebody-else")


def begin(key, **options):
    return s3.create_multipart_upload(Bucket=BUCKET, Key=key, **options)["UploadId"]


def part(key, upload, number, body, **options):
    answer = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=body, **options)
    sums = {name: value for name, value in answer.items() if name.startswith("Checksum") and name != "ChecksumType"}
    return {"PartNumber": number, "ETag": answer["ETag"], **sums}


def complete(key, upload, parts, **options):
    return s3.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **options
    )


def etag_of(bodies):
    return '"%s-%d"' % (hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest(), len(bodies))


def get(key, **options):
    return s3.get_object(Bucket=BUCKET, Key=key, **options)["Body"].read()


def big(checks):
    """What a program does with a large file: many parts at once, up and down again."""
    body = os.urandom(64 * MIB + 12_345)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=8)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "big")
        with open(path, "wb") as file:
            file.write(body)
        s3.upload_file(path, BUCKET, "parts/великий.wav", Config=config, ExtraArgs={"Metadata": {"a": "1"}, "ContentType": "audio/wav"})
        head = s3.head_object(Bucket=BUCKET, Key="parts/великий.wav")
        bodies = [body[at : at + 8 * MIB] for at in range(0, len(body), 8 * MIB)]
        checks.equal(head["ETag"], etag_of(bodies), "the ETag of an object of nine parts")
        checks.equal((head["ContentLength"], head["ContentType"], head["Metadata"]), (len(body), "audio/wav", {"a": "1"}), "its head")
        s3.download_file(BUCKET, "parts/великий.wav", path + ".back", Config=config)
        with open(path + ".back", "rb") as file:
            checks.true(file.read() == body, "its bytes, fetched in ranges by eight connections")
    checks.true(get("parts/великий.wav") == body, "its bytes, fetched at once")
    at = 8 * MIB - 3
    checks.equal(get("parts/великий.wav", Range=f"bytes={at}-{at + 9}"), body[at : at + 10], "a range over two parts")
    for number in [1, 5, 9]:
        answer = s3.get_object(Bucket=BUCKET, Key="parts/великий.wav", PartNumber=number)
        checks.true(answer["Body"].read() == bodies[number - 1], f"part {number} alone")
        checks.equal(answer["PartsCount"], 9, "and the number of parts")
    checks.equal(code_of(lambda: s3.head_object(Bucket=BUCKET, Key="parts/великий.wav", PartNumber=10)), "416", "no part 10")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="parts/")["Contents"]
    checks.equal([(item["Key"], item["ETag"]) for item in listed], [("parts/великий.wav", etag_of(bodies))], "it is listed with that ETag")
    checks.true("Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET), "no upload is left open")


def step_by_step(checks):
    first, second, last = os.urandom(5 * MIB), os.urandom(6 * MIB + 1), b"the end"
    upload = begin("steps/one", ContentType="audio/x", CacheControl="no-store", Tagging="line=7")
    checks.equal(code_of(lambda: s3.get_object(Bucket=BUCKET, Key="steps/one")), "NoSuchKey", "nothing is there before the end")
    with ThreadPoolExecutor(3) as pool:
        sent = {number: pool.submit(part, "steps/one", upload, number, body) for number, body in [(7, last), (3, second), (2, os.urandom(5 * MIB))]}
        parts = {number: each.result() for number, each in sent.items()}
    parts[2] = part("steps/one", upload, 2, first)
    found = s3.list_parts(Bucket=BUCKET, Key="steps/one", UploadId=upload)
    checks.equal([(p["PartNumber"], p["Size"], p["ETag"]) for p in found["Parts"]],
                 [(n, len(b), f'"{hashlib.md5(b).hexdigest()}"') for n, b in [(2, first), (3, second), (7, last)]], "the parts, the replaced one too")
    pages = [page["Parts"][0]["PartNumber"] for page in s3.get_paginator("list_parts").paginate(
        Bucket=BUCKET, Key="steps/one", UploadId=upload, PaginationConfig={"PageSize": 1})]
    checks.equal(pages, [2, 3, 7], "the parts in pages")
    wrong = dict(parts[3], ETag='"00000000000000000000000000000000"')
    wrong = {"PartNumber": 3, "ETag": wrong["ETag"]}
    for what, wanted, listed in [
        ("another ETag", "InvalidPart", [parts[2], wrong, parts[7]]),
        ("a part that is not there", "InvalidPart", [parts[2], {"PartNumber": 4, "ETag": parts[3]["ETag"]}]),
        ("the wrong order", "InvalidPartOrder", [parts[3], parts[2]]),
        ("a part twice", "InvalidPartOrder", [parts[2], parts[2]]),
        ("a short part in front", "EntityTooSmall", [{**parts[7], "PartNumber": 7}, *([part("steps/one", upload, 8, last)])]),
        ("no part", "MalformedXML", []),
    ]:
        checks.equal(code_of(lambda: complete("steps/one", upload, listed)), wanted, what)
    checks.equal(code_of(lambda: complete("steps/other", upload, [parts[2]])), "NoSuchUpload", "an upload belongs to its key")
    answer = complete("steps/one", upload, [parts[2], parts[3], parts[7]])
    checks.equal(answer["ETag"], etag_of([first, second, last]), "completed")
    again = complete("steps/one", upload, [parts[2], parts[3], parts[7]])
    checks.equal(again["ETag"], answer["ETag"], "completed again, as after a lost answer: the same")
    got = s3.get_object(Bucket=BUCKET, Key="steps/one")
    checks.true(got["Body"].read() == first + second + last, "the bytes of the listed parts")
    checks.equal((got["ContentType"], got["CacheControl"], got["TagCount"]), ("audio/x", "no-store", 1), "what was said at the beginning")
    checks.equal(code_of(lambda: part("steps/one", upload, 1, b"x")), "NoSuchUpload", "a completed upload takes no parts")

    upload = begin("steps/one")
    parts = [part("steps/one", upload, 1, b"small")]
    checks.equal(code_of(lambda: complete("steps/one", upload, parts, IfNoneMatch="*")), "PreconditionFailed", "complete only if absent")
    checks.equal(complete("steps/one", upload, parts, IfMatch=answer["ETag"])["ETag"], etag_of([b"small"]), "complete over what was there")
    checks.equal(get("steps/one"), b"small", "the new bytes")


def given_up(checks):
    uploads = [begin(f"gone/{number % 2}") for number in range(4)]
    part("gone/0", uploads[0], 1, b"x" * 100)
    found = s3.list_multipart_uploads(Bucket=BUCKET, Prefix="gone/")["Uploads"]
    checks.equal(sorted((u["Key"], u["UploadId"]) for u in found), sorted((f"gone/{n % 2}", u) for n, u in enumerate(uploads)), "open uploads")
    pages = [u["UploadId"] for page in s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=BUCKET, Prefix="gone/", PaginationConfig={"PageSize": 1}) for u in page.get("Uploads", [])]
    checks.equal(sorted(pages), sorted(uploads), "open uploads in pages, each once")
    for number, upload in enumerate(uploads):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=f"gone/{number % 2}", UploadId=upload)
    checks.true("Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="gone/"), "none is left")
    for what, body in [
        ("part", lambda: part("gone/0", uploads[0], 1, b"x")), ("list", lambda: s3.list_parts(Bucket=BUCKET, Key="gone/0", UploadId=uploads[0])),
        ("complete", lambda: complete("gone/0", uploads[0], [{"PartNumber": 1, "ETag": "x"}])),
        ("abort", lambda: s3.abort_multipart_upload(Bucket=BUCKET, Key="gone/0", UploadId=uploads[0])),
        ("a made-up id", lambda: part("gone/0", "0" * 32, 1, b"x")), ("a strange id", lambda: part("gone/0", "../x", 1, b"x")),
    ]:
        checks.equal(code_of(body), "NoSuchUpload", f"{what} of an upload that is not there")
    checks.equal(code_of(lambda: part("gone/0", begin("gone/0"), 10_001, b"x")), "InvalidArgument", "a part number that is too large")
    for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])


def checksums(checks):
    first, last = os.urandom(5 * MIB), os.urandom(1000)

    def value(algorithm, data):
        if algorithm == "CRC32":
            return zlib.crc32(data).to_bytes(4, "big")
        return hashlib.new(algorithm, data).digest()

    for algorithm in ["SHA1", "SHA256", "CRC32"]:
        key = f"sums/parts-{algorithm}"
        upload = begin(key, ChecksumAlgorithm=algorithm)
        parts = [part(key, upload, n, body, ChecksumAlgorithm=algorithm) for n, body in [(1, first), (2, last)]]
        listed = s3.list_parts(Bucket=BUCKET, Key=key, UploadId=upload)
        checks.equal([p["Checksum" + algorithm] for p in listed["Parts"]], [p["Checksum" + algorithm] for p in parts], f"{algorithm} of the parts")
        if algorithm != "CRC32":
            bad = [dict(parts[0], **{"Checksum" + algorithm: parts[1]["Checksum" + algorithm]}), parts[1]]
            checks.equal(code_of(lambda: complete(key, upload, bad)), "InvalidPart", f"another {algorithm} of a part")
        answer = complete(key, upload, parts)
        joined = base64.b64encode(value(algorithm, value(algorithm, first) + value(algorithm, last))).decode() + "-2"
        checks.equal(answer["Checksum" + algorithm], joined, f"{algorithm} of {algorithm}s")
        head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        checks.equal((head["Checksum" + algorithm], head["ChecksumType"]), (joined, "COMPOSITE"), f"{algorithm} is kept")
        checks.true(get(key, ChecksumMode="ENABLED") == first + last, f"the bytes beside {algorithm}")

    whole = base64.b64encode(value("CRC32", first + last)).decode()
    for said, wanted in [("AAAAAA==", "BadDigest"), (whole, "no error")]:
        upload = begin("sums/whole", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        parts = [part("sums/whole", upload, n, body, ChecksumAlgorithm="CRC32") for n, body in [(1, first), (2, last)]]
        got = code_of(lambda: complete("sums/whole", upload, parts, ChecksumCRC32=said, ChecksumType="FULL_OBJECT"))
        checks.equal(got, wanted, f"a checksum of the whole object: {said}")
    head = s3.head_object(Bucket=BUCKET, Key="sums/whole", ChecksumMode="ENABLED")
    checks.equal((head["ChecksumCRC32"], head["ChecksumType"]), (whole, "FULL_OBJECT"), "it is kept")
    checks.equal(code_of(lambda: begin("x", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")), "InvalidRequest", "no SHA-256 of a whole object from parts")

    for algorithm in ["SHA1", "SHA256", "CRC32"]:
        answer = s3.put_object(Bucket=BUCKET, Key="sums/one", Body=last, ChecksumAlgorithm=algorithm)
        right = base64.b64encode(value(algorithm, last)).decode()
        checks.equal(answer["Checksum" + algorithm], right, f"a put tells its {algorithm}")
        checks.equal(s3.head_object(Bucket=BUCKET, Key="sums/one", ChecksumMode="ENABLED")["Checksum" + algorithm], right, f"{algorithm} of a put is kept")
        checks.equal(get("sums/one", ChecksumMode="ENABLED"), last, "boto3 compares it")
    checks.true("ChecksumCRC32" not in s3.get_object(Bucket=BUCKET, Key="sums/one", Range="bytes=0-3", ChecksumMode="ENABLED"), "a range has none")
    wrong = base64.b64encode(b"\0" * 20).decode()
    checks.equal(code_of(lambda: s3.put_object(Bucket=BUCKET, Key="sums/wrong", Body=last, ChecksumSHA1=wrong)), "BadDigest", "a wrong SHA-1")


def copies(checks):
    body = os.urandom(3 * MIB + 17)
    s3.put_object(Bucket=BUCKET, Key="from/ä +%", Body=body, ContentType="audio/wav", Metadata={"n": "1"}, CacheControl="private",
                  Tagging="a=b%20c&d=", ChecksumAlgorithm="SHA256")
    source = {"Bucket": BUCKET, "Key": "from/ä +%"}
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    answer = s3.copy_object(Bucket=BUCKET, Key="to/same", CopySource=source)
    checks.equal(answer["CopyObjectResult"]["ETag"], etag, "ETag of a copy")
    got = s3.get_object(Bucket=BUCKET, Key="to/same", ChecksumMode="ENABLED")
    checks.true(got["Body"].read() == body, "bytes of a copy")
    checks.equal((got["ContentType"], got["Metadata"], got["CacheControl"], got["TagCount"]), ("audio/wav", {"n": "1"}, "private", 2), "what comes along")
    checks.equal(got["ChecksumSHA256"], base64.b64encode(hashlib.sha256(body).digest()).decode(), "its checksum comes along")
    s3.copy_object(Bucket=BUCKET, Key="to/new", CopySource=source, MetadataDirective="REPLACE", Metadata={"m": "2"}, ContentType="x/y",
                   TaggingDirective="REPLACE", Tagging="t=u")
    got = s3.head_object(Bucket=BUCKET, Key="to/new")
    checks.equal((got["ContentType"], got["Metadata"], got.get("CacheControl")), ("x/y", {"m": "2"}, None), "replaced metadata")
    checks.equal(s3.get_object_tagging(Bucket=BUCKET, Key="to/new")["TagSet"], [{"Key": "t", "Value": "u"}], "replaced tags")
    s3.copy_object(Bucket=BUCKET, Key="to/sum", CopySource=source, ChecksumAlgorithm="CRC32")
    got = s3.head_object(Bucket=BUCKET, Key="to/sum", ChecksumMode="ENABLED")
    checks.equal(got["ChecksumCRC32"], base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(), "a copy with a checksum of its own")
    s3.delete_object(Bucket=BUCKET, Key="from/ä +%")
    checks.true(get("to/same") == body, "a copy does not need its source")

    same = {"Bucket": BUCKET, "Key": "to/same"}
    checks.equal(code_of(lambda: s3.copy_object(Bucket=BUCKET, Key="to/same", CopySource=same)), "InvalidRequest", "a copy to itself that changes nothing")
    s3.copy_object(Bucket=BUCKET, Key="to/same", CopySource=same, MetadataDirective="REPLACE", Metadata={"again": "yes"})
    got = s3.get_object(Bucket=BUCKET, Key="to/same")
    checks.equal((got["Metadata"], got["ETag"], got["Body"].read() == body), ({"again": "yes"}, etag, True), "a copy to itself changes metadata only")

    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    for what, wanted, options in [
        ("an ETag that it has", "no error", {"CopySourceIfMatch": etag}), ("another ETag", "PreconditionFailed", {"CopySourceIfMatch": '"0"'}),
        ("unless it has this ETag", "PreconditionFailed", {"CopySourceIfNoneMatch": etag}),
        ("if modified after tomorrow", "PreconditionFailed", {"CopySourceIfModifiedSince": later}),
        ("if not modified after tomorrow", "no error", {"CopySourceIfUnmodifiedSince": later}),
        ("a directive that is none", "InvalidArgument", {"MetadataDirective": "KEEP"}),
    ]:
        checks.equal(code_of(lambda: s3.copy_object(Bucket=BUCKET, Key="to/if", CopySource=same, **options)), wanted, f"copy: {what}")
    for what, wanted, source in [
        ("nothing there", "NoSuchKey", {"Bucket": BUCKET, "Key": "never"}), ("a foreign bucket", "AccessDenied", {"Bucket": OTHER, "Key": "range"}),
        ("a bucket that is none", "AccessDenied", {"Bucket": "never-existed-at-all", "Key": "x"}),
        ("dots to a foreign bucket", "NoSuchKey", f"{BUCKET}/../{OTHER}/range"),
        ("no key", "InvalidArgument", f"{BUCKET}"), ("a version", "NotImplemented", {**same, "VersionId": "1"}),
    ]:
        checks.equal(code_of(lambda: s3.copy_object(Bucket=BUCKET, Key="to/x", CopySource=source)), wanted, f"copy of {what}")
    checks.equal(code_of(lambda: s3.copy_object(Bucket=BUCKET, Key="exports/x", CopySource=same)), "AccessDenied", "exports are read-only")

    upload = begin("to/parts")
    first = s3.upload_part_copy(Bucket=BUCKET, Key="to/parts", UploadId=upload, PartNumber=1, CopySource={"Bucket": BUCKET, "Key": "parts/великий.wav"}, CopySourceRange="bytes=100-6000099")
    second = s3.upload_part_copy(Bucket=BUCKET, Key="to/parts", UploadId=upload, PartNumber=2, CopySource=same)
    complete("to/parts", upload, [{"PartNumber": n, "ETag": p["CopyPartResult"]["ETag"]} for n, p in [(1, first), (2, second)]])
    checks.true(get("to/parts") == get("parts/великий.wav", Range="bytes=100-6000099") + body, "parts that are copies")
    s3.copy_object(Bucket=BUCKET, Key="to/flat", CopySource={"Bucket": BUCKET, "Key": "to/parts"})
    flat = s3.head_object(Bucket=BUCKET, Key="to/flat")
    checks.equal(flat["ETag"], f'"{hashlib.md5(get("to/parts")).hexdigest()}"', "a copy of an object of parts is one piece")
    upload = begin("to/parts")
    for what, source, span in [("behind the end", same, f"bytes=0-{len(body)}"), ("an open end", same, "bytes=5-"), ("nonsense", same, "bytes=a-b")]:
        checks.equal(code_of(lambda: s3.upload_part_copy(Bucket=BUCKET, Key="to/parts", UploadId=upload, PartNumber=1, CopySource=source, CopySourceRange=span)),
                     "InvalidArgument", f"a range of a source {what}")
    foreign = {"Bucket": OTHER, "Key": "range"}
    checks.equal(code_of(lambda: s3.upload_part_copy(Bucket=BUCKET, Key="to/parts", UploadId=upload, PartNumber=1, CopySource=foreign)), "AccessDenied", "a part of a foreign object")
    s3.abort_multipart_upload(Bucket=BUCKET, Key="to/parts", UploadId=upload)


def tags(checks):
    s3.put_object(Bucket=BUCKET, Key="tagged", Body=b"x", Tagging="agent=%D0%86%D0%B2%D0%B0%D0%BD+1&empty=")
    read = lambda: s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"]
    checks.equal(read(), [{"Key": "agent", "Value": "Іван 1"}, {"Key": "empty", "Value": ""}], "tags of a put")
    before = s3.head_object(Bucket=BUCKET, Key="tagged")["LastModified"]
    new = [{"Key": f"k<&>{n}", "Value": "v" * 256} for n in range(10)]
    s3.put_object_tagging(Bucket=BUCKET, Key="tagged", Tagging={"TagSet": new})
    checks.equal(read(), new, "ten tags of the greatest length")
    checks.equal(s3.head_object(Bucket=BUCKET, Key="tagged")["LastModified"], before, "tags make no newer object")
    for what, code, bad in [
        ("eleven tags", "BadRequest", [{"Key": str(n), "Value": ""} for n in range(11)]), ("a tag twice", "InvalidTag", [{"Key": "a", "Value": "1"}] * 2),
        ("a long key", "InvalidTag", [{"Key": "k" * 129, "Value": ""}]), ("a long value", "InvalidTag", [{"Key": "k", "Value": "v" * 257}]),
    ]:
        checks.equal(code_of(lambda: s3.put_object_tagging(Bucket=BUCKET, Key="tagged", Tagging={"TagSet": bad})), code, what)
    checks.equal(read(), new, "what was refused changed nothing")
    s3.delete_object_tagging(Bucket=BUCKET, Key="tagged")
    checks.equal(read(), [], "no tags after their deletion")
    checks.equal(get("tagged"), b"x", "the object stays")
    checks.equal(code_of(lambda: s3.put_object_tagging(Bucket=BUCKET, Key="never", Tagging={"TagSet": []})), "NoSuchKey", "tags of nothing")


def stored_fields(checks):
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    wanted = {"CacheControl": "max-age=60", "ContentDisposition": 'attachment; filename="ä.wav"'.encode().decode("latin-1"), "ContentEncoding": "gzip",
              "ContentLanguage": "uk"}
    wanted["ContentDisposition"] = 'attachment; filename="a.wav"'
    s3.put_object(Bucket=BUCKET, Key="fields", Body=b"x", Expires=expires, **wanted)
    head = s3.head_object(Bucket=BUCKET, Key="fields")
    checks.equal({name: head.get(name) for name in wanted}, wanted, "fields that replies repeat")
    checks.equal(head["ExpiresString"], "Wed, 02 Jan 2030 03:04:05 GMT", "Expires too")
    got = s3.get_object(Bucket=BUCKET, Key="fields", ResponseCacheControl="no-cache")
    checks.equal(got["CacheControl"], "no-cache", "what the request says goes before")
    checks.equal(code_of(lambda: s3.put_object(Bucket=BUCKET, Key="fields", Body=b"", CacheControl="x" * 1025)), "MetadataTooLarge", "a field that is too long")


def named(checks):
    """What is not done is refused by name, and never served as something else."""
    lock = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    for name, body in [
        ("policy", lambda: s3.get_bucket_policy(Bucket=BUCKET)), ("versions", lambda: s3.list_object_versions(Bucket=BUCKET)),
        ("versionId", lambda: s3.get_object(Bucket=BUCKET, Key="fields", VersionId="1")),
        ("versionId", lambda: s3.delete_object(Bucket=BUCKET, Key="fields", VersionId="1")),
        ("acl", lambda: s3.put_object_acl(Bucket=BUCKET, Key="fields", ACL="private")), ("torrent", lambda: s3.get_object_torrent(Bucket=BUCKET, Key="fields")),
        ("attributes", lambda: s3.get_object_attributes(Bucket=BUCKET, Key="fields", ObjectAttributes=["ETag"])),
        ("lifecycle", lambda: s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)), ("cors", lambda: s3.get_bucket_cors(Bucket=BUCKET)),
        ("restore", lambda: s3.restore_object(Bucket=BUCKET, Key="fields", RestoreRequest={})),
        ("select", lambda: s3.select_object_content(Bucket=BUCKET, Key="fields", Expression="", ExpressionType="SQL", InputSerialization={}, OutputSerialization={})),
        ("x-amz-website-redirect-location", lambda: s3.put_object(Bucket=BUCKET, Key="no", Body=b"", WebsiteRedirectLocation="/x")),
        ("x-amz-object-lock", lambda: s3.put_object(Bucket=BUCKET, Key="no", Body=b"", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=lock)),
        ("x-amz-server-side-encryption", lambda: s3.put_object(Bucket=BUCKET, Key="no", Body=b"", ServerSideEncryption="aws:kms")),
        ("x-amz-storage-class", lambda: s3.put_object(Bucket=BUCKET, Key="no", Body=b"", StorageClass="GLACIER")),
        ("x-amz-acl", lambda: s3.put_object(Bucket=BUCKET, Key="no", Body=b"", ACL="public-read")),
    ]:
        try:
            body()
            raise AssertionError(f"{name} was served")
        except ClientError as error:
            said = error.response["Error"]
            checks.true(said["Code"] == "NotImplemented" and name in said.get("Message", name), f"{name} answers 501 by name: {said}")
    checks.equal(get("fields"), b"x", "the object is as it was")
    checks.equal(code_of(lambda: s3.head_object(Bucket=BUCKET, Key="no")), "404", "and nothing new is there")
    grants = s3.get_object_acl(Bucket=BUCKET, Key="fields")["Grants"]
    checks.equal([grant["Permission"] for grant in grants], ["FULL_CONTROL"], "the account may do everything, and nobody else anything")
    checks.equal(s3.get_bucket_versioning(Bucket=BUCKET).get("Status"), None, "nothing is kept under older versions")
    checks.equal(code_of(lambda: s3.create_bucket(Bucket=BUCKET)), "BucketAlreadyOwnedByYou", "the bucket is there")


if __name__ == "__main__":
    Checks("boto3 parts").run(big, step_by_step, given_up, checksums, copies, tags, stored_fields, named)
