"""Each checker against histories made by hand: good ones it must let pass, bad ones it must convict, for the reason."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import bank  # noqa: E402
import epochs  # noqa: E402
import history  # noqa: E402
import judge  # noqa: E402
import lists  # noqa: E402
import objects  # noqa: E402
import registers  # noqa: E402
import sets  # noqa: E402
from history import FAIL, INFO, OK, History, Op  # noqa: E402


def op(workload, name, invoke, complete, outcome=OK, **values):
    return Op(workload, name, account="a", invoke=invoke, complete=complete, outcome=outcome, **values)


class Checked(unittest.TestCase):
    checker = None

    def found(self, *ops, **run):
        return [v.what for v in self.checker.check(History(run=run, ops=sorted(ops, key=lambda op: op.invoke)))]

    def fine(self, *ops, **run):
        self.assertEqual(self.found(*ops, **run), [])

    def convicted(self, word, *ops, **run):
        found = self.found(*ops, **run)
        self.assertTrue(any(word in what for what in found), f"{word!r} is not in {found}")


class Registers(Checked):
    checker = registers

    def write(self, value, invoke, complete, outcome=OK):
        return op("register", "write", invoke, complete, outcome, key="r", value=value)

    def read(self, result, invoke, complete, outcome=OK):
        return op("register", "read", invoke, complete, outcome, key="r", result=result)

    def cas(self, old, new, invoke, complete, result=True, outcome=OK):
        return op("register", "cas", invoke, complete, outcome, key="r", value=[old, new], result=result)

    def test_reads_after_writes(self):
        self.fine(self.read(None, 0, 1), self.write(1, 2, 3), self.read(1, 4, 5), self.write(2, 6, 7))

    def test_a_read_beside_a_write_may_see_either(self):
        self.fine(self.write(1, 0, 10), self.read(None, 1, 2), self.read(1, 3, 4))

    def test_a_stale_read(self):
        self.convicted("not linearizable", self.write(1, 0, 1), self.write(2, 2, 3), self.read(1, 4, 5))

    def test_a_value_seen_and_gone_again(self):
        self.convicted("not linearizable", self.write(1, 0, 10), self.read(1, 1, 2), self.read(None, 3, 4))

    def test_a_lost_update(self):
        self.convicted("not linearizable", self.write(1, 0, 1), self.cas(1, 2, 2, 5), self.cas(1, 3, 3, 6))

    def test_a_compare_and_set_that_found_something_else(self):
        self.fine(self.write(1, 0, 1), self.cas(5, 6, 2, 3, result=False), self.read(1, 4, 5))
        self.convicted("not linearizable", self.write(1, 0, 1), self.cas(1, 6, 2, 3, result=False))

    def test_two_sides_that_both_took_writes(self):
        ours = [self.write(1, 0, 1), self.read(1, 4, 5), self.read(1, 8, 9)]
        theirs = [self.write(2, 2, 3), self.read(2, 6, 7)]
        self.convicted("not linearizable", *ours, *theirs)

    def test_an_unknown_write_may_come_late_or_never(self):
        unknown = self.write(9, 0, 1, INFO)
        self.fine(unknown, self.write(1, 2, 3), self.read(1, 4, 5), self.read(9, 6, 7), self.read(9, 8, 9))
        self.fine(unknown, self.write(1, 2, 3), self.read(1, 4, 5))
        self.convicted("not linearizable", unknown, self.write(1, 2, 3), self.read(9, 4, 5), self.read(1, 6, 7))

    def test_an_unknown_write_never_comes_before_it_was_sent(self):
        self.convicted("not linearizable", self.read(9, 0, 1), self.write(9, 2, 3, INFO))

    def test_an_unknown_write_that_nobody_saw_explains_a_failed_comparison(self):
        self.fine(self.write(1, 0, 1), self.write(9, 2, 3, INFO), self.cas(1, 2, 4, 5, result=False))

    def test_a_refused_write_never_happened(self):
        self.fine(self.write(9, 0, 1, FAIL), self.read(None, 2, 3))
        self.convicted("not linearizable", self.write(9, 0, 1, FAIL), self.read(9, 2, 3))

    def test_keys_are_judged_apart(self):
        other = op("register", "read", 4, 5, key="other", result=None)
        self.fine(self.write(1, 0, 1), other, self.read(1, 6, 7))

    def test_what_is_not_decided_within_the_bound_is_a_violation(self):
        many = [self.write(n, 0, 100) for n in range(40)] + [self.read(n, 101 + n, 101 + n) for n in (3, 4)]
        self.assertIn("not decided", registers.check_key(many, steps_max=1000)[0])


class Lists(Checked):
    checker = lists

    def txn(self, invoke, complete, *steps, outcome=OK, final=False):
        asked = [[kind, key, value if kind == "append" else None] for kind, key, value in steps]
        done = [list(step) for step in steps] if outcome == OK else None
        return op("list", "txn", invoke, complete, outcome, value=asked, result=done, final=final)

    def add(self, number, invoke, complete, outcome=OK, key="x"):
        return self.txn(invoke, complete, ("append", key, number), outcome=outcome)

    def read(self, numbers, invoke, complete, key="x", final=False):
        return self.txn(invoke, complete, ("r", key, numbers), final=final)

    def last(self, numbers, key="x"):
        return self.read(numbers, 1000, 1001, key, final=True)

    def test_appends_and_reads(self):
        self.fine(self.add(1, 0, 1), self.read([1], 2, 3), self.add(2, 4, 5), self.last([1, 2]))

    def test_a_lost_append(self):
        self.convicted("lost append: 1", self.add(1, 0, 1), self.add(2, 2, 3), self.last([2]))

    def test_an_append_that_nobody_looked_for_is_unknown(self):
        self.convicted("unknown", self.add(1, 0, 1))

    def test_reads_that_disagree_about_the_order(self):
        two = [self.add(1, 0, 9), self.add(2, 0, 9)]
        self.convicted("disagree", *two, self.read([1, 2], 2, 3), self.last([2, 1]))

    def test_appends_against_real_time(self):
        self.convicted("-realtime", self.add(1, 0, 1), self.add(2, 2, 3), self.last([2, 1]))

    def test_a_duplicate(self):
        self.convicted("duplicate", self.add(1, 0, 1), self.last([1, 1]))

    def test_a_refused_append_that_is_there(self):
        self.convicted("G1a", self.add(1, 0, 1, FAIL), self.last([1]))

    def test_an_unknown_append_may_be_there_or_not(self):
        self.fine(self.add(1, 0, 1, INFO), self.add(2, 2, 3), self.read([2], 4, 5), self.last([2, 1]))
        self.fine(self.add(1, 0, 1, INFO), self.last([]))

    def test_an_invented_number(self):
        self.convicted("nobody appended", self.last([7]))

    def test_a_stale_read(self):
        self.convicted("G-single-realtime", self.add(1, 0, 1), self.read([], 2, 3), self.last([1]))

    def test_a_number_read_before_it_was_sent(self):
        self.convicted("before it was sent", self.read([1], 0, 1), self.add(1, 2, 3), self.last([1]))

    def test_a_read_between_two_appends_of_one_transaction(self):
        both = self.txn(0, 9, ("append", "x", 1), ("append", "x", 2))
        self.convicted("G1b", both, self.read([1], 3, 4), self.last([1, 2]))

    def test_a_transaction_without_its_own_append(self):
        self.convicted("internal", self.txn(0, 1, ("append", "x", 1), ("r", "x", [])), self.last([1]))

    def test_writes_of_two_transactions_in_two_orders(self):
        one = self.txn(0, 9, ("append", "x", 1), ("append", "y", 1001))
        two = self.txn(0, 9, ("append", "x", 2), ("append", "y", 1002))
        self.convicted("G0", one, two, self.last([1, 2]), self.last([1002, 1001], "y"))

    def test_information_that_goes_in_a_circle(self):
        one = self.txn(0, 9, ("append", "x", 1), ("r", "y", [2]))
        two = self.txn(0, 9, ("append", "y", 2), ("r", "x", [1]))
        self.convicted("G1c", one, two, self.last([1]), self.last([2], "y"))

    def test_a_snapshot_that_misses_half(self):
        both = self.txn(0, 9, ("append", "x", 1), ("append", "y", 2))
        seen = self.txn(0, 9, ("r", "x", [1]), ("r", "y", []))
        self.convicted("G-single", both, seen, self.last([1]), self.last([2], "y"))

    def test_write_skew(self):
        one = self.txn(0, 9, ("r", "x", []), ("append", "y", 1))
        two = self.txn(0, 9, ("r", "y", []), ("append", "x", 2))
        self.convicted("G2", one, two, self.last([2]), self.last([1], "y"))


class Bank(Checked):
    checker = bank
    start = {"b0": 10, "b1": 10}

    def move(self, number, amount, invoke, complete, outcome=OK, result=True):
        value = {"id": number, "from": "b0", "to": "b1", "amount": amount}
        return op("bank", "transfer", invoke, complete, outcome, value=value, result=result if outcome == OK else None)

    def read(self, b0, b1, *ledger, final=True):
        result = {"balances": {"b0": b0, "b1": b1}, "ledger": [[n, "b0", "b1", amount] for n, amount in ledger]}
        return op("bank", "read", 100, 101, result=result, final=final)

    def test_transfers(self):
        ops = [self.move(1, 3, 0, 1), self.move(2, 50, 2, 3, result=False), self.move(3, 1, 4, 5, INFO)]
        self.fine(*ops, self.read(7, 13, (1, 3)), bank=self.start)
        self.fine(*ops, self.read(6, 14, (1, 3), (3, 1)), bank=self.start)

    def test_what_must_not_be(self):
        move = self.move(1, 3, 0, 1)
        for word, ops in {
            "the total is 17": [move, self.read(7, 10, final=False)],
            "negative": [move, self.read(-1, 21, final=False)],
            "missing or invented": [op("bank", "read", 1, 2, result={"balances": {"b0": 20}, "ledger": []})],
            "lost: transfer 1": [move, self.read(10, 10)],
            "twice in the ledger": [move, self.read(4, 16, (1, 3), (1, 3))],
            "was refused and is": [self.move(1, 3, 0, 1, FAIL), self.read(7, 13, (1, 3))],
            "do not give": [move, self.read(8, 12, (1, 3))],
            "not what was asked": [move, self.read(6, 14, (1, 4))],
            "unknown: no final read": [move],
        }.items():
            with self.subTest(word):
                self.convicted(word, *ops, bank=self.start)


class Sets(Checked):
    checker = sets

    def add(self, number, invoke, complete, outcome=OK, position=None, **values):
        return op("set", "add", invoke, complete, outcome, value=number, position=position, **values)

    def read(self, numbers, invoke, complete, low=0, **values):
        return op("set", "read", invoke, complete, value={"low": low}, result=numbers, **values)

    def last(self, *numbers):
        return self.read(list(numbers), 10**12, 10**12 + 1, final=True)

    def test_what_was_acknowledged_is_there(self):
        self.fine(self.add(1, 0, 1), self.read([1], 2, 3), self.last(1))
        self.convicted("stale: 1", self.add(1, 0, 1), self.read([], 2, 3), self.last(1))
        self.convicted("lost: 1", self.add(1, 0, 1), self.last())
        self.fine(self.add(1, 0, 1), self.read([], 2, 3, low=2), self.last(1))

    def test_unknown_and_refused(self):
        self.fine(self.add(1, 0, 1, INFO), self.last(1))
        self.fine(self.add(1, 0, 1, INFO), self.last())
        self.convicted("was refused and is there", self.add(1, 0, 1, FAIL), self.last(1))
        self.convicted("nobody sent", self.last(5))
        self.convicted("before it was sent", self.read([1], 0, 1), self.add(1, 2, 3), self.last(1))
        self.convicted("unknown: no final read", self.add(1, 0, 1))

    def test_one_key_sent_twice_has_one_effect(self):
        twice = [self.add(1, 0, 1, INFO, idempotency="k"), self.add(1, 2, 3, idempotency="k")]
        self.fine(*twice, self.last(1))
        self.convicted("twice", *twice, self.last(1, 1))
        self.convicted("lost", *twice, self.last())
        half = [self.add(1, 0, 1, INFO, idempotency="k"), self.add(1, 2, 3, FAIL, idempotency="k")]
        self.fine(*half, self.last(1))

    def test_staleness(self):
        second = 10**9
        add = self.add(1, 0, 1)
        self.fine(add, self.read([], second, second + 1, staleness=2), self.last(1))
        self.convicted("stale", add, self.read([], 3 * second, 3 * second + 1, staleness=2), self.last(1))

    def test_at_least(self):
        add = self.add(1, 0, 1, position=(2, 7))
        beside = dict(invoke=0, complete=1)
        self.fine(add, self.read([1], **beside, at_least=(2, 7), position=(2, 7)), self.last(1))
        self.fine(add, self.read([], **beside, at_least=(2, 6), position=(2, 6)), self.last(1))
        self.convicted("stale", add, self.read([], **beside, at_least=(2, 7)), self.last(1))
        self.convicted("stale", add, self.read([], **beside, at_least=(3, 1)), self.last(1))
        later = self.add(2, 2, 3, position=(2, 8))
        read = self.read([1], 10, 11, at_least=(2, 7), position=(2, 7))
        self.fine(add, later, read, self.last(1, 2))
        read.staleness = 0.000000001
        self.convicted("stale", add, later, read, self.last(1, 2))
        early = self.read([1], **beside, at_least=(2, 7), position=(2, 6))
        self.convicted("earlier position", add, early, self.last(1))


class Objects(Checked):
    checker = objects

    def put(self, outcome=OK):
        return op("object", "put", 0, 1, outcome, key="o", value="sha")

    def get(self, result, invoke=2, final=True):
        return op("object", "get", invoke, invoke + 1, key="o", result=result, final=final)

    def test_objects(self):
        self.fine(self.put(), self.get("sha"))
        self.fine(self.put(INFO), self.get(None))
        self.fine(self.put(INFO), self.get("sha"))
        self.fine(self.put(FAIL), self.get(None))
        self.convicted("lost", self.put(), self.get(None))
        self.convicted("other bytes", self.put(), self.get("torn"))
        self.convicted("other bytes", self.put(INFO), self.get("torn"))
        self.convicted("was refused", self.put(FAIL), self.get("sha"))
        self.convicted("nobody put", self.get("sha"))
        self.convicted("unknown: no final read", self.put(), self.get("sha", final=False))
        late = op("object", "put", 9, 10, key="o", value="sha")
        self.convicted("before it was sent", late, self.get("sha"))


class Epochs(Checked):
    checker = epochs

    def add(self, position, node, invoke, complete, **values):
        return op("set", "add", invoke, complete, value=invoke, position=position, node=node, **values)

    def test_one_primary_per_epoch(self):
        self.fine(self.add((1, 1), "x", 0, 1), self.add((1, 2), "x", 2, 3), self.add((2, 3), "y", 4, 5))
        both = [self.add((1, 2), "x", 2, 9), self.add((1, 3), "y", 2, 9)]
        self.convicted("epoch 1 was acknowledged by x, y", self.add((1, 1), "x", 0, 1), *both)

    def test_a_former_primary_may_answer_what_it_had_begun(self):
        waited = [self.add((1, 1), "x", 0, 1), self.add((2, 5), "x", 2, 9)]
        self.fine(*waited, self.add((2, 5), "y", 3, 8), self.add((2, 6), "y", 10, 11))
        self.convicted("by x, y", *waited, self.add((2, 6), "y", 10, 11), self.add((2, 7), "x", 12, 13))

    def test_positions_grow(self):
        first = self.add((2, 5), "x", 0, 1)
        self.fine(first, self.add((2, 6), "x", 2, 3))
        self.fine(self.add((2, 5), "x", 0, 9), self.add((2, 5), "x", 1, 8))
        self.convicted("has the index of", first, self.add((2, 5), "x", 2, 3))
        self.convicted("index is before", first, self.add((2, 4), "x", 2, 3))
        self.convicted("index is before", first, self.add((3, 4), "y", 2, 3))
        self.convicted("epoch is before", first, self.add((1, 6), "y", 2, 3))

    def test_reads_show_no_earlier_position(self):
        first = self.add((2, 5), "x", 0, 1)
        read = dict(value={"low": 0}, node="x")
        self.fine(first, op("set", "read", 2, 3, position=(2, 5), **read))
        self.convicted("index is before", first, op("set", "read", 2, 3, position=(2, 4), **read))
        self.fine(first, op("set", "read", 2, 3, position=(2, 4), staleness=5, **read))

    def test_a_repeated_reply_may_carry_the_position_of_then(self):
        self.fine(self.add((2, 5), "x", 0, 1), self.add((1, 2), "y", 2, 3, idempotency="k"))


class Files(unittest.TestCase):
    def test_a_history_comes_back_as_it_was_written(self):
        wrote = op("set", "add", 1, 2, value=3, position=(1, 2), node="x", asked="y", idempotency="k")
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            fault = {"type": "fault", "at": 1, "phase": "begin", "what": "kill"}
            file.write("\n".join([json.dumps({"type": "run", "seed": 5}), wrote.line(), json.dumps(fault)]))
            file.flush()
            told = history.read(file.name)
        self.assertEqual((told.run["seed"], told.ops, told.faults[0]["what"]), (5, [wrote], "kill"))
        self.assertEqual([(share, n) for _, share, n in judge.in_flight(told)], [(1, 1)])

    def test_no_and_nothing_come_back_as_such(self):
        ops = op("register", "cas", 1, 2, result=False), op("set", "read", 1, 2, result=[]), op("x", "y", 0, 0)
        for wrote in ops:
            self.assertEqual(history.parse(json.loads(wrote.line())), wrote)

    def test_promotions_are_changes_of_the_node(self):
        told = History(ops=[op("set", "add", n, n + 1, position=(n, n), node=at) for n, at in enumerate("xxyyx")])
        self.assertEqual(epochs.promotions(told), 2)

    def test_a_torn_line_is_an_error(self):
        for line in ('{"type":"op","workl', '{"type":"op","workload":"set","op":"add","outcome":"ok"}', '{"type":"x"}'):
            with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
                file.write(line + "\n")
                file.flush()
                self.assertRaises(ValueError, history.read, file.name)

    def test_a_checker_that_stumbles_and_an_empty_history_are_violations(self):
        broken = op("register", "cas", 0, 1, key="r", value=7, result=True)
        self.assertTrue(any("the checker failed" in v.what for v in judge.judge(History(ops=[broken]))))
        self.assertTrue(any("nothing to judge" in v.what for v in judge.judge(History())))


if __name__ == "__main__":
    unittest.main()
