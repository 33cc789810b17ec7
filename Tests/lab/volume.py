"""A node's data volume: ext4 on a loop device on a disk whose power can be cut (disk.c), in a mount namespace apart.

`cut` loses what no sync had reached; `detach` and `attach` are the machine going down and coming up, with ext4's own
recovery. The runner must have called `apart()` first: a mount that another namespace had copied would keep the file
system alive, and a power cut would not be one.
"""

import ctypes
import json
import os
import subprocess
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
BYTES = 2 << 30
CLONE_NEWNS = 0x20000
COMMAND_SECONDS_MAX = 30


class VolumeFailed(Exception):
    """The lab's own disk could not be made or moved: nothing about the product."""


def apart():
    """A mount namespace of this process and its children: what they mount nobody else sees or holds."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise VolumeFailed(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    run("mount", "--make-rprivate", "/")


def run(*command, check=True):
    result = subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX
    )
    if check and result.returncode:
        raise VolumeFailed(f"{' '.join(map(str, command))}: {result.stderr.strip()}")
    return result.stdout.strip()


def built(folder, name, *more):
    """Compiles one of the lab's C files, once per folder."""
    out = Path(folder) / name
    if not out.exists():
        source = HERE / f"{out.stem}.c"
        run("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", f"{out}.new", source, *more)
        os.rename(f"{out}.new", out)
    return out


class Volume:
    def __init__(self, folder, program, seed):
        self.folder, self.lock = Path(folder), threading.Lock()
        self.back, self.place, self.loop, self.attached = self.folder / "disk", None, None, False
        self.back.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [program, self.back, str(BYTES), str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self.process.stdout.readline().strip() != "ready":
            raise VolumeFailed("the disk did not start: is /dev/fuse there?")
        self.fresh = True

    def command(self, line):
        with self.lock:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def attach(self, place):
        """Mounts it at `place`; the first time it is empty."""
        self.place = Path(place)
        self.place.mkdir(parents=True, exist_ok=True)
        self.loop = run("losetup", "--find", "--show", self.back / "disk")
        if self.fresh:
            run("mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", self.loop)
            self.fresh = False
        run("mount", "-o", "errors=remount-ro", self.loop, self.place)
        self.attached = True

    def detach(self):
        """The machine is off. What the file system still wanted to write goes nowhere."""
        run("umount", self.place)
        run("losetup", "--detach", self.loop)
        self.command("restore")
        self.attached = False

    def cut(self):
        return self.command("cut")

    def fails(self, on):
        self.command(f"fail {int(on)}")

    def slow(self, milliseconds):
        self.command(f"sync_us {int(milliseconds * 1000)}")

    # ------------------------------------------------------------------------------------------------ a full disk
    def fill(self, leave):
        """Takes all free space but about `leave` bytes."""
        with open(self.place / "filler", "wb") as file:
            free = os.statvfs(self.place)
            size = max(0, free.f_bavail * free.f_frsize - leave)
            while size > 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                    size = min(size, os.statvfs(self.place).f_bavail * free.f_frsize - leave)
                except OSError:
                    size //= 2

    def free(self):
        (self.place / "filler").unlink(missing_ok=True)

    def healthy(self):
        """Can it be written? ext4 makes itself read-only after an error of its journal."""
        try:
            probe = self.place / "probe"
            probe.write_bytes(b"x")
            probe.unlink()
            return True
        except OSError:
            return False

    def close(self):
        if self.attached:
            run("umount", "--lazy", self.place, check=False)
            run("losetup", "--detach", self.loop, check=False)
        run("umount", "--lazy", self.back, check=False)
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
