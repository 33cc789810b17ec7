"""The verdict's own parts that decide something: the plan, what an answer means, what the relay does to connections."""

import json
import random
import socket
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import faults  # noqa: E402
import plan  # noqa: E402
import surface  # noqa: E402
import table  # noqa: E402
import workloads  # noqa: E402
from asking import Reply  # noqa: E402
from history import FAIL, INFO, OK  # noqa: E402
from relay import Relay  # noqa: E402


class Plans(unittest.TestCase):
    def test_a_seed_gives_the_same_plan_and_another_seed_another(self):
        self.assertEqual(plan.plan(7, 60, 3), plan.plan(7, 60, 3))
        self.assertNotEqual(plan.plan(7, 60, 3), plan.plan(8, 60, 3))

    def test_plans_are_full_and_end_before_the_run_does(self):
        seen = set()
        for seed in range(200):
            found = plan.plan(seed, 60, 3)
            self.assertGreaterEqual(len(found), 5)
            self.assertEqual((found[0].role, found[0].aim), ("primary", None))
            for each in found:
                self.assertLessEqual(each.at + each.seconds, 60)
                seen |= {each.kind, each.aim, each.role}
        names = {kind[0] for kind in plan.KINDS}
        self.assertEqual(names, set(faults.KINDS))
        self.assertLessEqual(names | {aim for aim, _ in plan.AIMS}, seen)

    def test_only_what_was_asked_for_is_planned(self):
        self.assertEqual({each.kind for each in plan.plan(1, 300, 3, ["kill", "stop"])}, {"kill", "stop"})
        self.assertFalse({each.kind for each in plan.plan(1, 900, 3, disks=False)} & plan.NEEDS_DISK)
        self.assertRaises(ValueError, plan.plan, 1, 60, 3, ["flood"])


def reply(status=200, body=None, **headers):
    return Reply(status, {name.replace("_", "-"): v for name, v in headers.items()}, json.dumps(body).encode())


def result(said):
    return {"results": [said]}


