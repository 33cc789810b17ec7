"""The lab's network: a namespace per node, `komora-lab-N`, joined by the relay. Regions are far apart.

Addresses are 10.77.R.N (region, node). `Network` is a context manager: it removes what an earlier run left behind,
makes everything, and removes it again. One lab runs at a time on a machine (a lock file says so).
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PREFIX = "komora-lab-"
LOCK = "/run/komora-lab.lock"
TUN = "/dev/net/tun"
START_SECONDS_MAX = 20


class Unable(Exception):
    """This machine cannot run the lab, and what it lacks."""


@dataclass(frozen=True)
class Place:
    """Where one node stands."""

    number: int
    region: str
    region_number: int

    @property
    def name(self):
        return f"{self.region}-{self.number}"

    @property
    def namespace(self):
        return f"{PREFIX}{self.number}"

    @property
    def address(self):
        return f"10.77.{self.region_number}.{self.number}"


def places(regions, count):
    """`count` nodes spread over `regions`, in turn, numbered from 1."""
    return [Place(n + 1, regions[n % len(regions)], n % len(regions) + 1) for n in range(count)]


def require():
    """Says what is missing before anything is touched."""
    if os.geteuid() != 0:
        raise Unable("the lab makes network namespaces: run it as root")
    if not os.path.exists(TUN):
        raise Unable(f"{TUN} is missing: load the kernel module tun, or give the container the device")
    if subprocess.run(["sh", "-c", "command -v ip"], capture_output=True).returncode:
        raise Unable("the command `ip` is missing: install the package iproute2")
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError as error:
        raise Unable(f"{TUN} cannot be opened ({error.strerror}): the container needs CAP_NET_ADMIN") from None
    probe = subprocess.run(["ip", "netns", "add", f"{PREFIX}probe"], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", f"{PREFIX}probe"], capture_output=True)
    if probe.returncode:
        raise Unable(f"no network namespaces here: {probe.stderr.strip()}")


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True).stdout


def clean():
    """Ends what still runs in the lab's namespaces, by its id, and removes them."""
    for line in ip("netns", "list", check=False).splitlines():
        namespace = line.split()[0] if line else ""
        if not namespace.startswith(PREFIX):
            continue
        for pid in ip("netns", "pids", namespace, check=False).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        ip("netns", "del", namespace, check=False)


class Network:
    """`with Network(places) as network:` gives namespaces, a running relay, and its control."""

    def __init__(self, places, near_ms=0.25, far_ms=20.0, jitter_permille=50, mtu=1500, seed=1):
        self.places, self.near_ms, self.far_ms, self.jitter_permille = places, near_ms, far_ms, jitter_permille
        self.mtu, self.seed = mtu, seed
        self.by_name = {p.name: p for p in places}
        self.relay = self.control = self.lock = self.folder = None

    def __enter__(self):
        require()
        self.lock = open(LOCK, "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unable(f"another lab runs on this machine ({LOCK} is held): wait for it") from None
        clean()
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        for place in self.places:
            ip("netns", "add", place.namespace)
            ip("-n", place.namespace, "link", "set", "lo", "up")
        self.folder = tempfile.TemporaryDirectory(prefix="komora-lab-")
        path = f"{self.folder.name}/relay"
        nodes = [{"name": p.name, "address": p.address, "namespace": p.namespace} for p in self.places]
        self.relay = subprocess.Popen(
            [sys.executable, HERE / "relay.py", "--socket", path, "--nodes", json.dumps(nodes)]
            + ["--mtu", str(self.mtu), "--seed", str(self.seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self.relay.stdout.readline().strip() != "ready":
            raise Unable("the relay did not start; what it said is above")
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(START_SECONDS_MAX)
        self.control.connect(path)
        self.answers = self.control.makefile("r")
        self.normal()

    def __exit__(self, *_):
        if self.control:
            self.control.close()
        if self.relay:
            self.relay.stdin.close()
            try:
                self.relay.wait(5)
            except subprocess.TimeoutExpired:
                self.relay.kill()
                self.relay.wait()
        clean()
        if self.folder:
            self.folder.cleanup()
        self.lock.close()

    # -------------------------------------------------------------------------------------------- conditions
    def ask(self, **request):
        self.control.sendall(json.dumps(request).encode() + b"\n")
        said = json.loads(self.answers.readline())
        if "error" in said:
            raise ValueError(said["error"])
        return said

    def set(self, sources, targets, **condition):
        """From each of `sources` to each of `targets` (names), one way."""
        return self.ask(op="set", condition=condition, **{"from": sorted(sources), "to": sorted(targets)})

    def normal(self):
        """Delays by region, and nothing else."""
        self.set(self.by_name, self.by_name, cut=False, cut_ports=[], half_open=False)
        self.calm(self.by_name, self.by_name)

    def calm(self, some, others):
        """Delays by region and no losses, between these, both ways; what is cut stays cut."""
        for a in (self.by_name[name] for name in some):
            for b in (self.by_name[name] for name in others):
                delay = self.near_ms if a.region == b.region else self.far_ms
                rest = {"loss_permille": 0, "duplicate_permille": 0, "reorder": False}
                rest |= {"delay_ms": delay, "jitter_ms": delay * self.jitter_permille / 1000}
                self.set([a.name], [b.name], **rest)
                self.set([b.name], [a.name], **rest)

    def region(self, *names):
        return {p.name for p in self.places if p.region in names}

    def others(self, names):
        return set(self.by_name) - set(names)

    def cut(self, side, one_way=False):
        """Nothing from `side` to the others, and unless `one_way` nothing back."""
        side, others = set(side), self.others(side)
        self.set(side, others, cut=True)
        if not one_way:
            self.set(others, side, cut=True)

    def heal(self):
        self.set(self.by_name, self.by_name, cut=False)

    def counts(self):
        return self.ask(op="counts")

    def total(self, *names):
        pairs = self.counts()["pairs"]
        return {name: sum(pair[name] for pair in pairs) for name in names}


def inside(place, *command):
    """The command line that runs `command` in the node's namespace: it becomes the command, with this one's mounts."""
    return ["nsenter", f"--net=/run/netns/{place.namespace}", "--", *map(str, command)]


def wait_until(predicate, seconds, every=0.02):
    """Seconds until `predicate` says yes, or None."""
    began = time.monotonic()
    while not predicate():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(every)
    return time.monotonic() - began
