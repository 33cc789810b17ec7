"""The scripts' own parts that decide something: counting, comparing, signing, and the files of the demo's calls."""

import hashlib
import importlib.util
import io
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
import unittest
import wave
from pathlib import Path

sys.dont_write_bytecode = True
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS / "lib"))
sys.path.insert(0, str(SCRIPTS))


def load(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Counting(unittest.TestCase):
    def count(self, kind, code, said):
        with tempfile.NamedTemporaryFile("w", suffix=".log") as f:
            f.write(said)
            f.flush()
            result = subprocess.run(
                [sys.executable, SCRIPTS / "lib/count.py", kind, str(code), f.name], capture_output=True, text=True
            )
        return tuple(map(int, result.stdout.split()))

    def test_python_tests_are_summed_over_files(self):
        said = "Ran 3 tests in 1s\n\nOK\nRan 5 tests in 1s\n\nFAILED (failures=1, errors=2)\n"
        self.assertEqual(self.count("unittest", 1, said), (5, 3))

    def test_a_skipped_test_counts_as_nothing(self):
        self.assertEqual(self.count("unittest", 0, "Ran 3 tests in 1s\n\nOK (skipped=2)\n"), (1, 0))

    def test_a_client_that_died_without_a_word_has_failed(self):
        said = "a: 7 checks passed\nb: part failed after 5 checks\nTests/clients/b.py failed\nTests/clients/c.py failed\n"
        self.assertEqual(self.count("checks", 1, said), (12, 2))

    def test_the_last_line_wins(self):
        self.assertEqual(self.count("line", 0, "10 seeds passed, 0 failed\n20 seeds passed, 1 failed\n"), (20, 1))

    def test_lines_are_summed(self):
        self.assertEqual(self.count("lines", 0, "a: 10 passed, 0 failed\nb: 20 passed, 1 failed: x\n"), (30, 1))

    def test_an_exit_code_without_a_counted_failure_is_one(self):
        self.assertEqual(self.count("line", 139, "10 seeds passed, 0 failed\n"), (10, 1))
        self.assertEqual(self.count("swift", 1, ""), (0, 1))


class Comparing(unittest.TestCase):
    def setUp(self):
        self.demo = load("demo")
        self.db = sqlite3.connect(":memory:")
        self.db.executescript("create table t (id integer primary key, v); create index i on t (v)")
        self.db.executemany("insert into t (v) values (?)", [(None,), (1,), (1.5,), ("é",), (b"\0",)] * 500)

    def content(self):
        return self.demo.Content().read_rows(lambda sql, *values: self.db.execute(sql, values).fetchall())

    def test_equal_content_has_no_differences(self):
        self.assertEqual(len(self.content().rows), 2500)
        self.assertEqual(self.content().differences(self.content()), [])

    def test_each_kind_of_difference_is_named(self):
        before = self.content()
        for change, words in [
            ("update t set v = 2 where id = 2", "1 of row different"),
            ("delete from t where id = 3", "1 of row missing"),
            ("insert into t values (9999, 1)", "1 of row too many"),
            ("drop index i", "1 of schema missing"),
            ("update t set v = cast(v as blob) where id = 4", "2 of row different"),
        ]:
            self.db.execute(change)
            self.assertTrue(any(words in d for d in before.differences(self.content())), change)

    def test_a_value_of_another_type_is_another_row(self):
        from client import row_bytes

        rows = [(1,), (1.0,), ("1",), (b"1",), (None,), ("1", ""), ("", "1"), ("11",), ("1", "1")]
        self.assertEqual(len({row_bytes(row) for row in rows}), len(rows))

    def test_values_survive_their_form_in_json(self):
        from client import decode, encode

        for value in (None, 0, -(2**63), 2**63 - 1, 1.5, "", "Дмитро", b"", bytes(range(256))):
            self.assertEqual(decode(encode(value)), value)
        self.assertEqual(decode({"type": "blob", "base64": "AAE"}), b"\0\1")


class Calls(unittest.TestCase):
    def setUp(self):
        self.calls = load("demo-calls")
        draw = random.Random("voices")
        tone = [draw.randbytes(16000) for _ in range(20)]
        self.calls.prompts.update({"en": tone, "fr": tone})
        self.calls.music.append(draw.randbytes(400000))
        self.calls.noise = draw.randbytes(self.calls.NOISE_BYTES)

    def test_a_call_is_the_same_for_the_same_seed_and_has_its_length(self):
        legs = [self.calls.call(random.Random("1/7"), 31.5) for _ in range(2)]
        self.assertEqual(legs[0], legs[1])
        self.assertEqual([len(leg) for leg in legs[0]], [31.5 * 16000] * 2)
        self.assertNotEqual(legs[0], self.calls.call(random.Random("1/8"), 31.5))

    def test_pcm_files_are_read_by_another_reader(self):
        legs = self.calls.call(random.Random("1/7"), 10)
        for kind, channels in (("stereo", 2), ("mono", 1)):
            with wave.open(io.BytesIO(self.calls.content(kind, legs, 1))) as f:
                self.assertEqual((f.getnchannels(), f.getframerate(), f.getnframes()), (channels, 8000, 80000))

    def test_a_mu_law_file_says_what_it_is(self):
        data = self.calls.content("ulaw", self.calls.call(random.Random("1/7"), 10), 1)
        self.assertEqual(struct.unpack("<HH", data[20:24]), (7, 1))
        self.assertEqual(struct.unpack("<I", data[4:8])[0] + 8, len(data))
        self.assertEqual(len(data) - 58, 80000)

    def test_rows_are_the_same_for_the_same_seed_and_name_each_recording(self):
        recordings = [{"key": f"k{i}", "started": 1772409600, "seconds": 10.0} for i in range(7)]
        digests = set()
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(2):
                self.calls.database(f"{folder}/a.sqlite", 1, recordings, 50)
                db = sqlite3.connect(f"{folder}/a.sqlite")
                digests.add(hashlib.sha256("\n".join(db.iterdump()).encode()).hexdigest())
                named = db.execute("select recording from calls where recording is not null").fetchall()
                db.close()
        self.assertEqual(len(digests), 1)
        self.assertEqual(sorted(named), sorted((r["key"],) for r in recordings))


if __name__ == "__main__":
    unittest.main()
