"""Exports of a running node, made and fetched with the real komora and opened with other people's tools: tar, zstd, age,
sqlite3, sha256sum, openssl, flac and Python's csv.

Environment: KOMORA_BIN (the komora program), KOMORA_URL, KOMORA_CA, KOMORA_ADMIN (an administrator's token with every
scope), KOMORA_ACCOUNT and KOMORA_TOKEN (another account and its own token). It makes and deletes an account whose name
begins with `export-check-`.
"""
import csv
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
import wave

from checks import Checks

BIN, URL, ADMIN = os.environ["KOMORA_BIN"], os.environ["KOMORA_URL"], os.environ["KOMORA_ADMIN"]
CONTEXT = ssl.create_default_context(cafile=os.environ["KOMORA_CA"])
NAME = "export-check-" + uuid.uuid4().hex[:8]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="komora-export-"))
DICE = random.Random(7)
TABLE = 'дзвінки "2026"/a'
TEXTS = ["", "plain", "\\N", "\\x00", 'a "quoted", text\r\nof two lines', "🎧 українська", "line\nfeed"]
KEYS = ["2026/03/02/call one.wav", "співробітник/привіт.wav", "a", "a/b", "-rf", "a;rm -rf ~", "..%2F..", "empty.bin"]
state = {}


def run(*command, code=0, token=ADMIN, **more):
    environment = os.environ | {"KOMORA_URL": URL, "KOMORA_TOKEN": token, "HOME": str(FOLDER)}
    environment.pop("KOMORA_PROFILE", None)
    done = subprocess.run([str(part) for part in command], capture_output=True, env=environment, timeout=300, **more)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{command}: exit code {done.returncode}, not {code}: {done.stdout[-500:]!r} {done.stderr[-500:]!r}")
    return done


def komora(*arguments, **more):
    return run(BIN, *arguments, **more)


def last(done):
    """The last JSON line, behind those of the progress."""
    return json.loads(done.stdout.decode().strip().splitlines()[-1])


def create(*options, **more):
    return last(komora("export", "create", "--account", NAME, "--json", *options, **more))


def get(export, out, **more):
    return last(komora("export", "get", "--account", NAME, export, "--out", out, "--json", **more))


def listed():
    return json.loads(komora("export", "list", "--account", NAME, "--json").stdout)["exports"]


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def unpack(file, name):
    folder = FOLDER / name
    folder.mkdir()
    run("tar", "--zstd", "-xf", file, "-C", folder)
    assert [path.name for path in folder.iterdir()] == [NAME], "everything lies in one directory"
    return folder / NAME


def http(path, token=ADMIN, method="GET", **headers):
    request = urllib.request.Request(f"{URL}/v1/accounts/{NAME}/exports{path}", method=method)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, context=CONTEXT, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def fill(checks):
    recordings, database = FOLDER / "recordings", FOLDER / "in.sqlite"
    sizes = {key: 0 if key == "empty.bin" else DICE.randrange(1, 300_000) for key in KEYS if key != "a"} | {"big.bin": 48 << 20}
    contents = {}
    for key, size in sizes.items():
        path = recordings / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(DICE.randbytes(size))
        contents[key] = path.read_bytes()
    connection = sqlite3.connect(database)
    quoted = TABLE.replace('"', '""')
    connection.execute(f'CREATE TABLE "{quoted}" (id INTEGER PRIMARY KEY, t TEXT, b BLOB, r REAL)')
    rows = [(i + 1, text, DICE.randbytes(i), i / 3) for i, text in enumerate(TEXTS)] + [(100, None, None, None)]
    connection.executemany(f'INSERT INTO "{quoted}" VALUES (?,?,?,?)', rows)
    connection.execute("CREATE TABLE many (x INTEGER, body TEXT)")
    connection.executemany("INSERT INTO many VALUES (?,?)", [(i, f"row {i} " + "y" * 200) for i in range(20_000)])
    connection.commit()
    connection.close()
    komora("account", "create", NAME)
    komora("import", "--account", NAME, "--database", database, "--recordings", recordings)
    state.update(contents=contents, rows=rows)
    checks.equal(listed(), [], "no exports at first")


