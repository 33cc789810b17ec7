"""How small an account becomes: its archive beside borg's and restic's repositories of the same files, and each kind of
recording by itself beside zstd -3 and flac -5, which code file by file.

The account is made of the demo's calls (scripts/demo-calls.py): people's voices, most of them over G.711, as stereo and
mono PCM, mu-law, MP3 and Opus, and the database that names them. What is timed at Komora is what an account's owner
waits for, import and snapshot; the others read files. All of them encrypt but zstd and flac. Sizes are sums of file
lengths.
"""

import array
import contextlib
import itertools
import json
import os
import shutil
import time
import wave
from dataclasses import dataclass
from pathlib import Path

from bench_calls import from_voices
from bench_cases import Case, Unable, run
from bench_nodes import Cluster

CALLS, ROWS = 370, 8000
BORG_RATIO_MAX = 0.75
G711_VALUES = 256
PACKAGES = {"borg": "borgbackup", "restic": "restic", "zstd": "zstd", "flac": "flac"}
PASSPHRASE = "bench"


@dataclass
class Space(Case):
    """A row of sizes: a turn gives bytes, input_bytes and seconds; `ratio` is the greatest part of `against`'s bytes."""

    against: str = ""

    def line(self, who):
        size, given = self.median(who, "bytes"), self.median(who, "input_bytes")
        rate = given / self.median(who, "seconds") / 1e6
        return f"{size / 1e6:10.2f} MB of {given / 1e6:.2f} MB ({size / given:.1%}), {rate:.1f} MB/s"

    def verdicts(self):
        for peer in self.rows:
            if peer == "komora":
                continue
            figure, goal = self.median("komora", "bytes") / self.median(peer, "bytes"), None
            if peer == self.against:
                goal = self.ratio
            yield f"bytes against {peer}", figure, goal, goal is None or figure <= goal


def total(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def over_g711(path):
    """Whether a PCM recording has no more values in a channel than G.711 has words for."""
    with wave.open(str(path)) as f:
        samples, channels = array.array("h", f.readframes(f.getnframes())), f.getnchannels()
    return all(len(set(samples[channel::channels])) <= G711_VALUES for channel in range(channels))


def kind_of(recording, path):
    """In words, what a recording of the demo's manifest is."""
    if recording["kind"] == "stereo":
        return "stereo PCM, G.711" if over_g711(path) else "stereo PCM, wideband"
    return {"mono": "mono PCM, mixed", "ulaw": "mu-law", "mp3": "MP3", "opus": "Opus"}[recording["kind"]]


def account(folder):
    """Makes the calls and the database; gives the folder of each kind, with links to its files."""
    from_voices(folder / "account", CALLS, ROWS)
    manifest = folder / "account/manifest.json"
    kinds = {}
    for recording in json.loads(manifest.read_text())["recordings"]:
        path = folder / "account/recordings" / recording["key"]
        kind = kind_of(recording, path)
        place = kinds.setdefault(kind, folder / "kinds" / kind.replace(", ", "-").replace(" ", "-"))
        place.mkdir(parents=True, exist_ok=True)
        os.link(path, place / path.name)
    # Not the account's: it is how we know what is what.
    manifest.unlink()
    return kinds


class Archive:
    """The node's archive: every turn is an account of its own."""

    def __init__(self, nodes):
        self.nodes, self.numbers = nodes, itertools.count(1)

    def turn(self, recordings=None, database=None):
        name, place = f"space-{next(self.numbers)}", self.nodes.data / "node1/archive"
        self.nodes.komora("account", "create", name)
        before, began = total(place), time.monotonic()
        given = [*(["--recordings", recordings] if recordings else []), *(["--database", database] if database else [])]
        self.nodes.komora("import", "--account", name, *given)
        self.nodes.komora("snapshot", "create", "--account", name)
        seconds = time.monotonic() - began
        size = (total(recordings) if recordings else 0) + (database.stat().st_size if database else 0)
        return {"bytes": total(place) - before, "input_bytes": size, "seconds": seconds}


def timed(output, given, *command, **options):
    """What a program made of `given` in the empty folder `output`."""
    began = time.monotonic()
    run(*command, **options)
    row = {"bytes": total(output), "input_bytes": total(given), "seconds": time.monotonic() - began}
    shutil.rmtree(output)
    return row


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def borg(folder, given):
    place = fresh(folder / "borg")
    environment = os.environ | {"BORG_BASE_DIR": str(folder / "borg-own"), "BORG_PASSPHRASE": PASSPHRASE}
    run("borg", "init", "--encryption", "repokey-blake2", place, env=environment)
    return timed(place, given, "borg", "create", "--compression", "zstd,3", f"{place}::a", given, env=environment)


def restic(folder, given):
    place = fresh(folder / "restic")
    environment = os.environ | {"RESTIC_PASSWORD": PASSPHRASE, "RESTIC_REPOSITORY": str(place)}
    run("restic", "--quiet", "--no-cache", "init", env=environment)
    return timed(place, given, "restic", "--quiet", "--no-cache", "backup", given, env=environment)


def zstd(folder, given):
    output = fresh(folder / "coded")
    files = [path for path in given.rglob("*") if path.is_file()]
    return timed(output, given, "zstd", "-q", "-3", "--output-dir-flat", output, *files)


def flac(folder, given):
    output = fresh(folder / "coded")
    return timed(output, given, "flac", "-5", "--silent", f"--output-prefix={output}/", *given.iterdir())


@contextlib.contextmanager
def cases(options, folder):
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        raise Unable(f"programs are missing: install {' '.join(missing)}")
    folder.mkdir(parents=True)
    kinds = account(folder)
    whole = folder / "account"
    only_database = folder / "kinds/database"
    only_database.mkdir()
    database = only_database / "account.sqlite"
    os.link(whole / database.name, database)
    with Cluster(options, folder / "komora", 1) as nodes:
        archive = Archive(nodes)
        rows = [
            Space(
                "space: whole account",
                {
                    "komora": lambda: archive.turn(whole / "recordings", whole / database.name),
                    "borg zstd,3": lambda: borg(folder, whole),
                    "restic": lambda: restic(folder, whole),
                },
                ratio=BORG_RATIO_MAX,
                against="borg zstd,3",
            )
        ]
        for kind, place in sorted(kinds.items()):
            turns = {
                "komora": lambda place=place: archive.turn(place),
                "zstd -3": lambda place=place: zstd(folder, place),
            }
            # It reads no mu-law.
            if "PCM" in kind:
                turns["flac -5"] = lambda place=place: flac(folder, place)
            rows.append(Space(f"space: {kind}", turns))
        turns = {
            "komora": lambda: archive.turn(database=database),
            "zstd -3": lambda: zstd(folder, only_database),
        }
        yield rows + [Space("space: database", turns)]
    shutil.rmtree(folder)
