"""Does the wire do what it is told? Ping, UDP and TCP through the relay: delay, loss, copies, cuts, throughput.

Each check prints what was asked and what came; the run fails on a miss and says how many checks it made.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from network import Network, inside, places

HERE = Path(__file__).resolve().parent
UDP_COUNT = 2000
TCP_BYTES = 64 << 20
TCP_BYTES_PER_SECOND_MIN = 10 << 20


class Peer:
    """traffic.py in a namespace: does what a line on its input says and answers with a line."""

    def __init__(self, place):
        self.place = place
        self.process = subprocess.Popen(
            inside(place, sys.executable, HERE / "traffic.py", place.address),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what, **values):
        self.process.stdin.write(json.dumps({"do": what} | values) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class SelfTest:
    def __init__(self, out=print):
        self.count, self.missed, self.out = 0, 0, out

    def check(self, what, holds, found):
        self.count += 1
        self.missed += not holds
        self.out(f"{'ok  ' if holds else 'MISS'} {what}: {found}")

    def run(self):
        spots = places(["eu", "us", "ap"], 6)
        with Network(spots) as network:
            peers = {p.name: Peer(p) for p in spots}
            try:
                self.delays(network, peers)
                self.losses(network, peers)
                self.cuts(network, peers)
                self.throughput(network, peers)
            finally:
                for peer in peers.values():
                    peer.close()
            stray = network.counts()["stray"]
        left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        self.check("nothing is left behind", "komora-lab-" not in left, left.strip() or "no namespaces")
        self.out(f"{self.count - self.missed} checks passed, {self.missed} failed; {stray} stray packets")
        return self.missed == 0

    def round_trip(self, peers, a, b, count=20):
        """Milliseconds of UDP echoes, the lower quartile: a busy machine adds to some of them, and never takes away."""
        times = peers[a].ask("echo", to=peers[b].place.address, count=count)["times"]
        return sorted(times)[len(times) // 4] * 1000 if times else float("inf")

    def delays(self, network, peers):
        for a, b, asked in (("eu-1", "us-2", 40.0), ("us-2", "ap-3", 40.0), ("eu-1", "ap-6", 40.0)):
            found = self.round_trip(peers, a, b)
            near = abs(found - asked) <= asked / 5
            self.check(f"round trip {a} {b} of {asked:.0f} ms within 20 %", near, f"{found:.1f} ms")
        found = self.round_trip(peers, "eu-1", "eu-4")
        self.check("round trip inside a region below 5 ms", found < 5, f"{found:.2f} ms")
        for asked in (10.0, 150.0):
            network.set(["eu-1"], ["us-2"], delay_ms=asked * 0.8, jitter_ms=0)
            network.set(["us-2"], ["eu-1"], delay_ms=asked * 0.2, jitter_ms=0)
            found = self.round_trip(peers, "eu-1", "us-2")
            self.check(f"{asked:.0f} ms, unequal ways, within 20 %", abs(found - asked) <= asked / 5, f"{found:.1f} ms")
        network.normal()
        if subprocess.run(["sh", "-c", "command -v ping"], capture_output=True).returncode == 0:
            said = subprocess.run(
                inside(peers["eu-1"].place, "ping", "-n", "-c", 10, "-i", "0.1", peers["us-2"].place.address),
                capture_output=True,
                text=True,
            ).stdout
            match = re.search(r"= [\d.]+/([\d.]+)/", said)
            found = float(match[1]) if match else float("inf")
            self.check("ping eu-1 us-2 of 40 ms within 20 %", abs(found - 40) <= 8, f"{found:.1f} ms")

    def one_way(self, peers, a, b, count=UDP_COUNT):
        """How many datagrams, and how many different ones, of `count` came."""
        port = peers[b].ask("listen")["port"]
        peers[a].ask("send", to=peers[b].place.address, port=port, count=count)
        time.sleep(0.3)
        said = peers[b].ask("heard")
        return said["all"], said["different"]

    def losses(self, network, peers):
        for permille in (0, 100, 500):
            network.set(["eu-1"], ["us-2"], loss_permille=permille)
            _, different = self.one_way(peers, "eu-1", "us-2")
            lost = 1000 - different * 1000 / UDP_COUNT
            # Three standard deviations and a little of a coin thrown UDP_COUNT times.
            room = 3.5 * (permille * (1000 - permille) / UDP_COUNT) ** 0.5
            self.check(f"{permille} of 1000 lost, give or take {room:.0f}", abs(lost - permille) <= room, f"{lost:.1f}")
        network.set(["eu-1"], ["us-2"], loss_permille=0, duplicate_permille=300)
        every, different = self.one_way(peers, "eu-1", "us-2")
        copies = (every - different) * 1000 / UDP_COUNT
        right = abs(copies - 300) <= 36 and different == UDP_COUNT
        self.check("300 of 1000 twice, give or take 36", right, f"{copies:.1f}")
        network.set(["eu-1"], ["us-2"], duplicate_permille=0, jitter_ms=10, reorder=True)
        port = peers["us-2"].ask("listen")["port"]
        peers["eu-1"].ask("send", to=peers["us-2"].place.address, port=port, count=UDP_COUNT)
        time.sleep(0.3)
        late = peers["us-2"].ask("heard")["late"]
        self.check("reordered when asked", late > UDP_COUNT // 10, f"{late} of {UDP_COUNT} out of order")
        network.normal()
        port = peers["us-2"].ask("listen")["port"]
        peers["eu-1"].ask("send", to=peers["us-2"].place.address, port=port, count=UDP_COUNT)
        time.sleep(0.3)
        late = peers["us-2"].ask("heard")["late"]
        self.check("in order else", late == 0, f"{late} of {UDP_COUNT} out of order")

    def cuts(self, network, peers):
        def flow(a, b):
            return self.one_way(peers, a, b, 50)[1]

        eu = network.region("eu")
        network.cut(eu)
        found = [flow("eu-1", "us-2"), flow("us-2", "eu-1"), flow("eu-1", "eu-4"), flow("us-2", "ap-3")]
        self.check("cut both ways, the rest whole", found == [0, 0, 50, 50], found)
        network.heal()
        found = [flow("eu-1", "us-2"), flow("us-2", "eu-1")]
        self.check("healed", found == [50, 50], found)
        network.cut(eu, one_way=True)
        found = [flow("eu-1", "us-2"), flow("us-2", "eu-1"), flow("eu-4", "ap-3"), flow("eu-1", "eu-4")]
        self.check("cut one way", found == [0, 50, 0, 50], found)
        network.heal()
        found = [flow("eu-1", "us-2"), flow("eu-4", "ap-3")]
        self.check("healed again", found == [50, 50], found)

    def throughput(self, network, peers):
        for a, b, what in (("eu-1", "eu-4", "near"), ("eu-1", "us-2", "40 ms away")):
            port = peers[b].ask("accept")["port"]
            peers[a].ask("stream", to=peers[b].place.address, port=port, bytes=TCP_BYTES)
            said = peers[b].ask("received")
            rate = said["bytes"] / said["seconds"]
            whole = said["bytes"] == TCP_BYTES and said["right"]
            holds = whole and rate >= TCP_BYTES_PER_SECOND_MIN
            self.check(f"TCP, {TCP_BYTES >> 20} MiB, {what}, at least 10 MiB/s", holds, f"{rate / 2**20:.0f} MiB/s")


def main():
    return 0 if SelfTest().run() else 1
