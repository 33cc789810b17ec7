"""What the bench decides by itself: signatures, what /proc says, medians and goals."""

import array
import sys
import tempfile
import unittest
import wave
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts/lib"))
import bench_calls  # noqa: E402
import bench_memory  # noqa: E402
import bench_s3  # noqa: E402
import bench_space  # noqa: E402
from bench_cases import Case  # noqa: E402

# Of boto3 1.44.5, generate_presigned_url at that time with these keys.
KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
WHEN = "20260302T120000Z"
TARGET = (
    "/nova/calls/%D0%B4%D0%B5%D0%BD%D1%8C%201~.wav?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIDEXAMPLE%2F20260302%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260302T120000Z"
    "&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature="
)
SIGNATURES = {
    "GET": "ea9b9ba77f632249a1374a32d5e443864984f06cc777f9e07871c92114d3a94b",
    "PUT": "03417870dbe1ab7381cb0a2dfee257782251ed38426854f505ea98cf96498851",
}


class Presigning(unittest.TestCase):
    def target(self, method, path="/nova/calls/день 1~.wav"):
        return bench_s3.presigned(method, "localhost:7401", path, *KEYS, WHEN)

    def test_a_target_is_the_one_that_boto3_makes(self):
        for method, signature in SIGNATURES.items():
            self.assertEqual(self.target(method), TARGET + signature)

    def test_another_method_and_another_key_have_other_signatures(self):
        signatures = {
            self.target(method, path)[-64:] for method in ("GET", "PUT") for path in ("/nova/a", "/nova/b")
        }
        self.assertEqual(len(signatures), 4)


class Memory(unittest.TestCase):
    def test_the_resident_set_and_its_most_are_read_in_bytes(self):
        status = "Name:\tkomora\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nRssAnon:\t  8192 kB\n"
        self.assertEqual(bench_memory.resident(status), (10 << 20, 20 << 20))

    def test_what_rises_and_falls_between_two_samples_is_seen(self):
        with bench_memory.Watched("self") as seen:
            before = seen.now()
            held = bytearray(b"x") * (64 << 20)
            del held
        self.assertGreater(seen.most - before, 60 << 20)


class Goals(unittest.TestCase):
    def case(self, ours, theirs, **goals):
        case = Case("a row", {}, **goals)
        case.rows = {
            "komora": [{"commits_per_second": rate, "held_MiB": rate} for rate in ours],
            "nginx": [{"commits_per_second": rate} for rate in theirs],
        }
        return case

    def verdicts(self, *arguments, **goals):
        return list(self.case(*arguments, **goals).verdicts())

    def test_a_ratio_is_one_of_medians(self):
        text, figure, goal, reached = self.verdicts([1, 40, 1000], [9, 50, 60], ratio=0.8, what="requests")[0]
        self.assertEqual((text, figure, goal, reached), ("requests/s against nginx", 0.8, 0.8, True))
        self.assertFalse(self.verdicts([39], [50], ratio=0.8)[0][3])

    def test_without_a_goal_the_ratio_is_said_and_never_missed(self):
        self.assertEqual([(v[1], v[3]) for v in self.verdicts([1], [100])], [(0.01, True)])

    def test_the_most_of_a_figure_may_be_reached(self):
        self.assertEqual([v[3] for v in self.verdicts([128], [1], most={"held_MiB": 128})], [True, True])
        self.assertEqual([v[3] for v in self.verdicts([129], [1], most={"held_MiB": 128})], [True, False])


class Space(unittest.TestCase):
    def over_g711(self, left, right):
        both = array.array("h", [sample for pair in zip(left, right) for sample in pair])
        with tempfile.TemporaryDirectory() as folder:
            with wave.open(f"{folder}/a.wav", "wb") as f:
                f.setparams((2, 2, 8000, len(left), "NONE", ""))
                f.writeframes(both.tobytes())
            return bench_space.over_g711(f"{folder}/a.wav")

    def test_a_recording_came_over_g711_when_every_channel_has_its_values_only(self):
        wide = array.array("h", range(-16000, 16000, 16))
        narrow = array.array("h", [sample // 128 * 128 for sample in wide])
        self.assertTrue(self.over_g711(narrow, narrow[::-1]))
        self.assertFalse(self.over_g711(narrow, wide))

    def test_a_synthesised_call_is_a_recording_that_came_over_g711_and_the_same_for_its_seed(self):
        with tempfile.TemporaryDirectory() as folder:
            places = [Path(folder) / name for name in "ab"]
            for place in places:
                bench_calls.synthesised(place, 2)
            one, same = ((place / "0001.wav").read_bytes() for place in places)
            self.assertEqual(one, same)
            self.assertGreater(len(one), 4 * 10 * bench_calls.RATE)
            self.assertTrue(bench_space.over_g711(places[0] / "0001.wav"))

    def test_sizes_are_sums_of_file_lengths_at_any_depth(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a/b").mkdir(parents=True)
            (Path(folder) / "a/b/c").write_bytes(b"123")
            (Path(folder) / "d").write_bytes(b"4567")
            self.assertEqual(bench_space.total(folder), 7)

    def test_fewer_bytes_are_better_and_one_peer_has_the_goal(self):
        for size, reached in ((75, True), (76, False)):
            case = bench_space.Space("a row", {}, ratio=0.75, against="borg")
            case.rows = {who: [{"bytes": n}] for who, n in (("komora", size), ("borg", 100), ("restic", 50))}
            self.assertEqual(
                list(case.verdicts()),
                [
                    ("bytes against borg", size / 100, 0.75, reached),
                    ("bytes against restic", size / 50, None, True),
                ],
            )


if __name__ == "__main__":
    unittest.main()
