#!/usr/bin/env python3
"""Decodes an audio chunk as Sources/Formats/Formats.docc/audio-chunk.md describes it, and only as that.

audio_chunk.py CHUNK ORIGINAL    reads the file CHUNK, writes the bytes of the recording to ORIGINAL

Written from the page, not from the code, so that a test finds what the page does not say. Whatever the bytes are, it
takes no more memory than a chunk may have, and raises ValueError where they are not an audio chunk. Uses the tool flac.
"""

import struct
import subprocess
import sys
import tempfile
from array import array

sys.dont_write_bytecode = True
from checksums import xxh64  # noqa: E402
from libzstd import unzstd  # noqa: E402

BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 1, 6: 1}  # of a sample, by encoding
ORIGINAL_BYTES_MAX = 262_144
TYPES = {1: "b", 2: "h", 4: "i"}  # of array, by bytes of a number


def require(truth, what):
    if not truth:
        raise ValueError(f"audio chunk: {what}")


def mu_law(code):
    b = ~code & 255
    magnitude = ((b % 16 * 8 + 132) << (b >> 4 & 7)) - 132
    return -magnitude if b & 128 else magnitude


def a_law(code):
    b = code ^ 85
    s = b >> 4 & 7
    magnitude = 16 * (b % 16) + 8 if s == 0 else (16 * (b % 16) + 264) << (s - 1)
    return magnitude if b & 128 else -magnitude


class Chunk:
    def __init__(self, data):
        require(len(data) >= 32, "shorter than its header")
        version, encoding, self.channels, coder, self.count, *lengths, digest = struct.unpack("<4B5IQ", data[:32])
        require(version == 1 and encoding in BYTES, f"version {version}, encoding {encoding}")
        self.encoding, self.width = encoding, BYTES[encoding]
        require(1 <= self.channels <= 8, f"{self.channels} channels")
        require(coder == 1 or coder == 2 and self.width <= 2, f"coder {coder} of encoding {encoding}")
        size = lengths[0] + self.count * self.channels * self.width + lengths[2]
        require(size <= ORIGINAL_BYTES_MAX, f"{size} original bytes")
        self.kind = "FLAC" if coder == 1 else "hybrid"
        self.data, self.at = data, 32
        mappings = list(self.take(self.channels))
        require(all(m == 0 or m <= 3 and encoding == 2 for m in mappings), f"mappings {mappings}")
        tables = [self.table() if m == 3 else None for m in mappings]
        laws = {1: sorted({mu_law(c) for c in range(256)}), 2: sorted({a_law(c) for c in range(256)})}
        self.values = [table or laws.get(m) for m, table in zip(mappings, tables)]
        self.bits = [8 if values else 8 * self.width for values in self.values]
        front, back = self.verbatim(*lengths[:2]), self.verbatim(*lengths[2:])
        planes = self.flac() if coder == 1 else self.hybrid()
        self.original = front + self.samples(planes) + back
        require(xxh64(self.original) == digest, "its content has another hash")

    def take(self, count):
        self.at += count
        require(self.at <= len(self.data), "it is cut off")
        return self.data[self.at - count : self.at]

    def table(self):
        count, value = struct.unpack("<Bh", self.take(3))
        values = [value]
        for _ in range(count):
            distance, shift, more = 0, 0, True
            while more:
                require(shift < 21, "a distance of more than 3 bytes")
                byte = self.take(1)[0]
                distance, shift, more = distance | (byte & 127) << shift, shift + 7, byte > 127
            values.append(values[-1] + distance + 1)
        require(values[-1] <= 32767, "a table leaves 16 bits")
        return values

    def verbatim(self, original, coded):
        content = self.take(coded) if coded == original else unzstd(self.take(coded), original)
        require(len(content) == original, "front or back has another size")
        return content

    def flac(self):
        bits = max(self.bits)
        info = 8000 << 44 | (self.channels - 1) << 41 | (bits - 1) << 36 | self.count
        head = b"fLaC\x80\0\0\x22" + struct.pack(">HH6xQ16x", 1024, 1024, info)
        size = self.count * self.channels * bits // 8
        with tempfile.TemporaryFile() as source:
            source.write(head + self.data[self.at :])
            source.seek(0)
            words = ["flac", "-dcs", "--force-raw-format", "--endian=little", "--sign=signed", "-"]
            with subprocess.Popen(words, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tool:
                raw = tool.stdout.read(size + 1)  # a few bytes of FLAC can say gigabytes
                if len(raw) > size:
                    tool.kill()
        require(len(raw) == size and tool.returncode == 0, "its FLAC frames are damaged")
        width = bits // 8
        if width == 3:
            numbers = [int.from_bytes(raw[i : i + 3], "little", signed=True) for i in range(0, size, 3)]
        else:
            numbers = array(TYPES[width], raw)
        return [list(numbers[c :: self.channels]) for c in range(self.channels)]

    def frame(self, most):
        return unzstd(self.take(struct.unpack("<I", self.take(4))[0]), most)

    def hybrid(self):
        blocks = -(-self.count // 256)
        first = self.channels * (1 + blocks)
        side = self.frame(first + 2 * self.count * self.channels)
        require(len(side) >= first and (len(side) - first) % 2 == 0, "its side has another size")
        escapes = iter(struct.unpack(f"<{(len(side) - first) // 2}H", side[first:]))
        symbols = [b"".join(self.frame(16384) for _ in range(0, self.count, 16384)) for _ in range(self.channels)]
        require(all(len(s) == self.count for s in symbols), "a channel has another count of symbols")
        planes = []
        for c, (bits, symbol) in enumerate(zip(self.bits, symbols)):
            plane, half, mask = [0, 0, 0], 1 << bits - 1, (1 << bits) - 1
            require(side[c] < bits, "a shift of more than a number's bits")
            for block in range(blocks):
                part = symbol[256 * block : 256 * block + 256]
                how = side[self.channels + c * blocks + block]
                order, k = how & 3, how >> 2
                require(k <= 8, f"{k} low bits")
                low = int.from_bytes(self.take((len(part) + 7) // 8 * k), "little")
                for i, h in enumerate(part):
                    r = h
                    if bits == 16:
                        h = next(escapes, None) if h == 255 else h
                        require(h is not None, "too few escapes")
                        u = h << k | low >> i * k & (1 << k) - 1
                        r = -(u + 1) // 2 if u & 1 else u // 2
                    x, y, z = plane[-1], plane[-2], plane[-3]
                    r += (0, x, 2 * x - y, 3 * x - 3 * y + z)[order]
                    plane.append((r + half & mask) - half)
            planes.append([x << side[c] for x in plane[3:]])
        require(self.at == len(self.data) and next(escapes, None) is None, "something is left over")
        return planes

    def samples(self, planes):
        law = {5: a_law, 6: mu_law}.get(self.encoding)
        codes = sorted(range(256), key=lambda code: (law(code), code)) if law else None
        for plane, values in zip(planes, self.values):
            if values:
                middle = len(values) // 2
                inside = not plane or min(plane) + middle >= 0 and max(plane) + middle < len(values)
                require(inside, "a rank of no value")
                plane[:] = [values[x + middle] for x in plane]
            elif codes:
                plane[:] = [codes[x + 128] for x in plane]
            elif self.width == 1:
                plane[:] = [x + 128 for x in plane]
        numbers = [0] * (self.count * self.channels)
        for c, plane in enumerate(planes):
            numbers[c :: self.channels] = plane
        wrap = (1 << 8 * self.width) - 1
        return b"".join((x & wrap).to_bytes(self.width, "little") for x in numbers)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
        target.write(Chunk(source.read()).original)
