"""Faults: each has a beginning and an end, on one node, some nodes or the ways between them.

A plan is a list of `Planned`, drawn from a seed alone (plan.py); whom it hits is decided when it begins,
because "the primary of this account" is known only then. `begin` must take effect at once, since it is timed against
what the clients have in flight; `end` may take long (a restart). Everything can be ended twice.
"""

import signal
import subprocess
import threading
import time

from cluster import ETCD_PORTS
from komora_node import FABRIC

STEP_SECONDS = 0.02


class Fault:
    """`targets` are names of nodes. The lab is network, cluster, and the seeded generator of this fault."""

    # May it hit one node at a time only (True), or several?
    single = True

    def __init__(self, lab, targets, dice):
        self.lab, self.targets, self.dice = lab, targets, dice

    def begin(self):
        raise TypeError(f"{type(self).__name__} does nothing")

    def end(self):
        """Undoes it; nothing where there is nothing to undo."""

    @property
    def target(self):
        return self.targets[0]


class Kill(Fault):
    def begin(self):
        for name in self.targets:
            self.lab.cluster.kill(name)

    def end(self):
        self.lab.cluster.start(*self.targets)


class KillAll(Kill):
    """Every node at once: nothing is left but what was synced."""

    single = False


class Stop(Fault):
    """SIGSTOP: it wakes up believing that no time has passed."""

    def begin(self):
        for name in self.targets:
            self.lab.cluster.daemons[name].signal(signal.SIGSTOP)

    def end(self):
        for name in self.targets:
            if self.lab.cluster.daemons[name].running():
                self.lab.cluster.daemons[name].signal(signal.SIGCONT)


class StopHost(Stop):
    """The node and its etcd, as when a virtual machine is moved."""

    def begin(self):
        self.lab.cluster.signal_host(self.target, signal.SIGSTOP)

    def end(self):
        if self.lab.cluster.daemons[self.target].running():
            self.lab.cluster.signal_host(self.target, signal.SIGCONT)


class Ways(Fault):
    """Something about the ways between nodes; `pairs` and `condition` say what, and the ways' own rest undoes it."""

    undone = {"cut": False, "cut_ports": [], "half_open": False}

    def pairs(self):
        """(sources, targets), from each to each."""
        raise TypeError(f"{type(self).__name__} says no ways")

    def condition(self):
        return {"cut": True}

    def begin(self):
        self.touched = self.pairs()
        condition = self.condition()
        for sources, targets in self.touched:
            self.lab.set(sources, targets, **condition)

    def end(self):
        for sources, targets in self.touched:
            self.lab.set(sources, targets, **self.undone)

    @property
    def others(self):
        return [p.name for p in self.lab.cluster.places if p.name not in self.targets]


class Partition(Ways):
    """One node, or one region, cut off from the other nodes; half of the time from the clients elsewhere too."""

    def pairs(self):
        inside = {p.region for p in self.lab.cluster.places if p.name in self.targets}
        away = [p.name for p in self.lab.clients if p.region not in inside] if self.dice.random() < 0.5 else []
        return [(self.targets, self.others + away), (self.others + away, self.targets)]


class OneWay(Ways):
    """Nothing goes out, or nothing comes in."""

    def pairs(self):
        ways = (self.targets, self.others)
        return [ways if self.dice.random() < 0.5 else ways[::-1]]


class Partial(Ways):
    """Two nodes do not hear each other, and everybody else hears both."""

    def pairs(self):
        other = [self.dice.choice(self.others)]
        return [(self.targets, other), (other, self.targets)]


class HalfOpen(Ways):
    """What was connected sends into the void in one direction, and nobody says so; new connections work."""

    def pairs(self):
        ways = (self.targets, self.others)
        return [ways if self.dice.random() < 0.5 else ways[::-1]]

    def condition(self):
        return {"half_open": True}


class FabricCut(Ways):
    """The nodes' own traffic alone: the node still reaches etcd and its clients."""

    def pairs(self):
        return [(self.targets, self.others), (self.others, self.targets)]

    def condition(self):
        return {"cut_ports": [FABRIC]}


class EtcdCut(FabricCut):
    """A node without the control store of the others, while the nodes hear each other."""

    def condition(self):
        return {"cut_ports": list(ETCD_PORTS)}


class Flapping(Partition):
    """Cut and healed again and again, faster than anybody can settle."""

    def begin(self):
        super().begin()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.flap, daemon=True)
        self.thread.start()

    def flap(self):
        while not self.stopping.wait(self.dice.uniform(0.05, 1.2)):
            super().end()
            if self.stopping.wait(self.dice.uniform(0.05, 0.6)):
                return
            for sources, targets in self.touched:
                self.lab.set(sources, targets, cut=True)

    def end(self):
        self.stopping.set()
        self.thread.join()
        super().end()


class Lossy(Ways):
    """A bad line: slow, and a part of the packets is lost."""

    def pairs(self):
        return [(self.targets, self.others), (self.others, self.targets)]

    def condition(self):
        self.slower = self.dice.choice((0, 30, 150))
        return {"loss_permille": self.dice.choice((20, 100, 300)), "jitter_ms": self.slower}

    def end(self):
        super().end()
        self.lab.calm(self.targets, self.others)


