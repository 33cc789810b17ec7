#!/usr/bin/env python3
"""A business account for the demo: recorded calls, and the database that names them.

  demo-calls.py --out DIR [--calls 220] [--rows 10000] [--seed 1] [--jobs N]

Calls are cut from Debian's voice prompts (asterisk-core-sounds-*-wav: people, 8 kHz, 16 bit) and hold music
(asterisk-moh-opsound-wav). A caller and an agent of two languages take turns over line noise, each with a pitch and
loudness of this call; some calls open with a company greeting or wait in hold music; most legs came over G.711.
Lengths are log-normal, 10 to 120 s. Written as stereo and mono PCM16 WAV, mu-law WAV, MP3 (lame), Opus (opusenc).

DIR/recordings/YYYY/MM/DD/…  the calls        DIR/account.sqlite  calls, users, settings
DIR/manifest.json            per call: key, kind, seconds, bytes, sha256

The same seed gives the same bytes with the same lame and opusenc. Not a benchmark's corpus: it is small and quick.
"""

import argparse
import glob
import hashlib
import json
import multiprocessing
import os
import random
import sqlite3
import struct
import subprocess
import sys
import time
import warnings
import wave

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import audioop
    except ImportError:
        sys.exit("demo-calls: this Python has no audioop (gone in 3.13); run it with Debian's /usr/bin/python3")

RATE = 8000
SOUNDS, MUSIC = "/usr/share/asterisk/sounds", "/usr/share/asterisk/moh"
LANGUAGES = ("en", "es", "fr", "it", "ru")
KINDS = (("stereo", 35, "wav"), ("mono", 25, "wav"), ("ulaw", 15, "wav"), ("mp3", 15, "mp3"), ("opus", 10, "opus"))
SECONDS_MIN, SECONDS_MAX, SECONDS_MEDIAN, SIGMA = 10, 120, 42, 0.6
FIRST_DAY = 1772409600  # 2026-03-02 00:00 UTC
DAYS = 7
NOISE_BYTES = 1 << 21

prompts, music, noise = {}, [], b""  # one copy per worker, made before the workers are


# ---------------------------------------------------------------------------------------------------- sound
def samples(path):
    """The 16-bit mono samples of an 8 kHz WAV file, or nothing."""
    try:
        with wave.open(path) as f:
            if (f.getnchannels(), f.getsampwidth(), f.getframerate()) == (1, 2, RATE):
                return f.readframes(f.getnframes())
    except (wave.Error, EOFError):
        pass
    return b""


def load():
    global noise
    for language in LANGUAGES:
        # A package brings en_US_f_Allison; others may add links such as en_US and en to the same directory.
        folders = sorted({os.path.realpath(f) for f in glob.glob(f"{SOUNDS}/{language}_*")})
        names = sorted(
            n
            for folder in folders
            for n in glob.glob(f"{folder}/**/*.wav", recursive=True)
            if not any(word in n for word in ("silence", "beep", "monkeys", "/letters/", "/phonetic/"))
        )
        spoken = [s for s in map(samples, names) if 2 * RATE < len(s) < 16 * RATE]  # 1 to 8 s: people take turns
        if spoken:
            prompts[language] = spoken
    music.extend(s for s in map(samples, sorted(glob.glob(f"{MUSIC}/*.wav"))) if s)
    if len(prompts) < 2 or not music:
        sys.exit("demo-calls: no voice prompts or no hold music; scripts/setup --demo installs them")
    source = random.Random("line noise")
    noise = audioop.add(*(audioop.mul(source.randbytes(NOISE_BYTES), 2, 0.5) for _ in range(2)), 2)


