"""The wire of the lab: one TUN device per namespace, all read by this process, which decides what becomes of a packet.

A packet that node `a` sends to node `b` meets the condition of the ordered pair (a, b): cut, lost, delayed, delivered
twice. What is delayed waits in a heap. A pair keeps its order unless its condition says `reorder`, since jitter alone
would make TCP see losses that nobody asked for. Conditions change at run time through a Unix socket: a JSON object per
line, each answered by one. It ends when its standard input closes, so it never outlives whoever started it.

Started by network.py as `relay.py --socket PATH --nodes JSON`; the nodes are [{"name", "address", "namespace"}].
"""

import argparse
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES_MAX = 65536
# What may wait for one receiver; beyond it packets are dropped and counted, as a full router does.
QUEUE_BYTES_MAX = 64 << 20
BATCH = 64
TCP, UDP = 6, 17
# A connection that was silent for so long is forgotten once there are too many.
FLOWS_MAX, FLOW_SECONDS = 4096, 60


class Condition:
    """What happens to packets of one ordered pair of nodes. Times in milliseconds, shares in thousandths."""

    FIELDS = ("delay_ms", "jitter_ms", "loss_permille", "duplicate_permille", "reorder")
    FIELDS += ("cut", "cut_ports", "half_open")
    __slots__ = FIELDS + ("counts", "last_due", "flows", "frozen")
    COUNTS = ("sent", "delivered", "lost", "duplicated", "cut", "overflowed", "bytes")

    def __init__(self):
        self.delay_ms = self.jitter_ms = 0.0
        self.loss_permille = self.duplicate_permille = 0
        self.reorder = self.cut = self.half_open = False
        self.cut_ports = ()
        self.counts = dict.fromkeys(self.COUNTS, 0)
        self.last_due = 0.0
        # TCP connections by (source port, target port), when each last sent, and those that half_open silences.
        self.flows, self.frozen = {}, ()

    def change(self, values):
        for name, value in values.items():
            if name not in self.FIELDS:
                raise ValueError(f"a condition has no {name!r}; it has {', '.join(self.FIELDS)}")
            setattr(self, name, value)
        if "half_open" in values:
            self.frozen = frozenset(self.flows) if self.half_open else ()

    def silences(self, packet, now):
        """Is it of a port that is cut, or of a connection that was there when this way became half open?"""
        start = (packet[0] & 15) * 4
        ports = packet[start : start + 4]
        if packet[9] == TCP:
            if ports not in self.flows and len(self.flows) >= FLOWS_MAX:
                self.flows = {flow: at for flow, at in self.flows.items() if now - at < FLOW_SECONDS}
            self.flows[ports] = now
            if ports in self.frozen:
                return True
        if self.cut_ports and packet[9] in (TCP, UDP) and len(ports) == 4:
            return bool({ports[0] << 8 | ports[1], ports[2] << 8 | ports[3]} & set(self.cut_ports))
        return False

    def due(self, now, generator):
        """When a packet that comes now is to be delivered: one time, several, or none."""
        counts = self.counts
        counts["sent"] += 1
        if self.cut:
            counts["cut"] += 1
            return ()
        if self.loss_permille and generator.random() * 1000 < self.loss_permille:
            counts["lost"] += 1
            return ()
        copies = 1
        if self.duplicate_permille and generator.random() * 1000 < self.duplicate_permille:
            counts["duplicated"] += 1
            copies = 2
        times = []
        for _ in range(copies):
            due = now + (self.delay_ms + self.jitter_ms * generator.uniform(-1, 1)) / 1000 if self.delay_ms else now
            if not self.reorder:
                due = self.last_due = max(due, self.last_due)
            times.append(due)
        return times


