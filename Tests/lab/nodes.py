"""Processes in the lab's namespaces, and what the scenario needs to know about a kind of node.

`Daemon` is one process: `nsenter` becomes the command itself, so its id is the command's. `Nodes` is the seam
between the scenario and a kind of node; komora_node.py and stand_in.py implement it.
"""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from network import inside

STOP_SECONDS_MAX = 60


class Failed(Exception):
    """The lab cannot go on, and why."""


class Daemon:
    """A command in a namespace, with a log that all its lives share."""

    def __init__(self, place, command, folder, environment):
        self.place, self.command, self.environment = place, command, environment
        self.log = Path(folder) / "node.log"
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            log.write(b"---- start\n")
            self.process = subprocess.Popen(
                inside(self.place, *self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()

    def stop(self):
        """As an operator does; its exit code must be 0."""
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.place.name} did not stop within {STOP_SECONDS_MAX} s: see {self.log}") from None
        if code != 0:
            raise Failed(f"{self.place.name} stopped with {code}: see {self.log}")

    def tail(self):
        return self.log.read_bytes()[-1500:].decode(errors="replace") if self.log.exists() else ""


class Unit(threading.Thread):
    """What systemd does for a service with a path unit: starts `command` once `path` exists, and again when it ends."""

    def __init__(self, place, path, command, log):
        super().__init__(daemon=True)
        self.place, self.path, self.command, self.log = place, Path(path), command, log
        self.process, self.ended, self.held, self.lock = None, threading.Event(), False, threading.Lock()
        self.start()

    def run(self):
        while not self.ended.wait(0.2):
            if self.process is not None and self.process.poll() is None:
                continue
            if self.process is not None and self.ended.wait(1):
                return
            with self.lock:
                if not self.held and self.path.exists():
                    with open(self.log, "ab") as log:
                        self.process = subprocess.Popen(
                            inside(self.place, *self.command), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                        )

    def signal(self, number):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def hold(self):
        """Ends it by kill -9, and leaves it ended until `release`."""
        with self.lock:
            self.held = True
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def release(self):
        with self.lock:
            self.held = False

    def close(self):
        self.ended.set()
        self.join(5)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Nodes:
    """One kind of node. The scenario calls these and nothing else."""

    # Between two looks at one node's view: short for exact times, long enough not to load the machine.
    look_seconds = 0.1
    start_seconds_max = 60

    def __init__(self, places, folder):
        self.places, self.folder = places, Path(folder)
        self.by_name = {p.name: p for p in places}
        self.daemons = {}
        for place in places:
            self.home(place).mkdir(parents=True, exist_ok=True)
            self.daemons[place.name] = Daemon(place, self.command(place), self.home(place), self.environment(place))

    def home(self, place):
        return self.folder / place.name

    # ------------------------------------------------------------------------- what a kind of node says
    def command(self, place):
        """Runs the node in the foreground until SIGTERM."""
        raise TypeError(f"{type(self).__name__} does not say")

    def environment(self, place):
        return dict(os.environ)

    def found(self, place):
        """Prepares the first node, before it is started."""

    def join(self, place, first):
        """Prepares another one, before it is started, while `first` runs."""

    def ready(self, place):
        raise TypeError(f"{type(self).__name__} does not say")

    def view(self, place):
        """{name: {"health", "incarnation", "state"}} as this node sees it, or None when it does not say."""
        raise TypeError(f"{type(self).__name__} does not say")

    def settled(self, place):
        """Is everything in place that the joining of the last node set off, as far as this node knows?"""
        return True

    def close(self):
        for daemon in self.daemons.values():
            daemon.kill()

    # ------------------------------------------------------------------------- what the scenario does
    def start(self, name):
        """Starts a node and waits until it says that it is ready; seconds."""
        daemon, began = self.daemons[name], time.monotonic()
        daemon.start()
        while not self.ready(daemon.place):
            if not daemon.running():
                code = daemon.process.returncode
                raise Failed(f"{name} ended with {code} instead of getting ready:\n{daemon.tail()}")
            if time.monotonic() - began > self.start_seconds_max:
                raise Failed(f"{name} was not ready within {self.start_seconds_max} s:\n{daemon.tail()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def kill(self, name):
        self.daemons[name].kill()

    def stop(self, name):
        self.daemons[name].stop()

    def pause(self, name):
        self.daemons[name].signal(signal.SIGSTOP)

    def resume(self, name):
        self.daemons[name].signal(signal.SIGCONT)
