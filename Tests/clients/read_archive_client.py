"""scripts/read-archive, written from the format pages, against an archive that a running node made.

Environment: KOMORA_URL, KOMORA_S3_URL, KOMORA_CA, KOMORA_ADMIN as for the other clients; KOMORA_BIN (the binary) and
KOMORA_ARCHIVE (the directory of the node's archive). It makes two accounts whose names begin with `reader-`.
"""
import bisect
import hashlib
import json
import math
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import Checks

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts/lib"))
from audio_chunk import a_law, mu_law  # noqa: E402
from checksums import crc32c  # noqa: E402
from client import S3, SQL, Refused, row_bytes  # noqa: E402

URL, CA, BIN = os.environ["KOMORA_URL"], os.environ["KOMORA_CA"], os.environ["KOMORA_BIN"]
os.environ.setdefault("KOMORA_TOKEN", "")
RANDOM = random.Random(20260302)
NAME = f"reader-{os.getpid()}-{os.urandom(3).hex()}"
PASSPHRASE = "correct horse — ключ"
SCRATCH = Path(tempfile.mkdtemp())


# ------------------------------------------------------------------------------------------------- what is stored
def speech(frames, seed, level=9000):
    """Samples like somebody's talking: tones that come and go, noise below them, pauses."""
    noise, out = random.Random(seed), []
    for i in range(frames):
        loud = max(0.0, math.sin(i / 4000 + seed)) * level
        tone = math.sin(i * (0.12 + 0.02 * math.sin(i / 900))) + 0.4 * math.sin(i * 0.37 + seed)
        out.append(max(-32768, min(32767, round(loud * tone / 1.4 + noise.gauss(0, 12)))))
    return out


def over(law, samples):
    """What a call sounds like behind G.711: each sample becomes the nearest value that the law has."""
    values = sorted({law(code) for code in range(256)})
    middles = [(a + b) / 2 for a, b in zip(values, values[1:])]
    return [values[bisect.bisect(middles, x)] for x in samples]


def codes(law, samples):
    code_of = {law(code): code for code in range(256)}
    return bytes(code_of[x] for x in over(law, samples))


def wav(data, bits=16, channels=1, format=1, rate=8000, tail=b""):
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", format, channels, rate, rate * frame, frame, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data + tail
    return b"RIFF" + struct.pack("<I", len(body)) + body


def packed(samples, width=2, scale=0):
    return b"".join((x << scale).to_bytes(width, "little", signed=True) for x in samples)


def mixed(left, right):
    return [x for pair in zip(left, right) for x in pair]


