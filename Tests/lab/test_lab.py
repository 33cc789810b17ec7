"""The lab's own parts that decide something: what the relay does to packets, and what the scenario calls false."""

import json
import random
import socket
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import main as lab  # noqa: E402
from network import places  # noqa: E402
from relay import Relay  # noqa: E402
from scenario import Scenario  # noqa: E402

ADDRESSES = ["10.77.1.1", "10.77.2.2", "10.77.3.3"]
NAMES = ["eu-1", "us-2", "ap-3"]


def packet(source, target, number=0):
    header = bytes([0x45]) + bytes(11) + socket.inet_aton(ADDRESSES[source]) + socket.inet_aton(ADDRESSES[target])
    return header + number.to_bytes(4, "big")


class Wire(unittest.TestCase):
    def setUp(self):
        self.relay, self.out = Relay(ADDRESSES, NAMES), []

    def write(self, target, data):
        self.out.append((target, int.from_bytes(data[20:24], "big")))
        return True

    def set(self, a, b, **condition):
        self.relay.command({"op": "set", "from": [a], "to": [b], "condition": condition})

    def send(self, count, now=0.0, spread=0.0):
        for n in range(count):
            self.relay.take(0, packet(0, 1, n), now + n * spread, self.write)

    def counts(self, a="eu-1", b="us-2"):
        return next(p for p in self.relay.command({"op": "counts"})["pairs"] if (p["from"], p["to"]) == (a, b))

    def test_without_conditions_everything_goes_through_at_once_and_in_order(self):
        self.send(100)
        self.assertEqual(self.out, [(1, n) for n in range(100)])

    def test_what_is_delayed_comes_when_it_is_due_and_not_before(self):
        self.set("eu-1", "us-2", delay_ms=20)
        self.send(3)
        self.assertAlmostEqual(self.relay.flush(0.005, self.write), 0.015)
        self.assertEqual(self.out, [])
        self.assertIsNone(self.relay.flush(0.0201, self.write))
        self.assertEqual([n for _, n in self.out], [0, 1, 2])

    def test_jitter_keeps_the_order_unless_reordering_is_asked_for(self):
        for reorder in (False, True):
            self.out.clear()
            self.set("eu-1", "us-2", delay_ms=20, jitter_ms=10, reorder=reorder)
            self.send(500, now=10.0 * (1 + reorder), spread=0.0001)
            self.relay.flush(100, self.write)
            numbers = [n for _, n in self.out]
            self.assertEqual(sorted(numbers), list(range(500)))
            self.assertEqual(numbers != sorted(numbers), reorder)

    def test_loss_and_copies_are_as_asked_and_counted(self):
        self.set("eu-1", "us-2", loss_permille=200)
        self.send(10000)
        self.assertAlmostEqual(len(self.out) / 10000, 0.8, delta=0.02)
        self.assertEqual(self.counts()["lost"], 10000 - len(self.out))
        self.out.clear()
        self.set("eu-1", "us-2", loss_permille=0, duplicate_permille=300)
        self.send(10000)
        self.assertAlmostEqual(len(self.out) / 10000, 1.3, delta=0.02)

    def test_a_cut_is_one_way_and_takes_what_is_under_way(self):
        self.set("eu-1", "us-2", delay_ms=20)
        self.send(5)
        self.set("eu-1", "us-2", cut=True)
        self.send(5, now=0.01)
        self.relay.take(1, packet(1, 0, 9), 0.02, self.write)
        self.relay.flush(1, self.write)
        self.assertEqual(self.out, [(0, 9)])
        self.assertEqual(self.counts()["cut"], 10)
        self.assertEqual(self.relay.waiting, [0, 0, 0])

    def test_strangers_and_broken_packets_go_nowhere(self):
        generator = random.Random(1)
        for _ in range(2000):
            self.relay.take(0, generator.randbytes(1 + generator.randrange(60)), 0, self.write)
        self.assertEqual((self.out, self.relay.stray), ([], 2000))

    def test_a_mistaken_command_is_refused(self):
        for request in ({"op": "no"}, {"op": "set", "from": ["eu-1"], "to": ["us-2"], "condition": {"delay": 1}}):
            with self.assertRaises(ValueError):
                self.relay.command(request)


