"""The wall clock of one node: clock.c, preloaded into it, adds what this writes."""

import struct
from pathlib import Path


class Clock:
    def __init__(self, folder, library):
        self.path, self.library = Path(folder) / "clock", library
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(struct.pack("=q", 0))
        self.file = open(self.path, "r+b", buffering=0)

    def environment(self):
        return {"LD_PRELOAD": str(self.library), "KOMORA_LAB_CLOCK": str(self.path)}

    def jump(self, seconds):
        """From here on the clock shows so much more than it should."""
        self.file.seek(0)
        self.file.write(struct.pack("=q", int(seconds * 1e9)))
