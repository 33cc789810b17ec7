"""What one node holds in memory while 64 clients read objects of 64 MiB slowly, put slowly, and put at full speed.

The resident set of the node's process is sampled against what it was before anybody asked for an object; its own mark of
the most (VmHWM, set back before each part) must not say more. Slow clients take or give 64 KiB and wait, so that a node
that does not hold its disk or its client back would have everything of everybody in memory.
"""

import contextlib
import functools
import itertools
import re
import shutil
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench_cases import Case
from bench_nodes import Cluster
from bench_s3 import KIB, MIB, Size, incompressible, node_objects

CLIENTS, READ_KEYS = 64, 8
ABOVE_IDLE_MIB_MAX = 128
STEP_BYTES = 64 * KIB
READ_PAUSE_SECONDS, WRITE_PAUSE_SECONDS, SLOW_PUT_BYTES = 0.022, 0.2, 100 * STEP_BYTES
SAMPLE_SECONDS, SETTLE_SECONDS = 0.05, 3
SIZE = Size("64 MiB", 64 * MIB, CLIENTS, (CLIENTS,), 0)


def resident(status):
    """(now, most) in bytes, of the text of /proc/PID/status."""
    found = {name: int(kib) * KIB for name, kib in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.M)}
    return found["VmRSS"], found["VmHWM"]


class Watched:
    """`with Watched(pid) as seen:` samples a process; `seen.most` is the greatest resident set after that, in bytes."""

    def __init__(self, pid):
        self.place, self.ended, self.most = Path(f"/proc/{pid}"), threading.Event(), 0
        self.thread = threading.Thread(target=self.sample)

    def now(self):
        return resident((self.place / "status").read_text())[0]

    def sample(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            self.most = max(self.most, self.now())

    def __enter__(self):
        (self.place / "clear_refs").write_text("5")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        # Between two samples it may have been more, and the kernel saw it.
        self.most = max(self.most, resident((self.place / "status").read_text())[1])


def connected(objects):
    plain = socket.create_connection(("127.0.0.1", objects.port), timeout=120)
    return ssl.create_default_context(cafile=objects.authority).wrap_socket(plain, server_hostname="localhost")


def ask(connection, objects, method, key, length=""):
    head = f"{method} {objects.target(method, key)} HTTP/1.1\r\nHost: localhost:{objects.port}\r\n{length}\r\n"
    connection.sendall(head.encode())


def replied(connection):
    """The reply's length and what came of its body with its head."""
    said = b""
    while b"\r\n\r\n" not in said:
        part = connection.recv(4 * KIB)
        if not part:
            raise SystemExit(f"bench: the node closed a connection after {said!r}")
        said += part
    head, _, body = said.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"bench: refused: {said[:400].decode(errors='replace')}")
    return int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1]), body


def read_slowly(objects, key):
    with connected(objects) as connection:
        ask(connection, objects, "GET", key)
        length, body = replied(connection)
        got = len(body)
        while got < length:
            step = min(length, got + STEP_BYTES)
            while got < step:
                part = connection.recv(min(step - got, 16 * KIB))
                if not part:
                    raise SystemExit(f"bench: an object ended after {got} of {length} bytes")
                got += len(part)
            time.sleep(READ_PAUSE_SECONDS)
    if length != SIZE.bytes:
        raise SystemExit(f"bench: an object of {length} bytes")


def write_slowly(objects, key, piece):
    with connected(objects) as connection:
        ask(connection, objects, "PUT", key, f"Content-Length: {SLOW_PUT_BYTES}\r\n")
        for _ in range(SLOW_PUT_BYTES // STEP_BYTES):
            connection.sendall(piece)
            time.sleep(WRITE_PAUSE_SECONDS)
        replied(connection)


def all_at_once(work, keys):
    with ThreadPoolExecutor(len(keys)) as threads:
        for done in [threads.submit(work, key) for key in keys]:
            done.result()


def turn(objects, node, folder):
    """Every part once, whatever the number of repetitions: it takes more than a minute."""
    files = incompressible(folder, SIZE)
    body = next(iter(files.values()))
    with open(body, "rb") as f:
        piece = f.read(STEP_BYTES)
    time.sleep(SETTLE_SECONDS)
    idle, row = Watched(node).now(), {}

    def part(name, work):
        began, before = time.monotonic(), Watched(node).now()
        with Watched(node) as seen:
            result = work()
        row[f"{name}_MiB"] = (seen.most - idle) / MIB
        # What of it the part added to what the one before left behind.
        row[f"{name}_rise_MiB"] = (seen.most - before) / MIB
        row[f"{name}_s"] = time.monotonic() - began
        return result

    # The slow ones first: what puts at full speed leave with the allocator would hide what they add.
    few = dict(itertools.islice(files.items(), READ_KEYS))
    objects.ask("PUT", few, 1, 0)
    part("slow_readers", lambda: all_at_once(functools.partial(read_slowly, objects), [*few] * (CLIENTS // READ_KEYS)))
    writes = functools.partial(write_slowly, objects, piece=piece)
    part("slow_writers", lambda: all_at_once(writes, [f"slow/{number}" for number in range(CLIENTS)]))
    puts = part("puts", lambda: objects.ask("PUT", files, CLIENTS, 0))
    row |= {"idle_MiB": idle / MIB, "after_MiB": (Watched(node).now() - idle) / MIB}
    return {name: puts[name] for name in ("commits_per_second", "p50_ms", "p99_ms")} | row


@contextlib.contextmanager
def memory(options, folder):
    with Cluster(options, folder / "komora", 1) as nodes:
        objects = node_objects(options, nodes)
        node = int((nodes.data / "node1/komora.pid").read_text())
        once = functools.cache(lambda: turn(objects, node, folder))
        yield [
            Case(
                f"S3 memory: {CLIENTS} readers, writers, puts",
                {"komora": once},
                most=dict.fromkeys(("slow_readers_MiB", "slow_writers_MiB", "puts_MiB"), ABOVE_IDLE_MIB_MAX),
                what="requests",
            )
        ]
    shutil.rmtree(folder)