class FakeNetwork:
    def __init__(self):
        self.places = places(["eu", "us", "ap"], 6)
        self.by_name = {p.name: p for p in self.places}


class FakeNodes:
    look_seconds = 0.001

    def __init__(self, names):
        self.views = {a: {b: {"health": "alive", "incarnation": 1} for b in names} for a in names}

    def view(self, place):
        return self.views[place.name]


class Judgement(unittest.TestCase):
    def setUp(self):
        network, self.rows = FakeNetwork(), []
        self.nodes = FakeNodes(network.by_name)
        self.scenario = Scenario(network, self.nodes, 1, self.rows.append)
        self.scenario.members, self.scenario.step = list(network.by_name), "test"

    def believe(self, watcher, subject, **what):
        self.nodes.views[watcher] = json.loads(json.dumps(self.nodes.views[watcher]))
        self.nodes.views[watcher][subject] |= what

    def look(self):
        self.scenario.wait(self.scenario.members, lambda *_: True, 1)
        return self.scenario.false_beliefs

    def test_a_node_that_nothing_was_done_to_must_not_be_dead_or_gone(self):
        self.assertEqual(self.look(), [])
        self.believe("eu-1", "us-2", health="suspect")
        self.assertEqual(self.look(), [])
        self.believe("eu-1", "us-2", health="dead")
        self.believe("ap-3", "us-5", health="left")
        self.assertEqual({(b["watcher"], b["subject"]) for b in self.look()}, {("eu-1", "us-2"), ("ap-3", "us-5")})

    def test_what_was_done_excuses_and_nothing_else(self):
        self.believe("eu-1", "us-2", health="dead")
        self.scenario.disturbed = {"us-2"}
        self.assertEqual(self.look(), [])
        self.scenario.disturbed, self.scenario.cut_off = set(), {"eu-1", "eu-4"}
        self.assertEqual(self.look(), [])
        self.believe("eu-1", "eu-4", health="dead")
        self.assertEqual([b["subject"] for b in self.look()], ["eu-4"])

    def test_converged_means_all_alive_in_their_own_incarnation(self):
        import scenario

        before, scenario.CONVERGE = scenario.CONVERGE, 0.2
        self.addCleanup(setattr, scenario, "CONVERGE", before)
        self.scenario.converge("right")
        self.believe("eu-1", "eu-1", incarnation=2)
        self.scenario.converge("one is told of late")
        self.assertEqual([row["ok"] for row in self.rows], [True, False])
        self.assertEqual(self.rows[1]["missing"], ["ap-3", "ap-6", "eu-4", "us-2", "us-5"])

    def test_a_watcher_that_never_comes_to_it_is_named(self):
        self.scenario.expect("dead", ["eu-1"], {"us-2": "dead"}, 0.05)
        row = self.rows[0]
        self.assertEqual((row["ok"], row["missing"], row["last_seconds"]), (False, ["eu-1"], None))


class Surface(unittest.TestCase):
    def test_six_nodes_stand_two_and_two_in_three_regions(self):
        names = [(p.name, p.address, p.namespace) for p in places(["eu", "us", "ap"], 6)]
        self.assertEqual(names[0], ("eu-1", "10.77.1.1", "komora-lab-1"))
        self.assertEqual(names[4], ("us-5", "10.77.2.5", "komora-lab-5"))

    def test_what_is_missing_ends_it_with_three(self):
        sys.modules["network"].TUN, before = "/dev/net/no-such-device", sys.modules["network"].TUN
        self.addCleanup(setattr, sys.modules["network"], "TUN", before)
        sys.argv, arguments = ["lab", "--self-test"], sys.argv
        self.addCleanup(setattr, sys, "argv", arguments)
        self.assertEqual(lab.main(), 3)


if __name__ == "__main__":
    unittest.main()
