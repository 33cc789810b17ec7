"""The reader's decoder of audio chunks against hostile bytes: what it takes has a bound, what it refuses is a ValueError.

That it decodes what the engine writes is shown by AudioChunkPageTests and Tests/clients/read_archive_client.py.
"""

import random
import struct
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts/lib"))
from audio_chunk import Chunk, mu_law  # noqa: E402
from checksums import crc32c, xxh64  # noqa: E402
from libzstd import unzstd  # noqa: E402


def zstd(data):
    return subprocess.run(["zstd", "-cq", f"--stream-size={len(data)}"], input=data, stdout=subprocess.PIPE, check=True).stdout


def framed(data):
    frame = zstd(data)
    return struct.pack("<I", len(frame)) + frame


def hybrid(codes, front=b"RIFF", count=None):
    """Bytes of mu-law, one channel, predicted by nothing."""
    ranks = sorted(range(256), key=lambda code: (mu_law(code), code))
    symbols = bytes(ranks.index(code) - 128 & 255 for code in codes)
    head = struct.pack("<4B5IQ", 1, 6, 1, 2, len(codes) if count is None else count, len(front), len(front), 0, 0, xxh64(front + codes))
    return head + b"\0" + front + framed(bytes(1 + -(-len(codes) // 256))) + framed(symbols)


class AudioChunk(unittest.TestCase):
    codes = random.Random(5).randbytes(700)

    def test_checksums_are_the_published_ones(self):
        self.assertEqual((crc32c(b"123456789"), xxh64(b"")), (0xE3069283, 0xEF46DB3751D8E999))

    def test_a_chunk_from_the_page_decodes(self):
        self.assertEqual(Chunk(hybrid(self.codes)).original, b"RIFF" + self.codes)

    def test_every_change_is_refused_or_harmless(self):
        whole, dice, refused = hybrid(self.codes), random.Random(6), 0
        for _ in range(1500):
            data = bytearray(whole)
            for _ in range(dice.randint(1, 3)):
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            data = data[: dice.choice((len(data), dice.randrange(len(data) + 1)))]
            try:
                self.assertEqual(Chunk(bytes(data)).original, b"RIFF" + self.codes)
            except ValueError:
                refused += 1
        self.assertGreater(refused, 1300)

    def test_sizes_are_bounded_before_anything_is_made(self):
        for count in (262_144, 1 << 31):
            with self.assertRaisesRegex(ValueError, "original bytes"):
                Chunk(hybrid(self.codes, count=count))
        with self.assertRaisesRegex(ValueError, "more than 100"):
            unzstd(zstd(bytes(1 << 26)), 100)
        # FLAC that goes on for longer than the chunk says it has samples.
        raw = ["flac", "-cs", "--force-raw-format", "--endian=little", "--sign=signed", "--channels=1", "--bps=8"]
        words = raw + ["--sample-rate=8000", "--blocksize=1024", "-"]
        flac = subprocess.run(words, input=bytes(1 << 24), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        frames = flac[flac.index(b"\xff\xf8") :]
        self.assertLess(len(frames), 262_144)
        with self.assertRaisesRegex(ValueError, "FLAC frames are damaged"):
            Chunk(struct.pack("<4B5IQ", 1, 1, 1, 1, 4096, 0, 0, 0, 0, 0) + b"\0" + frames)


if __name__ == "__main__":
    unittest.main()