class Meaning(unittest.TestCase):
    """A doubt must be unknown: a wrong `fail` hides a loss or convicts an innocent."""

    def outcome(self, given):
        return surface.sql_answer(given).outcome

    def test_answers_of_single_statements(self):
        good = {"type": "ok", "response": {"type": "execute", "result": {"rows": [], "affected_row_count": 1}}}
        answer = surface.sql_answer(reply(200, result(good), komora_position="3.17", komora_node="eu-1"))
        self.assertEqual((answer.outcome, answer.position, answer.node), (OK, (3, 17), "eu-1"))
        for code, outcome in {
            "NOT_APPLIED": FAIL,
            "NOT_APPLIED_ELSEWHERE": FAIL,
            "SQLITE_CONSTRAINT": FAIL,
            "SQLITE_IOERR_WRITE": INFO,
            "UNKNOWN": INFO,
            "UNKNOWN_IO": INFO,
            "INTERNAL": INFO,
            "": INFO,
        }.items():
            refused = {"type": "error", "error": {"code": code, "message": "m"}}
            self.assertEqual(self.outcome(reply(200, result(refused))), outcome, code)

    def batch(self, results, errors):
        said = {"type": "batch", "result": {"step_results": results, "step_errors": errors}}
        return self.outcome(reply(200, result({"type": "ok", "response": said})))

    def test_answers_of_transactions(self):
        done, none = {"rows": []}, None
        unique = {"code": "SQLITE_CONSTRAINT", "message": "m"}
        unknown = {"code": "UNKNOWN", "message": "m"}
        self.assertEqual(self.batch([done, done, done, none], [none] * 4), OK)
        self.assertEqual(self.batch([done, none, none, done], [none, unique, none, none]), FAIL)
        self.assertEqual(self.batch([done, none, none, none], [none, unknown, none, none]), INFO)
        self.assertEqual(self.batch([done, none, none, done], [none, unknown, none, none]), INFO)
        self.assertEqual(self.batch([done, done, none, none], [none, none, unknown, none]), INFO)
        self.assertEqual(self.batch([done, done, none, done], [none, none, unknown, none]), INFO)

    def test_refusals_of_whole_requests(self):
        for status, body, outcome in (
            (503, {"applied": False}, FAIL),
            (503, {"applied": "unknown"}, INFO),
            (503, {"code": "NOT_APPLIED_BUSY"}, FAIL),
            (503, {}, INFO),
            (500, {}, INFO),
            (504, {"code": "UNKNOWN"}, INFO),
            (404, {}, FAIL),
            (421, {"code": "NOT_APPLIED_ELSEWHERE"}, FAIL),
        ):
            self.assertEqual(self.outcome(reply(status, body)), outcome, (status, body))
        for broken in (b"", b"{", b"[]", b"null", b'{"results":[]}', b'{"results":[{}]}', b"<html>"):
            self.assertEqual(self.outcome(Reply(200, {}, broken)), INFO, broken)

    def test_objects(self):
        missing = Reply(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
        bucket = Reply(404, {}, b"<Error><Code>NoSuchBucket</Code></Error>")
        self.assertEqual([surface.s3_answer(r, "GET").outcome for r in (missing, bucket)], [OK, FAIL])
        self.assertEqual(surface.s3_answer(Reply(503, {}, b"x"), "PUT").outcome, INFO)
        self.assertEqual(surface.s3_answer(Reply(403, {}, b""), "PUT").outcome, FAIL)

    def test_a_transfer_that_would_go_below_zero_is_an_answer(self):
        account = workloads.Account("a", "t", "k", "s")
        for code, outcome, moved in (("SQLITE_CONSTRAINT: c", OK, False), ("NOT_APPLIED: c", FAIL, None)):
            op, _ = account.transfer(random.Random(1))
            account.take(op, surface.Answer(FAIL, error=code))
            self.assertEqual((op.outcome, op.result), (outcome, moved))

    def test_an_answer_that_cannot_be_read_is_unknown(self):
        account = workloads.Account("a", "t", "k", "s")
        op, _ = account.list_read(["l1", "l2"])
        account.take(op, surface.Answer(OK, [None, {"rows": []}, None, None]))
        self.assertEqual((op.outcome, op.result), (INFO, None))


ADDRESSES, NAMES = ["10.77.1.1", "10.77.2.2"], ["eu-1", "us-2"]


def segment(source, target, from_port, to_port, protocol=6):
    header = bytearray(20)
    header[0], header[9] = 0x45, protocol
    header[12:16], header[16:20] = (socket.inet_aton(ADDRESSES[n]) for n in (source, target))
    return bytes(header) + from_port.to_bytes(2, "big") + to_port.to_bytes(2, "big")


class Connections(unittest.TestCase):
    def setUp(self):
        self.relay, self.out = Relay(ADDRESSES, NAMES), []

    def set(self, a, b, **condition):
        self.relay.command({"op": "set", "from": [a], "to": [b], "condition": condition})

    def passes(self, packet, source=0):
        self.out.clear()
        self.relay.take(source, packet, 1.0, lambda target, data: self.out.append(target) or True)
        return bool(self.out)

    def test_ports_are_cut_whoever_began(self):
        self.set("eu-1", "us-2", cut_ports=[7403])
        self.assertFalse(self.passes(segment(0, 1, 7403, 50000)))
        self.assertFalse(self.passes(segment(0, 1, 50000, 7403, protocol=17)))
        self.assertTrue(self.passes(segment(0, 1, 50000, 7402)))
        self.assertTrue(self.passes(segment(1, 0, 50000, 7403), source=1))
        self.set("eu-1", "us-2", cut_ports=[])
        self.assertTrue(self.passes(segment(0, 1, 7403, 50000)))

    def test_half_open_silences_what_was_connected_one_way(self):
        old, new = segment(0, 1, 50000, 7402), segment(0, 1, 50001, 7402)
        self.assertTrue(self.passes(old))
        self.set("eu-1", "us-2", half_open=True)
        self.assertFalse(self.passes(old))
        self.assertTrue(self.passes(new))
        self.assertTrue(self.passes(segment(1, 0, 7402, 50000), source=1))
        self.set("eu-1", "us-2", half_open=False)
        self.assertTrue(self.passes(old))


class Tables(unittest.TestCase):
    def test_rows_and_total(self):
        row = {"seed": 3, "faults": 2, "kinds": {"kill": 2}, "ok": 10, "fail": 1, "info": 2, "share_min": 0.5}
        row |= {"share_mean": 0.75, "promotions": 1, "catch_ups": 2, "violations": 0}
        self.assertEqual(table.line(row), "| 3 | 2: kill × 2 | 10 | 1 | 2 | 50 % / 75 % | 1 | 2 | 0 |")
        self.assertIn("1 violations", table.total([row, {"violations": 1, "kinds": {}}]))


if __name__ == "__main__":
    unittest.main()
