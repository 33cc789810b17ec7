"""The checkers against a simulated store: what keeps its word always passes, each broken rule is always convicted."""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import judge  # noqa: E402
import simulated  # noqa: E402

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


if __name__ == "__main__":
    unittest.main()
