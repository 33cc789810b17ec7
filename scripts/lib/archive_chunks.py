"""The chunks and manifests of an archive, as Formats.docc/archive.md, pack.md, manifest.md and recording-chunk.md say.

Written from the pages, not from Komora's code; see scripts/read-archive.
"""

import hmac
import os
import struct
from collections import Counter

from archive_keys import (
    ARCHIVE, FRAME_BODY_MAX, GROUP_MAX, MANIFEST_MAX, PACK_MAX, RECORDING, RECORDING_CHUNK, RECORDING_NAME, SIGNING,
    Refused, checked, hkdf, is_whole, need, open_file, opened, read_file,
)  # fmt: skip
from audio_chunk import Chunk
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from libzstd import unzstd


class Archive:
    def __init__(self, folder, account, keys):
        self.folder, self.account, self.keys, self.codings = folder, account, keys, Counter()
        for kind in (ARCHIVE, RECORDING_NAME, SIGNING):
            need((kind, bytes(16)) in keys, f"the keyring has no key of kind {kind}")
        chunks, database, recordings, self.manifests = (
            hkdf(keys[ARCHIVE, bytes(16)], account, f"komora archive {what} v1".encode())
            for what in ("chunks", "database names", "recording names", "manifests")
        )
        self.chunk_key, self.database_names, self.recording_names = chunks, database, recordings
        self.places, self.unread = {}, []
        for path in sorted((folder / "packs").glob("*.kpak")):
            try:
                with open_file(path) as file:
                    self.list_pack(path, file)
            except Refused as why:  # what lies in this pack may lie in another one too
                self.unread.append(str(why))

    def list_pack(self, path, file):
        name, size = f"pack {path.stem}", os.fstat(file.fileno()).st_size
        need(84 <= size <= PACK_MAX, f"{name} has {size} bytes")
        head = checked(file.read(48), name)
        need(head[:8] == b"KPAK\1\0\0\0" and head[8:24] == self.account, f"{name} is none of this account")
        need(head[24:40].hex() == path.stem, f"{name} is another pack")
        file.seek(size - 16)
        foot = file.read(16)
        need(foot[12:] == b"KPKE", f"{name} is cut off")
        start = int.from_bytes(checked(foot[:12], name), "little")
        need(48 <= start <= min(size - 28, 1 << 28), f"{name} says that its list lies at {start}")
        file.seek(start)
        entries = checked(file.read(size - 16 - start), name)
        whole = entries[:4] == b"KPKX" and len(entries) == 8 + 40 * int.from_bytes(entries[4:8], "little")
        need(whole, f"the list of {name} has another length than it says")
        for chunk, offset, length in struct.iter_unpack("<32sII", entries[8:]):
            inside = 48 <= offset and 48 <= length <= 48 + FRAME_BODY_MAX and offset + length <= start
            need(inside, f"the list of {name} leads out of it")
            self.places.setdefault(chunk, []).append((path, offset, length))

    def chunk(self, name, kind, decode, what):
        """What `decode` makes of the first copy of a chunk that is whole; any copy that opens under its name is it."""
        reason = "no pack lists it"
        for path, offset, length in self.places.get(name, []):
            try:
                with open_file(path) as file:
                    file.seek(offset)
                    frame = checked(file.read(length), "its frame")
                body, found, coding, reserved, original = struct.unpack_from("<IBBHI", frame)
                same = (body, found, reserved, frame[12:44]) == (length - 48, kind, 0, name)
                need(same, "another frame is there")
                return decode(coding, original, frame[44:])
            except (Refused, ValueError, struct.error) as why:
                reason = why
        raise Refused("; ".join([f"{what} cannot be read: {reason}"] + self.unread))

    def group(self, name):
        def decode(coding, original, body):
            need(coding in (0, 1) and 0 < original <= GROUP_MAX and len(body) >= 28, "its coding or length is wrong")
            bound = b"KPAK\1\0" + self.account + bytes([1, coding]) + original.to_bytes(4, "little") + name
            content = opened(hkdf(self.chunk_key, name, b"chunk"), body[:12], body[12:], bound, "it")
            content = unzstd(content, original) if coding else content
            need(len(content) == original, "its content has another length")
            need(hmac.digest(self.database_names, content, "sha256") == name, "its content has another name")
            return content

        return self.chunk(name, 1, decode, f"the database's chunk {name.hex()}")

    def recording_chunk(self, recording, number, last):
        def decode(coding, _, frame):
            need(coding == 2 and len(frame) >= 64, "its coding or length is wrong")
            checked(frame[:48], "its header")
            magic, version, coding, flags, zero, owner, count, original, coded = struct.unpack_from("<4s4B16s3I", frame)
            need((magic, version, flags, zero) == (b"KCHK", 1, int(last), 0), "its header is wrong")
            need((owner, count) == (recording, number), "another chunk is there")
            need(coded <= original <= RECORDING_CHUNK and len(frame) == 64 + coded, "its lengths are wrong")
            need(coding <= 2 and (last or original == RECORDING_CHUNK), "its coding or lengths are wrong")
            nonce, bound = frame[36:44] + number.to_bytes(4, "little"), self.account + frame[:48]
            content = opened(self.keys[RECORDING, recording], nonce, frame[48:], bound, "it")
            kind = ("stored", "zstd", "")[coding]
            if coding == 1:
                content = unzstd(content, original)
            elif coding == 2:
                audio = Chunk(content)
                content, kind = audio.original, audio.kind
            need(len(content) == original, "its content has another length")
            self.codings[kind] += 1
            return content

        name = hmac.digest(self.recording_names, recording + number.to_bytes(8, "little"), "sha256")
        return self.chunk(name, 2, decode, f"chunk {number} of recording {recording.hex()}")

    def manifest(self, snapshot):
        """Header and opened body of a snapshot's manifest; of the greatest position's when none is named."""
        found = []
        for path in (self.folder / "manifests").glob("*.kman"):
            if snapshot in (None, path.stem.partition("-")[2]):
                with open_file(path) as file:
                    head = file.read(160)
                need(head[:6] == b"KMAN\1\0" and is_whole(head), f"{path.name} is no manifest, or damaged")
                need(head[8:24] == self.account, f"{path.name} is another account's")
                found.append((struct.unpack_from("<QQ", head, 48), path.name, path, head))
        need(found, "the archive has no such snapshot" if snapshot else "the archive has no snapshot")
        _, name, path, head = max(found)
        created, n = struct.unpack_from("<q", head, 40)[0], int.from_bytes(head[148:152], "little")
        need(name == f"{created}-{head[24:40].hex()}.kman", f"{name} is the manifest of another snapshot")
        data = read_file(path, MANIFEST_MAX)
        need(data[:160] == head and len(data) == 232 + n, f"{name} is cut off")
        checked(data[160 : 164 + n], f"{name}: its body")
        checked(data[164 + n :], f"{name}: its signature")
        public = Ed25519PrivateKey.from_private_bytes(self.keys[SIGNING, bytes(16)]).public_key()
        own = public.public_bytes(Encoding.Raw, PublicFormat.Raw) == head[104:136]
        need(own, f"{name} is signed by another account")
        try:
            public.verify(data[164 + n : 228 + n], data[: 164 + n])
        except InvalidSignature:
            raise Refused(f"{name} has a wrong signature") from None
        key = hkdf(self.manifests, head[24:40], b"manifest")
        return head, opened(key, head[136:148], data[160 : 160 + n], head, name)