class EtcdKill(Fault):
    """kill -9 of etcd's member beside the node; it stays away until the end."""

    def begin(self):
        for name in self.targets:
            self.lab.cluster.unit(name).hold()

    def end(self):
        for name in self.targets:
            self.lab.cluster.unit(name).release()


class EtcdKillAll(EtcdKill):
    single = False


class PowerCut(Fault):
    def begin(self):
        self.lab.cluster.cut_power(*self.targets)

    def end(self):
        self.lab.cluster.give_power(*self.targets)


class PowerCutAll(PowerCut):
    """The lights go out everywhere. All machines lose what no sync had reached, within the same moment."""

    single = False


class DiskFull(Fault):
    def begin(self):
        self.lab.cluster.volumes[self.target].fill(self.dice.choice((0, 0, 64 << 10)))

    def end(self):
        self.lab.cluster.volumes[self.target].free()


class DiskFails(Fault):
    """Writes and syncs fail from here on; then the machine gets its disk back as it was left, and starts again."""

    def begin(self):
        self.lab.cluster.volumes[self.target].fails(True)

    def end(self):
        self.lab.cluster.cut_power(self.target)
        self.lab.cluster.give_power(self.target)


class DiskHiccup(Fault):
    """A few writes and syncs fail, then the disk works as if nothing had been. A sync that failed must not be believed
    when it is repeated."""

    def begin(self):
        volume = self.lab.cluster.volumes[self.target]
        volume.fails(True)
        time.sleep(self.dice.uniform(0.001, 0.05))
        volume.fails(False)

    def end(self):
        if not self.lab.cluster.volumes[self.target].healthy():
            DiskFails.end(self)


class DiskSlow(Fault):
    """A grey failure: every sync takes long."""

    def begin(self):
        self.lab.cluster.volumes[self.target].slow(self.dice.choice((30, 200, 1000)))

    def end(self):
        self.lab.cluster.volumes[self.target].slow(0)


class ClockJump(Fault):
    """The wall clock of one node jumps, forth or back, and jumps home at the end."""

    def begin(self):
        seconds = self.dice.choice((-86400, -3600, -30, -2, -0.3, 0.3, 2, 30, 3600, 86400))
        self.lab.cluster.clocks[self.target].jump(seconds)

    def end(self):
        self.lab.cluster.clocks[self.target].jump(0)


class ClockDrift(Fault):
    """A wall clock that runs some percent too fast or too slow, by small jumps."""

    def begin(self):
        self.stopping, rate = threading.Event(), self.dice.choice((-0.1, -0.02, 0.02, 0.1))
        began = time.monotonic()

        def drift():
            while not self.stopping.wait(STEP_SECONDS):
                self.lab.cluster.clocks[self.target].jump((time.monotonic() - began) * rate)

        self.thread = threading.Thread(target=drift, daemon=True)
        self.thread.start()

    def end(self):
        self.stopping.set()
        self.thread.join()
        self.lab.cluster.clocks[self.target].jump(0)


KINDS = {
    "kill": Kill,
    "kill all": KillAll,
    "stop": Stop,
    "stop host": StopHost,
    "partition": Partition,
    "one way": OneWay,
    "partial": Partial,
    "half open": HalfOpen,
    "fabric cut": FabricCut,
    "flapping": Flapping,
    "bad line": Lossy,
    "power cut": PowerCut,
    "power cut all": PowerCutAll,
    "disk full": DiskFull,
    "disk fails": DiskFails,
    "disk hiccup": DiskHiccup,
    "disk slow": DiskSlow,
    "clock jump": ClockJump,
    "clock drift": ClockDrift,
    "etcd kill": EtcdKill,
    "etcd kill all": EtcdKillAll,
    "etcd cut": EtcdCut,
}


class Action:
    """What an operator does, so that a fault can be aimed at the middle of it."""

    def __init__(self, lab, node, account, dice):
        self.lab, self.node, self.account, self.dice = lab, node, account, dice
        self.processes = []

    def begin(self, name):
        getattr(self, name.replace(" ", "_").replace("-", "_"))()

    def run(self, *arguments):
        # Spoken to other nodes than the one it is about, which may be about to die; to all, since each may be.
        for place in self.lab.cluster.places:
            if place.name != self.node:
                self.processes.append(self.lab.cluster.run(place, *arguments))

    def hand_over(self):
        self.run("cluster", "drain", self.node)

    def snapshot(self):
        self.run("snapshot", "create", "--account", self.account)

    def catch_up(self):
        """Away for a while, so that it has something to catch up with; its return is what is aimed at."""
        self.lab.cluster.kill(self.node)
        time.sleep(self.dice.uniform(1, 3))
        self.lab.cluster.start(self.node)

    def close(self, name):
        if name == "hand-over":
            self.run("cluster", "undrain", self.node)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