def line_noise(draw, length):
    """`length` bytes of hiss, -62 to -50 dB below full scale."""
    start = draw.randrange(NOISE_BYTES // 2) & ~1
    piece = noise[start:] + noise[:start]
    return audioop.mul((piece * (length // len(piece) + 1))[:length], 2, 10 ** (draw.uniform(-62, -50) / 20))


def lay(leg, at, sound):
    """Adds `sound` to `leg` from byte `at`; what passes the end is cut off. Gives the byte after it."""
    end = min(len(leg), at + len(sound))
    if end > at:
        leg[at:end] = audioop.add(bytes(leg[at:end]), sound[: end - at], 2)
    return end


def call(draw, seconds):
    """The caller's and the agent's leg of one call, 16-bit mono each."""
    length = int(seconds * RATE) * 2
    languages = draw.sample(sorted(prompts), 2)
    speed = [draw.uniform(0.92, 1.08) for _ in range(2)]
    loudness = [10 ** (draw.uniform(-9, 0) / 20) for _ in range(2)]
    legs = [bytearray(line_noise(draw, length)) for _ in range(2)]

    def pause(low, high):
        return int(draw.uniform(low, high) * RATE) * 2

    at = pause(0.1, 0.8)
    if draw.random() < 0.4:  # the agent's side plays one of three greetings, the same bytes in every call
        at = lay(legs[1], at, prompts["en" if "en" in prompts else languages[1]][7 * draw.randrange(3)]) + pause(
            0.2, 1.2
        )
    hold = length * draw.uniform(0.2, 0.6) if seconds > 30 and draw.random() < 0.3 else length
    who = draw.randrange(2)
    while at < length:
        if at > hold:
            tune = draw.choice(music)[: pause(6, 25)]
            at, hold = lay(legs[1], at, tune) + pause(0.2, 1.0), length
            continue
        voice = prompts[languages[who]]
        first = draw.randrange(len(voice) - 3)
        spoken = b"".join(voice[first : first + draw.randint(1, 3)])
        spoken, _ = audioop.ratecv(spoken, 2, 1, RATE, int(RATE * speed[who]), None)
        at = max(0, lay(legs[who], at, audioop.mul(spoken, 2, loudness[who])) + pause(-0.3, 1.6))
        who = 1 - who
    if draw.random() < 0.7:  # over a G.711 trunk
        return [audioop.ulaw2lin(audioop.lin2ulaw(bytes(leg), 2), 2) for leg in legs]
    return [bytes(leg) for leg in legs]


# ---------------------------------------------------------------------------------------------------- files
def wav(tag, channels, bits, data):
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, RATE, RATE * block, block, bits)
    if tag != 1:  # what is not plain PCM has an extension size, and says its length in samples
        fmt += struct.pack("<H", 0)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    if tag != 1:
        chunks += b"fact" + struct.pack("<II", 4, len(data) // block)
    chunks += b"data" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def encoded(command, pcm):
    return subprocess.run(command, input=pcm, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


def content(kind, legs, serial):
    """The bytes of the file."""
    if kind == "stereo":
        left, right = audioop.tostereo(legs[0], 2, 1, 0), audioop.tostereo(legs[1], 2, 0, 1)
        return wav(1, 2, 16, audioop.add(left, right, 2))
    mono = audioop.add(legs[0], legs[1], 2)
    if kind == "mono":
        return wav(1, 1, 16, mono)
    if kind == "ulaw":
        return wav(7, 1, 8, audioop.lin2ulaw(mono, 2))
    if kind == "mp3":
        return encoded(
            [
                "lame",
                "-r",
                "-s",
                "8",
                "--bitwidth",
                "16",
                "--signed",
                "--little-endian",
                "-m",
                "m",
                "-b",
                "24",
                "--cbr",
                "-q",
                "7",
                "--quiet",
                "-",
                "-",
            ],
            mono,
        )
    return encoded(
        [
            "opusenc",
            "--quiet",
            "--raw",
            "--raw-rate",
            str(RATE),
            "--raw-chan",
            "1",
            "--bitrate",
            "16",
            "--comp",
            "2",
            "--framesize",
            "60",
            "--serial",
            str(serial),
            "-",
            "-",
        ],
        mono,
    )


def record(job):
    """Makes one call and its file; what the manifest says of it."""
    seed, index, out = job
    draw = random.Random(f"{seed}/{index}")
    kind, _, extension = (
        draw.choices(KINDS, [share for _, share, _ in KINDS])[0] if index >= len(KINDS) else KINDS[index]
    )
    seconds = min(SECONDS_MAX, max(SECONDS_MIN, draw.lognormvariate(0, SIGMA) * SECONDS_MEDIAN))
    started = FIRST_DAY + (index % DAYS) * 86400 + int(draw.triangular(7 * 3600, 20 * 3600, 12 * 3600))
    data = content(kind, call(draw, seconds), index + 1)
    key = f"{time.strftime('%Y/%m/%d', time.gmtime(started))}/{index:06d}-{kind}.{extension}"
    path = os.path.join(out, "recordings", key)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    os.utime(path, (started + int(seconds),) * 2)
    return {
        "key": key,
        "kind": kind,
        "seconds": round(seconds, 2),
        "started": started,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


# ---------------------------------------------------------------------------------------------------- rows
SCHEMA = """
create table users (id integer primary key, email text not null unique, name text not null, role text not null,
  extension text, skills text, fingerprint blob);
create table settings (key text primary key, value text, updated_at integer not null);
create table calls (id integer primary key, uuid text not null, started_at integer not null, direction text not null,
  from_number text, to_number text, user_id integer references users(id), queue text, duration real,
  status text not null, recording text, cdr text not null);
create index calls_started on calls (started_at);
create index calls_user on calls (user_id, started_at);
create unique index calls_recording on calls (recording) where recording is not null;
"""
NAMES = (
    "Anna Oleh Maria Ivan Sofia Taras Olena Petro Giulia Marco Luca Élise Дмитро Claire Jean Pilar José Carmen".split()
)
SURNAMES = (
    "Shevchenko Bondar Rossi Bianchi Dupont Moreau García López Kovalenko Melnyk Smith Brown Іваненко Koval".split()
)
QUEUES = "sales support billing retention vip partners returns night".split()
EVENTS = (
    "ivr.enter ivr.digit queue.enter queue.position agent.ring agent.noanswer agent.answer hold.start hold.stop "
    "transfer.blind transfer.attended dtmf tag.add note.add media.stats hangup"
).split()


def event(draw, at, users):
    name = draw.choice(EVENTS)
    said = {
        "t": round(at, 3),
        "event": name,
        "channel": f"PJSIP/trunk-{draw.getrandbits(32):08x}",
        "leg": draw.randrange(2),
    }
    if name == "media.stats":
        said["rtp"] = {
            "lost": draw.randrange(50),
            "jitter_ms": round(draw.random() * 30, 2),
            "mos": round(3 + draw.random(), 2),
        }
    elif name.startswith(("agent", "transfer")):
        said["agent"] = draw.randint(1, users)
    elif name.startswith("queue"):
        said["queue"], said["position"] = draw.choice(QUEUES), draw.randint(1, 19)
    elif name == "note.add":
        said["text"] = " ".join(f"{draw.choice(SURNAMES)}: {draw.choice(EVENTS)}" for _ in range(draw.randint(2, 8)))
    return said


def call_row(draw, number, recording, users):
    """One row of `calls`; with the recording's own time and length where it has one."""
    answered = recording is not None or draw.random() < 0.7
    started = recording["started"] if recording else FIRST_DAY + draw.randrange(DAYS * 86400)
    seconds = recording["seconds"] if recording else draw.lognormvariate(3.5, 1) if answered else None
    caller, called = f"+380{draw.randrange(39, 99)}{draw.randrange(10**7):07d}", f"+38044{draw.randrange(40):07d}"
    user, queue = (draw.randint(1, users) if answered else None), draw.choice(QUEUES)
    times = sorted(draw.random() * (seconds or 30) for _ in range(draw.randint(6, 18)))
    cdr = {
        "sip_call_id": f"{draw.getrandbits(96):024x}@10.{draw.randrange(256)}.{draw.randrange(256)}.7",
        "from": caller,
        "to": called,
        "answered": answered,
        "queue": queue,
        "codec": "PCMU" if draw.random() < 0.7 else "opus",
        "cause": draw.choice(["NORMAL_CLEARING", "NO_ANSWER", "USER_BUSY"]),
        "cents": draw.randrange(900),
        "events": [event(draw, started + t, users) for t in times],
    }
    return (
        number,
        f"{draw.getrandbits(128):032x}",
        started,
        draw.choice(["in", "out"]),
        caller,
        called,
        user,
        queue,
        seconds,
        "answered" if answered else "missed",
        recording["key"] if recording else None,
        json.dumps(cdr, ensure_ascii=False, separators=(",", ":")),
    )


def database(path, seed, recordings, rows):
    draw, users = random.Random(f"{seed}/rows"), 60
    if os.path.exists(path):
        os.unlink(path)
    db = sqlite3.connect(path)
    db.execute("pragma synchronous = off")
    db.executescript(SCHEMA)
    for number in range(1, users + 1):
        name = f"{draw.choice(NAMES)} {draw.choice(SURNAMES)}"
        db.execute(
            "insert into users values (?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                f"user{number}@example.com",
                name,
                draw.choice(["agent", "agent", "lead", "admin"]),
                str(100 + number),
                json.dumps({q: draw.randrange(10) for q in QUEUES}),
                draw.randbytes(32) if draw.random() < 0.9 else None,
            ),
        )
    for number in range(300):
        db.execute(
            "insert into settings values (?, ?, ?)",
            (
                f"{draw.choice(QUEUES)}.{draw.choice(EVENTS)}.{number}",
                json.dumps(
                    {
                        "enabled": draw.random() < 0.5,
                        "steps": [[draw.choice(EVENTS), draw.randrange(100)] for _ in range(8)],
                    }
                ),
                FIRST_DAY + number,
            ),
        )
    recorded = dict(zip(sorted(draw.sample(range(1, rows + 1), len(recordings))), recordings))
    marks = ", ".join("?" * 12)
    db.executemany(
        f"insert into calls values ({marks})",
        (call_row(draw, number, recorded.get(number), users) for number in range(1, rows + 1)),
    )
    db.commit()
    db.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--calls", type=int, default=220)
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if not 0 < options.calls <= options.rows:
        parser.error("--calls must be at least 1 and at most --rows")
    began = time.monotonic()
    load()
    os.makedirs(options.out, exist_ok=True)
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        made = pool.map(record, [(options.seed, i, options.out) for i in range(options.calls)], chunksize=4)
    database(os.path.join(options.out, "account.sqlite"), options.seed, made, options.rows)
    with open(os.path.join(options.out, "manifest.json"), "w") as f:
        json.dump({"seed": options.seed, "rows": options.rows, "recordings": made}, f, indent=1)
    kinds = {}
    for one in made:
        kinds.setdefault(one["kind"], []).append(one)
    for kind, ones in sorted(kinds.items()):
        print(
            f"{kind:7} {len(ones):4} calls {sum(o['seconds'] for o in ones):8.0f} s "
            f"{sum(o['bytes'] for o in ones):11,} bytes"
        )
    print(
        f"{len(made)} calls, {sum(o['bytes'] for o in made):,} bytes; {options.rows} rows, "
        f"{os.path.getsize(os.path.join(options.out, 'account.sqlite')):,} bytes; {time.monotonic() - began:.1f} s"
    )


if __name__ == "__main__":
    main()
