"""Recorded calls for the bench: the demo's, cut from people's voices, or, where their Debian packages are missing, tones
that come and go over G.711. The second sort is enough to load a node, and says nothing about space."""

import array
import bisect
import math
import random
import subprocess
import wave

from bench_cases import Unable

RATE = 8000
WORDS, SECONDS, HISS = 40, (10, 120), 40


def from_voices(folder, calls, rows):
    """`folder`/recordings, account.sqlite and manifest.json, as scripts/demo-calls.py makes them."""
    made = subprocess.run(
        ["/usr/bin/python3", "scripts/demo-calls.py", "--out", folder, "--calls", str(calls), "--rows", str(rows)],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise Unable(made.stderr.strip())


def g711_values():
    """The 255 samples that mu-law has words for (ITU-T G.711, table 2a), in 16 bits and in order."""
    heights = [4 * (((2 * step + 33) << chord) - 33) for chord in range(8) for step in range(16)]
    return sorted({sign * height for sign in (-1, 1) for height in heights})


def words(draw):
    """Sounds of half a second to two, which a call is made of."""
    values = g711_values()
    between = [(a + b) / 2 for a, b in zip(values, values[1:])]
    for _ in range(WORDS):
        length, pitch, loud = draw.randrange(RATE // 2, 2 * RATE), draw.uniform(90, 250), draw.uniform(1000, 9000)
        word = array.array("h")
        for i in range(length):
            phase = 2 * math.pi * pitch * i / RATE
            tone = math.sin(phase) + 0.5 * math.sin(3 * phase) + 0.3 * math.sin(7 * phase)
            sample = loud * math.sin(math.pi * i / length) * tone + draw.gauss(0, HISS)
            word.append(values[bisect.bisect(between, sample)])
        yield word


def synthesised(folder, calls, seed=1):
    """Stereo PCM recordings, the two sides taking turns."""
    draw = random.Random(seed)
    folder.mkdir(parents=True)
    said = list(words(draw))
    for number in range(calls):
        length = int(draw.uniform(*SECONDS) * RATE)
        both, at = array.array("h", bytes(4 * length)), 0
        while at < length:
            word = draw.choice(said)[: length - at]
            side = draw.randrange(2)
            both[2 * at + side : 2 * (at + len(word)) + side : 2] = word
            at += len(word)
        with wave.open(str(folder / f"{number:04}.wav"), "wb") as f:
            f.setparams((2, 2, RATE, length, "NONE", ""))
            f.writeframes(both.tobytes())


def recordings(folder, calls):
    """WAV files: {key: file}."""
    try:
        from_voices(folder, calls, calls)
    except Unable as error:
        print(f"bench: {error}; calls are synthesised instead", flush=True)
        synthesised(folder / "recordings", calls)
    return {f"calls/{path.name}": path for path in sorted((folder / "recordings").rglob("*.wav"))}
