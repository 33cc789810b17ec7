"""The checksums of stored layouts: CRC-32C (RFC 3720) and XXH64 (seed 0), each of any bytes, as a number."""

import struct

MASK = (1 << 64) - 1
CRC_TABLE = []
for value in range(256):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    CRC_TABLE.append(value)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


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
