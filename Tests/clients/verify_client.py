"""`komora snapshot verify` and `komora verify` of a running node's archive: what is authenticated, what decoded, what found.

Environment: KOMORA_URL, KOMORA_S3_URL, KOMORA_CA, KOMORA_ADMIN as for the other clients; KOMORA_BIN (the binary) and
KOMORA_ARCHIVE (the directory of the node's archive). It makes an account whose name begins with `verify-`.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import Checks

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts/lib"))
from checksums import crc32c  # noqa: E402
from client import S3, SQL  # noqa: E402

URL, CA, BIN = os.environ["KOMORA_URL"], os.environ["KOMORA_CA"], os.environ["KOMORA_BIN"]
RANDOM = random.Random(20261123)
NAME = f"verify-{os.getpid()}-{os.urandom(3).hex()}"
SCRATCH = Path(tempfile.mkdtemp())


def komora(*arguments, code=0):
    done = subprocess.run(
        [BIN, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
        env=os.environ | {"KOMORA_TOKEN": os.environ["KOMORA_ADMIN"]},
    )  # fmt: skip
    if done.returncode != code:
        raise AssertionError(f"komora {arguments} ended with {done.returncode}: {done.stdout} {done.stderr}")
    if "--json" not in arguments:
        return done
    rest, value = done.stdout.strip(), None
    while rest:  # lines of progress stand before the result
        value, end = json.JSONDecoder().raw_decode(rest)
        rest = rest[end:].strip()
    return value


def verified(*more):
    result = komora("snapshot", "verify", "--account", NAME, "--json", *more)
    return result | {name: int(result[name]) for name in ("chunks", "chunks_all", "chunks_decoded", "chunks_proven_earlier")}


def everything(checks):
    account = komora("account", "create", NAME, "--json")["id"]
    key = komora("key", "create", "--account", NAME, "--json")
    sql = SQL(URL, CA, NAME, key["token"])
    s3 = S3(os.environ["KOMORA_S3_URL"], CA, NAME, key["access_key"], key["secret_key"])
    sql.query("create table calls (id integer primary key, note blob)")
    for _ in range(40):
        sql.query("insert into calls (note) values (?)", RANDOM.randbytes(30_000))
    for i in range(12):
        s3.put(f"calls/{i}.wav", RANDOM.randbytes(300_000 + i))
    komora("snapshot", "create", "--account", NAME, "--json")

    said = verified()
    checks.equal(said["chunks"], said["chunks_all"], "every chunk is read")
    checks.true(0 < said["chunks_decoded"] < said["chunks"] / 2, f"a few are decoded all the same: {said}")
    checks.equal(said["chunks_decoded"] + said["chunks_proven_earlier"], said["chunks"], "the others were before")
    checks.equal((said["database_checked"], said["database_proven"]), ("false", "true"), "SQLite has looked at it")
    checks.true(said["proven_at"].startswith("20"), "and it says when")
    said = verified("--decode")
    checks.equal((said["chunks_decoded"], said["chunks_proven_earlier"]), (said["chunks_all"], 0), "--decode decodes all")
    checks.true("proven_at" not in said and said["database_checked"] == "true", "and SQLite looks now")
    said = verified("--all", "--budget", "1GiB")
    checks.equal(said["chunks_decoded"], said["chunks_all"], "a budget decodes what it reads")
    text = komora("snapshot", "verify", "--account", NAME).stdout
    checks.true("proven earlier" in text and "decoded now" in text and text.endswith("whole\n"), text)
    offline(checks, account)


def offline(checks, account):
    secret, recovery, archive = SCRATCH / "secret", SCRATCH / "recovery", SCRATCH / account
    secret.write_text("correct horse battery staple\n")
    secret.chmod(0o600)
    komora("key", "recovery", "--account", NAME, "--passphrase-file", secret, "--out", recovery)
    shutil.copytree(Path(os.environ["KOMORA_ARCHIVE"]) / account, archive)
    words = "verify", archive, "--recovery", recovery, "--passphrase-file", secret, "--json"

    def report(*more, code=0):
        return komora(*words, *more, code=code)["reports"][0]

    def decoded_all(what, *more):
        said = report(*more)
        checks.true(said["sound"] and said["archives"][0]["chunks_proven_earlier"] == 0, what)
        checks.equal(said["archives"][0]["chunks_decoded"], said["archives"][0]["chunks_all"], what)

    said = report()
    checks.true(said["sound"] and said["archives"][0]["chunks_proven_earlier"] > 0, "the copy is sound")
    decoded_all("--decode", "--decode")
    proof = next(archive.glob("manifests/*.proof"))
    whole = proof.read_bytes()
    # Another digest under a right checksum: without the account's key nobody signs it.
    changed = bytearray(whole)
    changed[130] ^= 1
    changed[-4:] = crc32c(bytes(changed[:-4])).to_bytes(4, "little")
    proof.write_bytes(changed)
    said = report(code=1)
    checks.true(any("proof" in one["message"] for one in said["findings"]), "a forged proof is damage")
    checks.equal(said["archives"][0]["chunks_proven_earlier"], 0, "and is not believed")
    proof.unlink()
    decoded_all("without a proof")
    proof.write_bytes(whole)
    for pack in sorted(archive.glob("packs/*.kpak")):
        data = pack.read_bytes()
        for offset in (60, 100, len(data) // 2):
            broken = bytearray(data)
            broken[offset] ^= 16
            pack.write_bytes(broken)
            said = report(code=1)
            found = [one for one in said["findings"] if one["damage"]]
            checks.true(found and all(one["path"] == str(pack) for one in found), f"byte {offset}: {found}")
            checks.true(any(account in one["message"] or "costs" in one["message"] for one in found), "and what it costs")
        pack.write_bytes(data)
    checks.true(report()["sound"], "whole again")


Checks("verify").run(everything)
