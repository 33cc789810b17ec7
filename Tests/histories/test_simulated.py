"""The checkers against a simulated store: what keeps its word always passes, each broken rule is always convicted."""

import itertools
import random
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import judge  # noqa: E402
import registers  # noqa: E402
import simulated  # noqa: E402
from history import FAIL, INFO, OK, Op  # noqa: E402

GOOD, BAD = 60, 4


class Simulated(unittest.TestCase):
    def test_a_store_that_keeps_its_word_is_never_convicted(self):
        for seed in range(GOOD):
            found = judge.judge(simulated.generate(seed))
            self.assertEqual(found, [], f"seed {seed}: {found[:1]}")

    def test_each_anomaly_is_convicted_by_its_own_checker(self):
        for anomaly, checker in simulated.ANOMALIES.items():
            for seed in range(BAD):
                with self.subTest(anomaly, seed=seed):
                    found = judge.judge(simulated.generate(seed, anomaly=anomaly))
                    self.assertIn(checker, {v.checker for v in found})
                    self.assertFalse([v for v in found if "checker failed" in v.what])

    def test_a_seed_gives_the_same_history_again(self):
        self.assertEqual(simulated.generate(7).ops, simulated.generate(7).ops)


def by_trying_all(ops):
    """Linearizability by its definition: some of the unknown ones, and any order that keeps real time."""
    sure = [op for op in ops if op.outcome == OK]
    unknown = [op for op in ops if op.outcome == INFO and op.op != "read"]
    for count in range(len(unknown) + 1):
        for taken in itertools.combinations(unknown, count):
            for order in itertools.permutations(sure + list(taken)):
                if any(b.end < a.invoke for a, b in itertools.combinations(order, 2)):
                    continue
                state = None
                for op in order:
                    possible, state = registers.step(state, op)
                    if not possible:
                        break
                else:
                    return True
    return False


class Definition(unittest.TestCase):
    def test_the_search_agrees_with_the_definition(self):
        """On small histories of all kinds, with values that are written once and, in some, more than once."""
        dice, verdicts = random.Random(4), {True: 0, False: 0}
        for n in range(3000):
            values = range(1, 9) if n % 2 else (1, 2, 3)
            ops = []
            for number in range(dice.randint(2, 6)):
                op = Op("register", dice.choice(["read", "write", "cas"]), key="r")
                op.outcome = dice.choice([OK] * 6 + [INFO, FAIL])
                op.invoke = dice.randrange(12)
                op.complete = op.invoke + dice.randrange(1, 9)
                new = number + 1 if n % 2 else dice.choice(values)
                if op.op == "read":
                    op.result = dice.choice([None, *values][: 2 + number])
                elif op.op == "write":
                    op.value = new
                else:
                    op.value, op.result = [dice.choice([None, *values][: 2 + number]), new], dice.random() < 0.6
                ops.append(op)
            expected = by_trying_all(ops)
            verdicts[expected] += 1
            self.assertEqual(registers.check_key(ops) is None, expected, "\n".join(map(str, ops)))
        self.assertGreater(min(verdicts.values()), 300)


if __name__ == "__main__":
    unittest.main()
