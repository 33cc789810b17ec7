#!/usr/bin/env python3
"""Decodes an audio chunk as Sources/Formats/Formats.docc/audio-chunk.md describes it, and only as that.

audio_chunk.py CHUNK ORIGINAL    reads the file CHUNK, writes the bytes of the recording to ORIGINAL

Written from the page, not from the code, so that a test finds what the page does not say. Uses the tools zstd and flac.
"""

import struct
import subprocess
import sys

BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 1, 6: 1}  # of a sample, by encoding
MASK = (1 << 64) - 1


def xxh64(data):
    p1, p2, p3, p4, p5 = (
        0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
    )  # fmt: skip

    def turn(x, n):
        return (x << n | x >> (64 - n)) & MASK

    def mix(acc, lane):
        return turn((acc + lane * p2) & MASK, 31) * p1 & MASK

    whole = len(data) // 32 * 32
    if whole:
        lanes = [(p1 + p2) & MASK, p2, 0, -p1 & MASK]
        for words in struct.iter_unpack("<4Q", data[:whole]):
            lanes = [mix(a, w) for a, w in zip(lanes, words)]
        h = sum(turn(a, n) for a, n in zip(lanes, (1, 7, 12, 18))) & MASK
        for a in lanes:
            h = ((h ^ mix(0, a)) * p1 + p4) & MASK
    else:
        h = p5
    h, rest = (h + len(data)) & MASK, data[whole:]
    while len(rest) >= 8:
        h, rest = (turn(h ^ mix(0, struct.unpack("<Q", rest[:8])[0]), 27) * p1 + p4) & MASK, rest[8:]
    if len(rest) >= 4:
        h, rest = (turn(h ^ struct.unpack("<I", rest[:4])[0] * p1 & MASK, 23) * p2 + p3) & MASK, rest[4:]
    for byte in rest:
        h = turn(h ^ byte * p5 & MASK, 11) * p1 & MASK
    h = (h ^ h >> 33) * p2 & MASK
    h = (h ^ h >> 29) * p3 & MASK
    return h ^ h >> 32


def tool(arguments, data):
    return subprocess.run(arguments, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


def unzstd(frame):
    return tool(["zstd", "-dcq"], frame)


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
        version, self.encoding, self.channels, coder, self.count, *lengths, self.hash = struct.unpack("<4B5IQ", data[:32])
        assert version == 1
        self.data, self.at = data, 32
        mappings = list(self.take(self.channels))
        tables = [self.table() if m == 3 else None for m in mappings]
        laws = {1: sorted({mu_law(c) for c in range(256)}), 2: sorted({a_law(c) for c in range(256)})}
        self.values = [table or laws.get(m) for m, table in zip(mappings, tables)]
        self.bits = [8 if values else 8 * BYTES[self.encoding] for values in self.values]
        front, back = self.verbatim(*lengths[:2]), self.verbatim(*lengths[2:])
        planes = self.flac() if coder == 1 else self.hybrid()
        self.original = front + self.samples(planes) + back
        assert xxh64(self.original) == self.hash

    def take(self, count):
        self.at += count
        assert self.at <= len(self.data)
        return self.data[self.at - count : self.at]

    def table(self):
        count, value = struct.unpack("<Bh", self.take(3))
        values = [value]
        for _ in range(count):
            distance, shift, more = 0, 0, True
            while more:
                byte = self.take(1)[0]
                distance, shift, more = distance | (byte & 127) << shift, shift + 7, byte > 127
            values.append(values[-1] + distance + 1)
        return values

    def verbatim(self, original, coded):
        return self.take(coded) if coded == original else unzstd(self.take(coded))

    def flac(self):
        bits = max(self.bits)
        info = 8000 << 44 | (self.channels - 1) << 41 | (bits - 1) << 36 | self.count
        head = b"fLaC\x80\0\0\x22" + struct.pack(">HH6xQ16x", 1024, 1024, info)
        raw = tool(
            ["flac", "-dcs", "--force-raw-format", "--endian=little", "--sign=signed", "-"], head + self.data[self.at :]
        )
        width = bits // 8
        numbers = [int.from_bytes(raw[i : i + width], "little", signed=True) for i in range(0, len(raw), width)]
        return [numbers[c :: self.channels] for c in range(self.channels)]

    def frame(self):
        return unzstd(self.take(struct.unpack("<I", self.take(4))[0]))

    def hybrid(self):
        blocks, side = -(-self.count // 256), self.frame()
        escapes = iter(struct.unpack(f"<{(len(side) - self.channels * (1 + blocks)) // 2}H", side[self.channels * (1 + blocks) :]))
        symbols = [b"".join(self.frame() for _ in range(0, self.count, 16384)) for _ in range(self.channels)]
        planes = []
        for c, (bits, symbol) in enumerate(zip(self.bits, symbols)):
            plane = [0, 0, 0]
            for block in range(blocks):
                part = symbol[256 * block : 256 * block + 256]
                how = side[self.channels + c * blocks + block]
                order, k = how & 3, how >> 2
                low = int.from_bytes(self.take((len(part) + 7) // 8 * k), "little")
                for i, h in enumerate(part):
                    r = h
                    if bits == 16:
                        u = (next(escapes) if h == 255 else h) << k | low >> i * k & (1 << k) - 1
                        r = -(u + 1) // 2 if u & 1 else u // 2
                    x, y, z = plane[-1], plane[-2], plane[-3]
                    r += (0, x, 2 * x - y, 3 * x - 3 * y + z)[order]
                    plane.append((r + (1 << bits - 1) & (1 << bits) - 1) - (1 << bits - 1))
            planes.append([x << side[c] for x in plane[3:]])
        assert self.at == len(self.data) and next(escapes, None) is None
        return planes

    def samples(self, planes):
        width = BYTES[self.encoding]
        law = {5: a_law, 6: mu_law}.get(self.encoding)
        codes = sorted(range(256), key=lambda code: (law(code), code)) if law else None
        for plane, values in zip(planes, self.values):
            if values:
                plane[:] = [values[x + len(values) // 2] for x in plane]
            elif codes:
                plane[:] = [codes[x + 128] for x in plane]
            elif width == 1:
                plane[:] = [x + 128 for x in plane]
        wrap = (1 << 8 * width) - 1
        return b"".join((x & wrap).to_bytes(width, "little") for frame in zip(*planes) for x in frame)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
        target.write(Chunk(source.read()).original)
