"""A stand-in for a node: tells all others every 50 ms that it lives, and believes that who is silent is dead.

It proves the lab without the product: the relay, the runner and its judgement. No example of how to do membership.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from nodes import Nodes

PORT = 7402
TELL_SECONDS, SUSPECT_SECONDS, DEAD_SECONDS = 0.05, 0.6, 1.2


class StandIns(Nodes):
    look_seconds = 0.05

    def command(self, place):
        seeds = ",".join(p.address for p in self.places[:3])
        return [sys.executable, __file__, place.name, place.address, self.home(place), seeds]

    def ready(self, place):
        view = self.view(place)
        return view is not None and self.life(place) == self.daemons[place.name].process.pid

    def life(self, place):
        try:
            return json.loads((self.home(place) / "view.json").read_text())["pid"]
        except FileNotFoundError:
            return None

    def view(self, place):
        try:
            return json.loads((self.home(place) / "view.json").read_text())["nodes"]
        except FileNotFoundError:
            return None


class StandIn:
    def __init__(self, name, address, folder, seeds):
        self.name, self.folder = name, Path(folder)
        past = self.folder / "incarnation"
        self.incarnation = int(past.read_text()) + 1 if past.exists() else 1
        past.write_text(str(self.incarnation))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, PORT))
        self.address, self.targets = address, set(seeds) - {address}
        self.heard, self.leaving = {}, False

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "leaving", True))
        tell = last = time.monotonic()
        while True:
            self.socket.settimeout(max(0.001, tell - time.monotonic()))
            try:
                data, (sender, _) = self.socket.recvfrom(4096)
                self.hear(json.loads(data), sender)
            except TimeoutError:
                pass
            now = time.monotonic()
            if now - last > SUSPECT_SECONDS / 2:
                # It was stopped itself: nobody else fell silent meanwhile.
                for other in self.heard.values():
                    other["at"] += now - last
            last = now
            if now >= tell:
                tell = now + TELL_SECONDS
                self.tell(now)
                if self.leaving:
                    for _ in range(3):
                        self.tell(now)
                    return

    def hear(self, said, sender):
        known = self.heard.get(said["name"])
        if known is None or said["incarnation"] >= known["incarnation"]:
            now = time.monotonic()
            self.heard[said["name"]] = {"incarnation": said["incarnation"], "left": said["left"], "at": now}
        self.targets |= {sender, *said["targets"]} - {self.address}

    def tell(self, now):
        said = {"name": self.name, "incarnation": self.incarnation, "left": self.leaving}
        said["targets"] = sorted(self.targets)
        for target in self.targets:
            try:
                self.socket.sendto(json.dumps(said).encode(), (target, PORT))
            except OSError:
                pass
        nodes = {self.name: {"health": "alive", "incarnation": self.incarnation, "state": "active"}}
        for name, other in self.heard.items():
            silent = now - other["at"]
            health = "left" if other["left"] else "alive" if silent < SUSPECT_SECONDS else "suspect"
            health = "dead" if health == "suspect" and silent > DEAD_SECONDS else health
            nodes[name] = {"health": health, "incarnation": other["incarnation"], "state": "active"}
        fresh = self.folder / "view.new"
        fresh.write_text(json.dumps({"pid": os.getpid(), "nodes": nodes}))
        fresh.rename(self.folder / "view.json")


if __name__ == "__main__":
    StandIn(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4].split(",")).run()