def recordings():
    """Key to bytes: every coding that the writer has, borders of chunks, and keys that no file system would take."""
    long, other = speech(300_000, 1), speech(90_000, 2)
    return {
        "2026/03/02/plain.txt": b"".join(b"%d calls were taken\n" % i for i in range(40_000)),
        "2026/03/02/random.bin": RANDOM.randbytes(700_001),
        "2026/03/02/exactly-one-chunk.bin": RANDOM.randbytes(262_144),
        "2026/03/02/empty.wav": b"",
        "2026/03/02/one-byte": b"\x00",
        "pcm16.wav": wav(packed(long), tail=b"LIST\x08\0\0\0INFOtext"),
        "pcm16-stereo.wav": wav(packed(mixed(other, speech(90_000, 3))), channels=2, rate=44_100),
        "pcm8.wav": wav(bytes((x >> 8) + 128 for x in other), bits=8),
        "pcm24.wav": wav(packed(other, 3, 6), bits=24, rate=48_000),
        "pcm32.wav": wav(packed(other, 4, 9), bits=32, rate=48_000),
        "mu-law.wav": wav(codes(mu_law, long), bits=8, format=7),
        "a-law.wav": wav(codes(a_law, long), bits=8, format=6),
        "a-law-stereo.wav": wav(codes(a_law, mixed(other, long)), bits=8, channels=2, format=6),
        "over-mu-law.wav": wav(packed(over(mu_law, long))),
        "over-a-law.wav": wav(packed(over(a_law, other))),
        "over-both.wav": wav(packed(mixed(over(a_law, other), over(mu_law, long))), channels=2),
        "quieter-mu-law.wav": wav(packed([x * 5 // 8 for x in over(mu_law, long)])),
        "clean-low-bits.wav": wav(packed([x // 16 * 16 for x in long])),
        "silence.wav": wav(bytes(400_000)),
        "cut-short.wav": wav(packed(other))[:-1],
        "записи/дзвінок № 1.wav": wav(packed(other[:20_000])),
        "録音/\u202e\U0001f4de%41.wav": b"unicode, a direction mark and a percent sign",
        "recordings.jsonl": b"a name that the list has as well",
        "a": b"a file",
        "a/b": b"below what is a file",
        "../../outside": b"never outside",
        "//etc//passwd": b"not absolute",
        "./.": b"dots",
        "line\nbreak\\and\\backslash": b"controls",
        "x" * 255 + "/" + "ж" * 300: b"too long for a file's name",
    }


SCHEMA = """
create table calls (id integer primary key, started_at integer, cost real, note text, raw blob, empty);
create index calls_started on calls (started_at);
create table settings (name text, region text, value any, primary key (name, region)) without rowid;
create table "odd "" name" (x);
create view costs as select id, cost from calls
"""


def komora(*arguments, check=True):
    done = subprocess.run(
        [BIN, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
        env=os.environ | {"KOMORA_TOKEN": os.environ["KOMORA_ADMIN"]},
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"komora {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    if not check or "--json" not in arguments:
        return done
    rest, value = done.stdout.strip(), None
    while rest:  # lines of progress stand before the result
        value, end = json.JSONDecoder().raw_decode(rest)
        rest = rest[end:].strip()
    return value


class Account:
    def __init__(self, name):
        self.name = name
        self.id = komora("account", "create", name, "--json")["id"]
        key = komora("key", "create", "--account", name, "--json")
        self.sql = SQL(URL, CA, name, key["token"])
        self.s3 = S3(os.environ["KOMORA_S3_URL"], CA, name, key["access_key"], key["secret_key"])
        self.folder = Path(os.environ["KOMORA_ARCHIVE"]) / self.id

    def snapshot(self):
        return komora("snapshot", "create", "--account", self.name, "--json")

    def recovery(self, *who):
        path = SCRATCH / f"{self.name}{len(list(SCRATCH.iterdir()))}.recovery"
        komora("key", "recovery", "--account", self.name, *map(str, who), "--out", str(path))
        return path


def age_identity(path):
    """Writes a new identity; its recipient."""
    return subprocess.run(["age-keygen", "-o", path], capture_output=True, text=True, check=True).stderr.split()[-1]


def read(out, *arguments):
    """Runs the reader; what it said when it refused, which leaves nothing behind."""
    beside = lambda: sorted(p.name for p in out.parent.iterdir() if p.name.startswith(out.name))  # noqa: E731
    before = beside()
    words = [str(TOP / "scripts/read-archive"), *map(str, arguments), "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    if done.returncode == 0:
        return None
    if before != beside() or done.returncode != 1 or not done.stderr.startswith("read-archive: ") or "Traceback" in done.stderr:
        raise AssertionError(f"refused with {done.returncode}, left {beside()}: {done.stderr}")
    return done.stderr


class Restored:
    """What lies in a directory that the reader or `komora restore --offline` wrote."""

    def __init__(self, out):
        self.recordings, self.erased = {}, set()
        for line in (out / "recordings.jsonl").read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry.get("erased"):
                self.erased.add(entry["key"])
                continue
            path = out / entry["path"]
            if out.resolve() not in path.resolve().parents or path.is_symlink():
                raise AssertionError(f"{entry['path']} leads out of {out}")
            self.recordings[entry["key"]] = path.read_bytes()
        self.files = sum(path.is_file() for path in (out / "recordings").rglob("*"))
        db = sqlite3.connect(out / "account.sqlite")
        self.database = (out / "account.sqlite").read_bytes()
        self.rows = {name: table(lambda sql: db.execute(sql).fetchall(), name) for name in TABLES}
        db.close()


TABLES = {"calls": "id", "settings": "name, region", '"odd "" name"': "rowid", "komora_objects": "key"}


def table(query, name):
    return [row_bytes(row) for row in query(f"select * from {name} order by {TABLES[name]}")]


def same(checks, got, expected, what):
    for key in sorted(expected):
        checks.equal(hashlib.sha256(got.get(key, b"?")).hexdigest(), hashlib.sha256(expected[key]).hexdigest(), f"{what}: {key}")
    checks.equal(sorted(got), sorted(expected), f"{what}: the keys")


def flipped(folder, path, offset, bit):
    """A copy of an archive with one bit changed; hard links but for the one file."""
    copy = SCRATCH / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    data = bytearray((copy / path).read_bytes())
    data[offset] ^= bit
    (copy / path).write_bytes(data)
    return copy


def without_key(data, recording):
    """A keyring's bytes without the key of one recording, as an erasure leaves them: entries move up, numbers too."""
    entries = []
    for start in range(4096, len(data), 512):
        sector, at = data[start : start + 512], 0
        while any(sector[at:]):
            length = struct.unpack_from("<H", sector, at)[0]
            entries.append(sector[at : at + length])
            at += length
    kept = [entry for entry in entries if entry[12:28] != recording]
    if len(kept) != len(entries) - 1:
        raise AssertionError("the keyring has no such key")
    body, number = b"", 0
    for entry in kept:
        if len(body) // 512 != (len(body) + len(entry) - 1) // 512:
            body = body.ljust(-(-len(body) // 512) * 512, b"\0")
        entry = entry[:4] + number.to_bytes(8, "little") + entry[12:-4]
        body, number = body + entry + crc32c(entry).to_bytes(4, "little"), number + 1
    slot = (b"KSLT" + bytes(4) + data[24:40] + struct.pack("<QQ", 2, 4096 + len(body))).ljust(508, b"\0")
    return data[:3072] + slot + crc32c(slot).to_bytes(4, "little") + bytes(512) + body


# ------------------------------------------------------------------------------------------------------ what is checked
def everything(checks):
    """An account of every kind of recording, as the reader, the binary and the account's own surfaces tell it."""
    account, stored = Account(NAME), recordings()
    for statement in SCHEMA.split(";"):
        account.sql.query(statement)
    for i in range(600):
        values = [i * 7, 1_700_000_000 + i, i / 3, f"дзвінок {i}" * (i % 40), RANDOM.randbytes(i), None]
        account.sql.query("insert into calls values (?, ?, ?, ?, ?, ?)", *values)
    account.sql.run(*[("insert into settings values (?, ?, ?)", f"n{i % 5}", f"r{i}", [None, i, f"{i}", b"\0"][i % 4]) for i in range(50)])
    account.sql.query('insert into "odd "" name" values (?), (null)', "x'; --")
    stored["changed.wav"] = b"the second of two"
    account.s3.put("changed.wav", b"first")
    for key, data in (stored | {"deleted.wav": wav(packed(speech(9000, 7))), "later.wav": b"later"}).items():
        account.s3.put(key, data)
    account.s3.delete("deleted.wav")
    first = account.snapshot()
    rows = {name: table(account.sql.query, name) for name in TABLES}
    account.s3.delete("later.wav")
    account.sql.query("delete from calls where id < 700")
    newest_id = account.snapshot()["id"]

    secret, identity = SCRATCH / "secret", SCRATCH / "identity"
    secret.write_text(f" {PASSPHRASE}\n\n")
    by_secret = account.recovery("--passphrase-file", secret)
    by_identity = account.recovery("--recipient", age_identity(identity))

    def restored(name, folder, *arguments):
        checks.equal(read(SCRATCH / name, "--archive", folder, *arguments), None, name)
        return Restored(SCRATCH / name)

    def offline(name, folder):
        out = SCRATCH / name
        komora("restore", "--offline", "--archive", str(folder), "--recovery", str(by_secret),
               "--passphrase-file", str(secret), "--yes", "--out", str(out), "--json")  # fmt: skip
        return Restored(out)

    opening = ("--recovery", by_secret, "--passphrase-file", secret)
    older = restored("older", account.folder, *opening, "--snapshot", first["id"])
    newest = restored("newest", account.folder, "--recovery", by_identity, "--identity", identity)
    same(checks, older.recordings, stored | {"later.wav": b"later"}, "the older snapshot")
    same(checks, newest.recordings, stored, "the newest snapshot")
    erased, copy = "quieter-mu-law.wav", flipped(account.folder, "keyring", 0, 0)
    next(copy.glob(f"manifests/*-{newest_id}.kman")).unlink()  # the offline restore takes the newest that it finds
    older_offline = offline("offline-older", copy)
    id_of = sqlite3.connect(SCRATCH / "older/account.sqlite").execute("select id from komora_recordings where key = ?", [erased])
    (copy / "keyring").write_bytes(without_key((copy / "keyring").read_bytes(), id_of.fetchone()[0]))
    without = restored("without", copy, *opening)
    checks.equal((without.erased, set(older.recordings) - set(without.recordings)), ({erased}, {erased}), "no key, no recording")
    for name in TABLES:
        checks.equal(older.rows[name], rows[name], f"rows of {name}, older")
        checks.equal(newest.rows[name], table(account.sql.query, name), f"rows of {name}, newest")
    pairs = (newest, offline("offline", account.folder)), (older, older_offline), (without, offline("offline-without", copy))
    for mine, other in pairs:
        same(checks, other.recordings, mine.recordings, "komora restore --offline")
        checks.equal((other.erased, other.files), (mine.erased, mine.files), "the same is erased")
        checks.equal(mine.files, len(mine.recordings), "a file for each")
        checks.true(other.database == mine.database, "the same database, byte for byte")


def refusals(checks):
    """A small archive, damaged, mixed and lied about in every way; whatever the reader says, it leaves nothing behind."""
    account, other = Account(NAME + "-s"), Account(NAME + "-o")
    secret, identity = SCRATCH / "secret-2", SCRATCH / "identity-2"
    secret.write_text(PASSPHRASE)
    recipient = age_identity(identity)
    for one in account, other:
        one.sql.query("create table t (x)")
        one.s3.put("call.wav", wav(packed(speech(3000, 4))))
        one.s3.put("text", b"some text, " * 300)
        one.snapshot()
    recovery = account.recovery("--passphrase-file", secret)
    # A passphrase is meant to be slow.
    out, opening = SCRATCH / "refused", ("--recovery", account.recovery("--recipient", recipient), "--identity", identity)
    packs, manifest = sorted((account.folder / "packs").iterdir()), next(account.folder.glob("manifests/*.kman"))

    def attempt(folder, *arguments):
        return read(out, "--archive", folder, *(arguments or opening))

    def refused(what, containing, folder, *arguments):
        said = attempt(folder, *arguments)
        checks.true(said is not None and containing in said, f"{what}: {said}")

    def changed(what, containing, change):
        copy = flipped(account.folder, "keyring", 0, 0)
        change(copy)
        refused(what, containing, copy)

    checks.equal(attempt(account.folder), None, "the archive as it is")
    refused("a directory that exists", "exists already", account.folder)
    shutil.rmtree(out)

    # Every file, at every kind of place: near its ends, and spread over it.
    harmless = 0
    for path in [Path("keyring"), manifest.relative_to(account.folder)] + [p.relative_to(account.folder) for p in packs]:
        size = (account.folder / path).stat().st_size
        near = [0, 4, 6, 15, 30, 44, 50, size - 60, size - 28, size - 13, size - 8, size - 1]
        for offset in near + [RANDOM.randrange(size) for _ in range(12)]:
            said = attempt(flipped(account.folder, path, offset, 1 << RANDOM.randrange(8)))
            if said is None:  # the slot of the keyring that does not count any more
                checks.true(path.name == "keyring" and 3072 <= offset < 4096, f"byte {offset} of {path} was changed unseen")
                shutil.rmtree(out)
                harmless += 1
            else:
                checks.passed += 1
    checks.true(harmless < 12, "most changes are seen")
    for path in [Path("keyring"), manifest.relative_to(account.folder), packs[-1].relative_to(account.folder)]:
        for size in 0, 100, (account.folder / path).stat().st_size - 1:
            changed(f"{path} cut to {size}", "", lambda copy: os.truncate(copy / path, size))

    pack, foreign = packs[-1].name, next(other.folder.glob("manifests/*.kman"))
    changed("no keyring", "keyring", lambda copy: (copy / "keyring").unlink())
    changed("another's keyring", "another account's", lambda copy: shutil.copy(other.folder / "keyring", copy))
    changed("no pack", "no pack lists it", lambda copy: (copy / "packs" / pack).unlink())
    changed("a pack under another name", "is another pack", lambda copy: (copy / "packs" / pack).rename(copy / "packs" / ("0" * 32 + ".kpak")))
    changed("another's manifest", "another account's", lambda copy: shutil.copy(foreign, copy / "manifests"))
    changed("no manifest", "no snapshot", lambda copy: (copy / "manifests" / manifest.name).unlink())
    changed("a manifest of another time", "another snapshot", lambda copy: (copy / "manifests" / manifest.name).rename(copy / "manifests" / ("9" + manifest.name)))
    changed("a pipe for a pack", "no ordinary file", lambda copy: ((copy / "packs" / pack).unlink(), os.mkfifo(copy / "packs" / pack)))
    refused("a snapshot that is not there", "no such snapshot", account.folder, *opening, "--snapshot", "0" * 32)
    wrong = SCRATCH / "wrong"
    wrong.write_text("another passphrase")
    refused("a wrong passphrase", "wrong key", account.folder, "--recovery", recovery, "--passphrase-file", wrong)
    refused("another's recovery file", "another account's", account.folder, "--recovery", other.recovery("--passphrase-file", secret), "--passphrase-file", secret)
    refused("no recovery file", "no recovery file", account.folder, "--recovery", secret, "--passphrase-file", secret)


def nothing(checks):
    """An account in which nobody has written anything yet."""
    account, secret = Account(NAME + "-n"), SCRATCH / "secret-3"
    secret.write_text(PASSPHRASE)
    account.snapshot()
    opening = "--recovery", account.recovery("--passphrase-file", secret), "--passphrase-file", secret
    checks.equal(read(SCRATCH / "nothing", "--archive", account.folder, *opening), None, "it is read")
    checks.equal((SCRATCH / "nothing/recordings.jsonl").read_text(), "", "no recording is listed")


if __name__ == "__main__":
    try:
        Checks("read_archive").run(everything, refusals, nothing)
    finally:
        shutil.rmtree(SCRATCH)
