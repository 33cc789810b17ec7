"""What opens an archive: the recovery file and the keyring, as Formats.docc/recovery.md and keyring.md describe them.

Written from the pages, not from Komora's code; see scripts/read-archive. Also what all layouts use: checksums, sealing,
files that may be anything.
"""

import base64
import hashlib
import hmac
import os
import stat
import struct
import subprocess

from checksums import crc32c
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RECOVERY_MAX, MANIFEST_MAX, KEYRING_MAX = 1 << 16, (1 << 28) + 232, 4096 + 20_000_000 * 128  # bytes of files
PACK_MAX, FRAME_BODY_MAX, GROUP_MAX, RECORDING_CHUNK = 1 << 29, 266_304, 65_536, 262_144  # bytes
PAGE_WRAP, LOG_WRAP, ARCHIVE, RECORDING_NAME, SIGNING, AGREEMENT, RECORDING = range(1, 8)


class Refused(Exception):
    """What is wrong, and where."""


def need(truth, what):
    if not truth:
        raise Refused(what)


def is_whole(data):
    """Whether `data` ends in the CRC-32C of what stands before."""
    return len(data) >= 4 and crc32c(data[:-4]) == int.from_bytes(data[-4:], "little")


def checked(data, what):
    need(is_whole(data), f"{what} has another checksum")
    return data[:-4]


def open_file(path):
    """Opens an ordinary file; no pipe or device that lies where one should can stop the reader."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Refused(f"{path} is no ordinary file")
    return file


def read_file(path, most):
    with open_file(path) as file:
        data = file.read(most + 1)
    need(len(data) <= most, f"{path} is longer than {most} bytes")
    return data


def hkdf(key, salt, info):
    return HKDF(SHA256(), 32, salt, info).derive(key)


def opened(key, nonce, sealed, bound, what, cipher=AESGCM):
    try:
        return cipher(key).decrypt(nonce, sealed, bound)
    except InvalidTag:
        raise Refused(f"{what} does not open: wrong key, or it is damaged") from None


# ------------------------------------------------------------------------------------------------- recovery file (age)
def age_by_passphrase(data, passphrase):
    """An age file with one scrypt stanza and one chunk (https://c2sp.org/age)."""
    end = data.find(b"\n--- ")
    payload = data.find(b"\n", end + 1)
    lines = data[:end].decode("ascii", "replace").split("\n")
    words = lines[1].split(" ") if len(lines) == 3 else []
    need(0 < end < payload and words[:2] == ["->", "scrypt"] and len(words) == 4, "no recovery file under a passphrase")
    need(lines[0] == "age-encryption.org/v1" and words[3].isdigit(), "no recovery file under a passphrase")

    def bare(text):
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)

    log_n, salt = int(words[3]), b"age-encryption.org/v1/scrypt" + bare(words[2])
    need(1 <= log_n <= 20, f"the recovery file asks for a passphrase's work of 2^{log_n}")
    key = hashlib.scrypt(passphrase, salt=salt, n=1 << log_n, r=8, p=1, dklen=32, maxmem=(1 << 10 + log_n) + (1 << 20))
    key = opened(key, bytes(12), bare(lines[2]), None, "the recovery file", ChaCha20Poly1305)
    mac = hmac.digest(hkdf(key, b"", b"header"), data[: end + 4], "sha256")
    need(hmac.compare_digest(mac, bare(data[end + 5 : payload].decode())), "the recovery file's header was changed")
    nonce, sealed = data[payload + 1 : payload + 17], data[payload + 17 :]
    return opened(hkdf(key, nonce, b"payload"), bytes(11) + b"\1", sealed, None, "the recovery file", ChaCha20Poly1305)


def read_recovery(path, identity, passphrase_file):
    """The account's id and key."""
    data = read_file(path, RECOVERY_MAX)
    if identity:
        tool = subprocess.run(["age", "-d", "-i", identity], input=data, capture_output=True)
        need(tool.returncode == 0, f"age does not open the recovery file: {tool.stderr.decode(errors='replace')[:200]}")
        plain = tool.stdout
    else:
        plain = age_by_passphrase(data, read_file(passphrase_file, RECOVERY_MAX).decode().strip().encode())
    need(len(plain) == 68 and plain[:8] == b"KRCV\1\0\0\0", "not the recovery file of an account")
    checked(plain, "the recovery file")
    return plain[8:24], plain[32:64]


# ------------------------------------------------------------------------------------------------------------- keyring
def read_keyring(path, account, account_key):
    """{(kind, id): key}"""
    with open_file(path) as file:
        head, keys, number, size = file.read(4096), {}, 0, os.fstat(file.fileno()).st_size
        need(head[:6] == b"KKEY\1\0" and len(head) == 4096, "the keyring is none of version 1")
        need(size <= KEYRING_MAX, f"the keyring is longer than {KEYRING_MAX} bytes")
        checked(head[:3072], "the keyring's header")
        need(head[8:24] == account, "the keyring is another account's")
        slots = [head[3072:3584], head[3584:]]
        slots = [s for s in slots if s[:4] == b"KSLT" and s[8:24] == head[24:40] and is_whole(s)]
        need(slots, "the keyring has no whole slot")
        _, synced = max(struct.unpack_from("<QQ", s, 24) for s in slots)
        need(4096 <= synced <= size, "the keyring is cut off")
        for start in range(4096, size, 512):
            sector, at = file.read(512), 0
            while any(sector[at:]):
                length, kind, count = struct.unpack_from("<HHQ", sector.ljust(512, b"\0")[at:].ljust(12, b"\0"))
                entry = sector[at : at + length]
                if not 60 <= length == len(entry) or count != number or not is_whole(entry):
                    need(start + at >= synced, f"the keyring is damaged at byte {start + at}")
                    return keys  # what was never promised
                bound = head[:6] + account + entry[2:4] + entry[12:28]
                key = opened(account_key, entry[28:40], entry[40:-4], bound, f"entry {number} of the keyring")
                need((kind, entry[12:28]) not in keys, f"the keyring holds the key of entry {number} twice")
                need(kind > RECORDING or len(key) == 32, f"entry {number} of the keyring is no key")
                keys[kind, entry[12:28]] = key
                at, number = at + length, number + 1
    return keys
