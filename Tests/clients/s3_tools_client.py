"""The command-line tools that people have, against a running node: awscli, rclone, s3cmd.

Environment as for boto3_client.py. The tools are Debian's.
"""
import hashlib
import os
import random
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlparse

from checks import Checks

URL, BUCKET, CA = os.environ["KOMORA_S3_URL"], os.environ["KOMORA_ACCOUNT"], os.environ["KOMORA_CA"]
ACCESS, SECRET = os.environ["KOMORA_ACCESS_KEY"], os.environ["KOMORA_SECRET_KEY"]
HOST = urlparse(URL).netloc
HOME = tempfile.TemporaryDirectory()
NAMES = ["a.wav", "b/2026-11-22 10:15.wav", "b/дзвінок №1 (запис).wav", "c/d/e/deep.bin", "c/empty", "x y/+&%#.txt"]


def run(*command, expect=0, **more):
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": HOME.name, "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1", "LANG": "C.UTF-8", "SSL_CERT_FILE": CA,
    }
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, **more)
    if (done.returncode == 0) != (expect == 0):
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def tree(directory):
    """A tree of files, one of them large enough to go in parts."""
    source = random.Random(5)
    for name in NAMES:
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "c/empty" else source.randbytes(source.randrange(1, 400_000)))
    Path(directory, "large.bin").write_bytes(source.randbytes(21 << 20))


def sums(directory):
    files = [path for path in Path(directory).rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def there_and_back(checks, name, up, down):
    with tempfile.TemporaryDirectory() as directory:
        here, back = Path(directory, "here"), Path(directory, "back")
        here.mkdir(), back.mkdir()
        tree(here)
        up(str(here))
        down(str(back))
        checks.equal(sums(back), sums(here), f"{name}: every file comes back")
        return sums(here)


def awscli(checks):
    def aws(*words, **more):
        return run("/usr/bin/aws", "--endpoint-url", URL, "--ca-bundle", CA, *words, **more)

    target = f"s3://{BUCKET}/awscli"
    files = there_and_back(
        checks, "awscli", lambda here: aws("s3", "sync", here, target, "--only-show-errors"),
        lambda back: aws("s3", "sync", target, back, "--only-show-errors"))
    listed = aws("s3", "ls", target + "/", "--recursive").splitlines()
    checks.equal(len(listed), len(files), "awscli lists them")
    aws("s3", "cp", target + "/a.wav", target + "/copied.wav", "--only-show-errors")
    aws("s3", "mv", target + "/large.bin", target + "/moved.bin", "--only-show-errors")
    kept = {line.split(maxsplit=3)[3] for line in aws("s3", "ls", target + "/", "--recursive").splitlines()}
    checks.true("awscli/copied.wav" in kept and "awscli/moved.bin" in kept and "awscli/large.bin" not in kept, "awscli copies and moves in the bucket")
    link = aws("s3", "presign", target + "/a.wav").strip()
    checks.equal(run("/usr/bin/curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", CA, link), "200", "the link is served")
    aws("s3", "rm", target, "--recursive", "--only-show-errors")
    checks.equal(aws("s3", "ls", target + "/", "--recursive", expect=1), "", "awscli removes them")


def rclone(checks):
    config = Path(HOME.name, "rclone.conf")
    config.write_text(
        f"[komora]\ntype = s3\nprovider = Other\naccess_key_id = {ACCESS}\nsecret_access_key = {SECRET}\n"
        f"endpoint = {URL}\nregion = us-east-1\nforce_path_style = true\nchunk_size = 5M\nupload_cutoff = 6M\n"
    )

    def tool(*words, **more):
        return run("/usr/bin/rclone", "--config", str(config), "--ca-cert", CA, "--retries", "1", *words, **more)

    target = f"komora:{BUCKET}/rclone"
    with tempfile.TemporaryDirectory() as here:
        tree(here)
        tool("sync", here, target)
        tool("check", here, target)
        tool("check", "--download", here, target)
        checks.passed += 2
        Path(here, "a.wav").write_bytes(b"changed")
        Path(here, "c/empty").unlink()
        Path(here, "new.bin").write_bytes(b"new" * 1000)
        tool("check", here, target, expect=1)
        tool("sync", here, target)
        tool("check", here, target)
        checks.passed += 2
        with tempfile.TemporaryDirectory() as back:
            tool("sync", target, back)
            checks.equal(sums(back), sums(here), "rclone: every file comes back")
        os.utime(Path(here, "a.wav"), (1_700_000_000, 1_700_000_000))
        tool("sync", here, target)
        checks.true("2023-11-14" in tool("lsl", target + "/a.wav"), "rclone sets a time: a copy of an object to itself")
        tool("copyto", target + "/large.bin", target + "/again.bin")
        tool("moveto", target + "/new.bin", target + "/newer.bin")
        names = set(tool("lsf", target, "-R", "--files-only").split("\n"))
        checks.true({"again.bin", "newer.bin"} <= names and "new.bin" not in names, "rclone copies and moves in the bucket")
    tool("delete", target)
    checks.equal(tool("lsf", target, "-R", "--files-only"), "", "rclone removes them")


def s3cmd(checks):
    config = Path(HOME.name, "s3cfg")
    config.write_text(
        f"[default]\naccess_key = {ACCESS}\nsecret_key = {SECRET}\nhost_base = {HOST}\nhost_bucket = {HOST}\n"
        f"use_https = True\nca_certs_file = {CA}\nsignature_v2 = False\nbucket_location = us-east-1\n"
    )

    def tool(*words, **more):
        return run("/usr/bin/s3cmd", "-c", str(config), "--no-progress", "--multipart-chunk-size-mb=5", *words, **more)

    target = f"s3://{BUCKET}/s3cmd/"
    files = there_and_back(
        checks, "s3cmd", lambda here: tool("sync", here + "/", target), lambda back: tool("sync", target, back + "/"))
    checks.equal(len(tool("ls", "-r", target).splitlines()), len(files), "s3cmd lists them")
    about = tool("info", target + "large.bin")
    checks.true("MD5 sum" in about and "FULL_CONTROL" in about, "s3cmd shows what there is to know")
    tool("cp", target + "a.wav", target + "copied.wav")
    tool("mv", target + "a.wav", target + "moved.wav")
    names = {line.split("s3cmd/", 1)[1] for line in tool("ls", "-r", target).splitlines()}
    checks.true({"copied.wav", "moved.wav"} <= names and "a.wav" not in names, "s3cmd copies and moves in the bucket")
    tool("del", "-r", "-f", target)
    checks.equal(tool("ls", "-r", target), "", "s3cmd removes them")


if __name__ == "__main__":
    Checks("awscli, rclone, s3cmd").run(awscli, rclone, s3cmd)
