"""A cluster for a verdict: Komora's nodes in the lab, with whatever the faults need to reach: disks, clocks, etcd.

A node's data lies on a volume of its own (volume.py), so its power can be cut; its clock is what a shim says
(clock.py). `down` is what was ended on purpose, so that a node which ends by itself is noticed and started again, as a
service manager does.
"""

import contextlib
import json
import signal
import subprocess
import threading
import time

from asking import answers
from komora_node import API, FABRIC, S3, KomoraNodes
from network import inside, wait_until
from nodes import Failed

READY_SECONDS_MAX, SETTLE_SECONDS_MAX = 60, 120
RESPAWN_SECONDS = 1.0
ETCD_PORTS = (FABRIC + 1, FABRIC + 2)


class Cluster(KomoraNodes):
    def __init__(self, places, folder, binary, volumes, clocks):
        self.volumes, self.clocks = volumes, clocks
        self.down, self.respawned, self.ended = set(), 0, threading.Event()
        # What power cuts took: {"dropped", "kept", "torn"} blocks that no sync had reached.
        self.taken = {}
        self.locks = {p.name: threading.RLock() for p in places}
        super().__init__(places, folder, binary)
        for place in places:
            if clocks:
                # The node alone: its commands and its etcd keep the true time.
                self.daemons[place.name].environment |= clocks[place.name].environment()
            if volumes:
                volumes[place.name].attach(self.home(place) / "data")

    def unit(self, name):
        return next(unit for unit in self.units if unit.place.name == name)

    # ------------------------------------------------------------------------------------------------ making it
    def make(self):
        """All nodes joined and the control store grown, as one would find it in production."""
        first = self.places[0]
        self.found(first)
        self.start(first.name)
        for place in self.places[1:]:
            self.join(place, first)
            self.start(place.name)
        if wait_until(lambda: self.settled(first), SETTLE_SECONDS_MAX, every=0.5) is None:
            raise Failed(f"the cluster did not settle within {SETTLE_SECONDS_MAX} s")
        threading.Thread(target=self.watch_over, daemon=True).start()

    def settled(self, place):
        wanted = 1 if len(self.places) < 3 else 3 if len(self.places) < 5 else 5
        status = json.loads(self.must(place, "cluster", "status", *self.connection(place)))
        alive = sum(node.get("health") == "alive" for node in status["nodes"])
        return len(status["control"]["endpoints"]) == wanted and alive == len(self.places)

    def account(self, name, home, survive):
        """Makes it, waits until it has its voters, and gives its key."""
        place = self.places[0]
        self.must(place, "account", "create", name, "--home", home, "--survive", survive, *self.connection(place))
        key = json.loads(self.must(place, "key", "create", "--account", name, *self.connection(place)))
        return {name: key[name] for name in ("access_key", "secret_key", "token")} | {"name": name, "home": home}

    def show(self, account):
        for place in self.places:
            try:
                return json.loads(self.must(place, "account", "show", account, *self.connection(place)))
            except (Failed, ValueError, subprocess.TimeoutExpired):
                continue
        return {}

    # ------------------------------------------------------------------------------------------------ one node
    def ready(self, place):
        return answers(place.namespace, place.address, API, self.home(place) / "keys/ca.pem")

    def launch(self, name):
        with self.locks[name]:
            self.down.discard(name)
            if not self.daemons[name].running():
                self.daemons[name].start()

    def start(self, *names):
        """All at once, since one may need the others; seconds until each has said that it is ready, or is down."""
        for name in names:
            self.launch(name)
        began = time.monotonic()
        for name in names:
            daemon = self.daemons[name]
            while not self.ready(daemon.place) and name not in self.down:
                if time.monotonic() - began > READY_SECONDS_MAX:
                    raise Failed(f"{name} was not ready within {READY_SECONDS_MAX} s:\n{daemon.tail()}")
                time.sleep(0.05)
        return time.monotonic() - began

    def kill(self, name):
        with self.locks[name]:
            self.down.add(name)
            self.daemons[name].kill()

    def signal_host(self, name, number):
        """The node and its etcd: what happens to a whole machine."""
        self.daemons[name].process.send_signal(number)
        self.unit(name).signal(number)

    def cut_power(self, *names):
        """Everything of the machines stops between two instructions, and what no sync had reached is gone, or torn."""
        with contextlib.ExitStack() as held:
            for name in sorted(names):
                held.enter_context(self.locks[name])
            for name in names:
                self.down.add(name)
                self.signal_host(name, signal.SIGSTOP)
            for name in names:
                self.cut_disk(name)
            for name in names:
                self.unit(name).hold()
                self.daemons[name].kill()
                self.volumes[name].detach()

    def cut_disk(self, name):
        before = self.volumes[name].command("counts")
        after = self.volumes[name].cut()
        for fate in ("dropped", "kept", "torn"):
            self.taken[fate] = self.taken.get(fate, 0) + after[fate] - before[fate]

    def give_power(self, *names):
        for name in names:
            with self.locks[name]:
                self.volumes[name].attach(self.home(self.by_name[name]) / "data")
                self.unit(name).release()
        self.start(*names)

    def watch_over(self):
        """A service manager: what ended by itself is started again, and counted."""
        while not self.ended.wait(RESPAWN_SECONDS):
            for name, daemon in self.daemons.items():
                with self.locks[name]:
                    if name not in self.down and not daemon.running() and not self.ended.is_set():
                        self.respawned += 1
                        daemon.start()

    def heal(self):
        """Every node runs and says that it is ready, or this raises."""
        for unit in self.units:
            unit.release()
        for name, daemon in self.daemons.items():
            with self.locks[name]:
                if daemon.running():
                    self.signal_host(name, signal.SIGCONT)
                if self.volumes and not self.volumes[name].attached:
                    self.volumes[name].attach(self.home(self.by_name[name]) / "data")
        self.start(*self.daemons)

    def run(self, place, *arguments):
        """A command of the tool whose outcome does not matter: it may well fail under faults. Its process."""
        return subprocess.Popen(
            inside(place, self.binary, *arguments, *self.connection(place), "--json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment(place),
        )

    def description(self, place):
        """What a client needs to know about a node."""
        return {"name": place.name, "region": place.region, "address": place.address, "api": API, "s3": S3}

    def authority(self):
        return str(self.home(self.places[0]) / "keys/ca.pem")

    def keep_data(self):
        """Copies what the nodes have on their volumes, which end with the run, to where somebody can look at it."""
        self.ended.set()
        for place in self.places:
            self.kill(place.name)
            self.unit(place.name).hold()
            if self.volumes and self.volumes[place.name].attached:
                data = self.home(place) / "data"
                subprocess.run(["cp", "-a", "--sparse=always", data, self.home(place) / "data-kept"], timeout=120)

    def close(self):
        self.ended.set()
        for name in self.daemons:
            with self.locks[name]:
                self.down.add(name)
        for unit in self.units:
            unit.signal(signal.SIGCONT)
        super().close()
        for volume in (self.volumes or {}).values():
            volume.close()