def plain(checks):
    export = create()
    checks.equal((export["state"], export["recordings"], export["recipients"]), ("done", len(state["contents"]), []), "an export is made")
    file = FOLDER / "plain.tar.zst"
    got = get(export["id"], file)
    checks.equal((got["resumed_at"], digest(file), file.stat().st_size), (0, export["sha256"], export["bytes"]), "it is fetched whole")
    checks.equal(os.stat(file).st_mode & 0o777, 0o600, "for its owner's eyes only")
    run("zstd", "-q", "-t", file)
    folder = unpack(file, "plain")
    checks.true(run("sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS", cwd=folder).returncode == 0, "sha256sum -c")
    said = run("python3", "verify.py", cwd=folder).stdout.decode()
    checks.true("whole: " + NAME in said and "signed by " + export["public_key"] in said, f"verify.py: {said}")
    run("python3", "verify.py", "--public-key", export["public_key"], cwd=folder)
    run("python3", "verify.py", "--public-key", "0" * 64, cwd=folder, code=1)
    checks.equal(komora("verify", file).returncode, 0, "komora verify")
    state.update(export=export, file=file, folder=folder)


def content(checks):
    folder = state["folder"]
    checks.equal(run("sqlite3", "account.sqlite", "PRAGMA integrity_check", cwd=folder).stdout, b"ok\n", "stock sqlite3 finds nothing wrong")
    checks.equal(run("sqlite3", "-readonly", "account.sqlite", "SELECT count(*), sum(x) FROM many", cwd=folder).stdout, b"20000|199990000\n", "and has the rows")
    name = TABLE.replace("/", "%2F") + ".csv"
    checks.equal(sorted(os.listdir(folder / "tables")), sorted(["many.csv", name]), "one CSV a table, the system's left out")
    with open(folder / "tables" / name, encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))

    def value(text, kind):
        if text == "\\N":
            return None
        if kind == "b":
            assert text.startswith("\\x"), text
            return bytes.fromhex(text[2:])
        if kind == "t":
            return text[1:] if text.startswith("\\") else text
        return float(text) if kind == "r" else int(text)

    checks.equal(lines[0], ["id", "t", "b", "r"], "the first line has the columns")
    checks.equal([tuple(value(text, kind) for text, kind in zip(line, lines[0])) for line in lines[1:]], state["rows"], "Python's csv reads every value back")
    lines = [json.loads(line) for line in open(folder / "recordings.jsonl", encoding="utf-8")]
    checks.equal({line["key"] for line in lines}, set(state["contents"]), "every key is listed")
    for line in lines:
        held = (folder / line["path"]).read_bytes()
        checks.true(held == state["contents"][line["key"]], f"{line['key']} comes back byte for byte")
        checks.equal((line["bytes"], line["md5"], line["sha256"]), (len(held), hashlib.md5(held).hexdigest(), hashlib.sha256(held).hexdigest()), "its line")
    with open(folder / "recordings.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    checks.equal([(row["key"], row["path"], row["sha256"]) for row in table], [(line["key"], line["path"], line["sha256"]) for line in lines], "recordings.csv says the same")
    checks.true(table[0]["created"].endswith("Z") and table[0]["created"].startswith("20"), "with times")


def damage(checks):
    file = FOLDER / "damaged.tar.zst"
    held = bytearray(state["file"].read_bytes())
    for offset in [0, 4, 5, len(held) // 2, len(held) - 48, len(held) - 20, len(held) - 1]:
        held[offset] ^= 4
        file.write_bytes(held)
        done = komora("verify", file, code=None)
        # A file that neither begins nor ends like an export, and is not called one, is none.
        checks.true(done.returncode in (1, 3), f"byte {offset}: exit code {done.returncode}")
        held[offset] ^= 4
    folder = FOLDER / "damaged"
    shutil.copytree(state["folder"], folder)
    with open(folder / "account.sqlite", "r+b") as database:
        database.seek(5000)
        byte = database.read(1)
        database.seek(5000)
        database.write(bytes([byte[0] ^ 1]))
    checks.true(b"DAMAGED: account.sqlite" in run("python3", "verify.py", cwd=folder, code=1).stdout, "verify.py names what was changed")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"position": "', '"position": "9'))
    checks.true(b"the signature does not hold" in run("python3", "verify.py", cwd=folder, code=1).stdout, "and a manifest that was")
    shutil.rmtree(folder)


def encrypted(checks):
    keys = [FOLDER / "one.key", FOLDER / "two.key"]
    recipients = []
    for key in keys:
        run("age-keygen", "-o", key)
        recipients.append(run("age-keygen", "-y", key).stdout.decode().strip())
    export = create("--recipient", recipients[0], "--recipient", recipients[1])
    checks.equal((export["recipients"], export["file"].endswith(".tar.zst.age")), (recipients, True), "recipients are named")
    file = FOLDER / "sealed.age"
    get(export["id"], file)
    for number, key in enumerate(keys):
        opened = FOLDER / f"opened{number}.tar.zst"
        run("age", "-d", "-i", key, "-o", opened, file)
        checks.equal(komora("verify", opened).returncode, 0, "age opens it, komora verify finds it whole")
    folder = unpack(FOLDER / "opened1.tar.zst", "opened")
    run("python3", "verify.py", cwd=folder)
    for path in ["account.sqlite", "recordings.csv"]:
        checks.equal(digest(folder / path), digest(state["folder"] / path), f"{path} is the same as in the plain one")
    checks.true(b"age1" in komora("export", "create", "--account", NAME, "--recipient", "age1nobody", code=2).stderr, "a wrong recipient is refused")
    state["sealed"] = export


def resumed(checks):
    export, file = state["export"], FOLDER / "resumed.tar.zst"
    part = FOLDER / "resumed.tar.zst.part"
    environment = os.environ | {"KOMORA_URL": URL, "KOMORA_TOKEN": ADMIN, "HOME": str(FOLDER)}
    process = subprocess.Popen([BIN, "export", "get", "--account", NAME, export["id"], "--out", file], env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and (not part.exists() or part.stat().st_size < 8 << 20):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    checks.true(part.exists() and not file.exists(), "a killed get leaves its part and no file")
    left = part.stat().st_size
    checks.true(0 < left < export["bytes"], f"part of it: {left} of {export['bytes']}")
    got = get(export["id"], file)
    checks.equal((got["resumed_at"], digest(file), part.exists()), (left, export["sha256"], False), "the next one goes on from there")
    checks.equal(get(export["id"], file)["resumed_at"], export["bytes"], "a third has nothing to do")
    file.unlink()
    part.write_bytes(b"something else" * 1000)
    get(export["id"], file)
    checks.equal(digest(file), export["sha256"], "a part of something else is thrown away")
    file.write_bytes(b"mine")
    komora("export", "get", "--account", NAME, export["id"], "--out", file, code=4)
    checks.equal(file.read_bytes(), b"mine", "a file that is there is not overwritten")


def parts(checks):
    export = create("--part-bytes", "20MiB")
    got = get(export["id"], FOLDER / "cut")
    sizes = [os.path.getsize(path) for path in got["parts"]]
    checks.equal([os.path.basename(path) for path in got["parts"]], ["cut.001", "cut.002", "cut.003"], "parts are numbered")
    checks.true(sizes[:2] == [20 << 20] * 2 and sum(sizes) == export["bytes"], f"of the size that was asked for: {sizes}")
    joined = FOLDER / "joined.tar.zst"
    with open(joined, "wb") as out:
        subprocess.run(["cat", *got["parts"]], stdout=out, check=True)
    checks.equal((digest(joined), komora("verify", joined).returncode), (export["sha256"], 0), "cat joins them")
    komora("export", "create", "--account", NAME, "--part-bytes", "many", code=2)


def ranges(checks):
    export, held = state["export"], state["file"].read_bytes()
    path = f"/{export['id']}/content"
    status, fields, body = http(path, Range="bytes=100-199")
    checks.equal((status, body, fields["Content-Range"]), (206, held[100:200], f"bytes 100-199/{len(held)}"), "a range")
    checks.equal((fields["ETag"], fields["Accept-Ranges"]), (f'"{export["sha256"]}"', "bytes"), "its tag is the hash")
    checks.equal(http(path, Range="bytes=-10")[2], held[-10:], "the last bytes")
    checks.equal(http(path, Range=f"bytes={len(held)}-")[0], 416, "beyond the end")
    status, fields, body = http(path, Range="bytes=0-9", If_Range='"other"')
    checks.equal((status, body == held), (200, True), "If-Range with another tag gives all of it")
    checks.equal(http(path, Range="bytes=0-9", If_Range=f'"{export["sha256"]}"')[0], 206, "with this one the range")


def rights(checks):
    path = f"/{state['export']['id']}/content"
    own = json.loads(komora("key", "create", "--account", NAME, "--json").stdout)["token"]
    for target in ["", f"/{state['export']['id']}", path]:
        checks.equal(http(target, None)[0], 401, f"{target} without a token")
        checks.equal(http(target, os.environ["KOMORA_TOKEN"])[0], 404, f"{target} with another account's token")
        checks.equal(http(target, own, Range="bytes=0-9")[0] // 100, 2, f"{target} with the account's own")
    request = urllib.request.Request(URL + "/v1/tokens", json.dumps({"name": "export-check", "scopes": ["backup"]}).encode(), {"Authorization": "Bearer " + ADMIN})
    with urllib.request.urlopen(request, context=CONTEXT) as answer:
        limited = json.load(answer)
    checks.equal((http("", limited["token"])[0], http(path, limited["token"])[0]), (200, 403), "backup alone does not read the data")
    revoke = urllib.request.Request(URL + "/v1/tokens/" + limited["id"], headers={"Authorization": "Bearer " + ADMIN}, method="DELETE")
    urllib.request.urlopen(revoke, context=CONTEXT).close()
    checks.equal(http(f"/{state['export']['id']}", os.environ["KOMORA_TOKEN"], "DELETE")[0], 404, "nobody else removes it")
    made = create("--from", "2000-01-01T00:00:00Z", "--to", "2000-01-02T00:00:00Z", token=own)
    checks.equal((made["recordings"], made["from"][:10]), (0, "2000-01-01"), "an account exports itself; a period without recordings has none")
    komora("export", "cancel", "--account", NAME, made["id"], token=own)


def flac(checks):
    folder, contents = FOLDER / "wav", {}
    folder.mkdir()
    for name, width, channels, seconds in [("a.wav", 2, 1, 40), ("stereo.wav", 2, 2, 3), ("b/eight.wav", 1, 1, 5)]:
        (folder / name).parent.mkdir(exist_ok=True)
        with wave.open(str(folder / name), "wb") as out:
            out.setparams((channels, width, 8000, 0, "NONE", ""))
            out.writeframes(bytes(DICE.randrange(120, 136) if i % width == 0 else 0 for i in range(8000 * width * channels * seconds)))
        contents[name] = (folder / name).read_bytes()
    contents["odd.wav"] = contents["a.wav"] + b"LIST\4\0\0\0abcd"
    (folder / "odd.wav").write_bytes(contents["odd.wav"])
    komora("import", "--account", NAME, "--recordings", folder)
    export = create("--since-last", "--audio", "flac")
    file = FOLDER / "flac.tar.zst"
    get(export["id"], file)
    checks.equal(komora("verify", file).returncode, 0, "verify finds the one with FLAC whole")
    opened = unpack(file, "flac")
    run("python3", "verify.py", cwd=opened)
    lines = {line["key"]: line for line in map(json.loads, open(opened / "recordings.jsonl", encoding="utf-8"))}
    checks.equal({key: line["audio"] for key, line in lines.items()}, {key: "original" if key == "odd.wav" else "flac" for key in contents}, "plain WAV files are FLAC, others stay")
    for key, line in lines.items():
        path = opened / line["path"]
        if line["audio"] == "flac":
            run("flac", "-s", "-t", "-w", path)
            run("flac", "-s", "-d", "-o", FOLDER / "back.wav", "-f", path)
            checks.true(path.stat().st_size < 0.8 * line["bytes"], f"{key} is smaller")
            path = FOLDER / "back.wav"
        checks.true(path.read_bytes() == contents[key] and line["sha256"] == digest(path), f"{key} comes back byte for byte")
    komora("export", "create", "--account", NAME, "--audio", "mp3", code=2)


def chains(checks):
    first = create()
    nothing = create("--since-last")
    checks.equal((nothing["recordings"], nothing["previous"]), (0, first["id"]), "nothing has come since")
    more = FOLDER / "more"
    more.mkdir()
    (more / "new.wav").write_bytes(b"new")
    komora("import", "--account", NAME, "--recordings", more)
    after = create("--since-last")
    checks.equal((after["recordings"], after["previous"]), (1, nothing["id"]), "then one")
    file = FOLDER / "after.tar.zst"
    get(after["id"], file)
    folder = unpack(file, "after")
    manifest = json.loads((folder / "manifest.json").read_text())
    checks.equal((manifest["previous"], manifest["previous_root"]), (nothing["id"], nothing["root"]), "the manifest names the one before and its root")
    checks.equal(os.listdir(folder / "recordings"), ["new.wav"], "only the new recording is in it")
    run("python3", "verify.py", cwd=folder)
    komora("export", "create", "--account", NAME, "--from", "yesterday", code=2)


def cancels(checks):
    started = json.loads(komora("export", "create", "--account", NAME, "--no-wait", "--json").stdout)
    checks.true(started["id"] in [one["id"] for one in listed()], "an export is listed from its beginning")
    komora("export", "cancel", "--account", NAME, started["id"])
    komora("export", "show", "--account", NAME, started["id"], code=3)
    komora("export", "cancel", "--account", NAME, started["id"], code=3)
    for one in listed():
        komora("export", "cancel", "--account", NAME, one["id"])
    checks.equal(listed(), [], "all are removed")
    komora("export", "get", "--account", NAME, state["export"]["id"], "--out", FOLDER / "gone", code=3)
    komora("export", "create", "--account", "never-existed", code=3)
    komora("account", "delete", NAME, "--yes")


if __name__ == "__main__":
    try:
        Checks("export").run(fill, plain, content, damage, encrypted, resumed, parts, ranges, rights, flac, chains, cancels)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