class Relay:
    """Nodes by number, the matrix of conditions between them, and the heap of what is on its way."""

    def __init__(self, addresses, names, seed=1):
        self.names = {name: i for i, name in enumerate(names)}
        self.numbers = {socket.inet_aton(address): i for i, address in enumerate(addresses)}
        self.matrix = [[Condition() for _ in addresses] for _ in addresses]
        self.generator = random.Random(seed)
        self.heap, self.waiting, self.sequence, self.stray = [], [0] * len(addresses), 0, 0

    def take(self, source, packet, now, write):
        """One packet from `source`: written at once, kept for later, or dropped."""
        target = self.numbers.get(packet[16:20]) if packet[0] >> 4 == 4 else None
        if target is None or target == source:
            self.stray += 1
            return
        condition = self.matrix[source][target]
        if condition.silences(packet, now):
            condition.counts["sent"] += 1
            condition.counts["cut"] += 1
            return
        for due in condition.due(now, self.generator):
            if due <= now:
                self.deliver(condition, target, packet, write)
            elif self.waiting[target] + len(packet) > QUEUE_BYTES_MAX:
                condition.counts["overflowed"] += 1
            else:
                self.waiting[target] += len(packet)
                self.sequence += 1
                heapq.heappush(self.heap, (due, self.sequence, condition, target, packet))

    def flush(self, now, write):
        """Delivers what is due; seconds until the next, or None. What was cut meanwhile is dropped on its way."""
        while self.heap and self.heap[0][0] <= now:
            _, _, condition, target, packet = heapq.heappop(self.heap)
            self.waiting[target] -= len(packet)
            if condition.cut:
                condition.counts["cut"] += 1
            else:
                self.deliver(condition, target, packet, write)
        return self.heap[0][0] - now if self.heap else None

    def deliver(self, condition, target, packet, write):
        if write(target, packet):
            condition.counts["delivered"] += 1
            condition.counts["bytes"] += len(packet)
        else:
            condition.counts["overflowed"] += 1

    def command(self, request):
        """`set` changes conditions from each of `from` to each of `to`; `counts` tells what happened to every pair."""
        if request["op"] == "set":
            pairs = [(self.names[a], self.names[b]) for a in request["from"] for b in request["to"] if a != b]
            for a, b in pairs:
                self.matrix[a][b].change(request["condition"])
            return {"pairs": len(pairs)}
        if request["op"] == "counts":
            names = list(self.names)
            pairs = [
                {"from": a, "to": b} | self.matrix[self.names[a]][self.names[b]].counts
                for a in names
                for b in names
                if a != b
            ]
            return {"pairs": pairs, "stray": self.stray, "waiting": len(self.heap)}
        raise ValueError(f"no such operation: {request['op']}")


# ------------------------------------------------------------------------------------------------ the live side
def open_tun(device, node, mtu):
    """A TUN device in the node's namespace; the file descriptor stays here."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    inside = ["ip", "-n", node["namespace"]]
    for command in (
        ["ip", "link", "set", device, "netns", node["namespace"]],
        [*inside, "link", "set", device, "name", "wire0"],
        [*inside, "addr", "add", f"{node['address']}/16", "dev", "wire0"],
        [*inside, "link", "set", "wire0", "mtu", str(mtu), "txqueuelen", "2000", "up"],
    ):
        subprocess.run(command, check=True)
    return tun


def run(relay, tuns, control):
    """Until standard input ends: packets, what is due, and commands."""
    number = {tun: i for i, tun in enumerate(tuns)}
    clients = {}

    def write(target, packet):
        try:
            os.write(tuns[target], packet)
            return True
        except OSError:
            return False

    while True:
        pause = relay.flush(time.monotonic(), write)
        readable, _, _ = select.select([*tuns, control, sys.stdin, *clients], [], [], pause)
        now = time.monotonic()
        for source in readable:
            if source in number:
                for _ in range(BATCH):
                    try:
                        packet = os.read(source, PACKET_BYTES_MAX)
                    except BlockingIOError:
                        break
                    relay.take(number[source], packet, now, write)
            elif source is control:
                clients[control.accept()[0]] = b""
            elif source is sys.stdin:
                if not os.read(sys.stdin.fileno(), 4096):
                    return
            else:
                answer(relay, clients, source)


def answer(relay, clients, client):
    """Commands are short and their answers fit a socket's buffer, so neither blocks the wire."""
    try:
        data = client.recv(65536)
    except OSError:
        data = b""
    if not data:
        del clients[client]
        client.close()
        return
    *lines, clients[client] = (clients[client] + data).split(b"\n")
    for line in lines:
        try:
            said = relay.command(json.loads(line))
        except (KeyError, TypeError, ValueError) as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        client.sendall(json.dumps(said).encode() + b"\n")


def hurry():
    """The wire shall keep its times on a busy machine too; a container may forbid it, and then it tries without."""
    try:
        os.nice(-15)
    except PermissionError:
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--nodes", required=True, type=json.loads)
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    hurry()
    tuns = [open_tun(f"kl{os.getpid()}x{i}"[-15:], node, options.mtu) for i, node in enumerate(options.nodes)]
    relay = Relay([n["address"] for n in options.nodes], [n["name"] for n in options.nodes], options.seed)
    control = socket.socket(socket.AF_UNIX)
    control.bind(options.socket)
    control.listen()
    print("ready", flush=True)
    run(relay, tuns, control)


if __name__ == "__main__":
    main()
