#!/usr/bin/env python3
"""Counts what a test run said, for scripts/test: `count.py KIND EXIT-CODE FILE...` prints `PASSED FAILED`.

swift    xunit files; an exit code that no counted failure explains is a failure of its own (a crash)
checks   Tests/clients: `NAME: N checks passed` or `NAME: PART failed after N checks`, then `FILE failed`
unittest the words of Python's unittest: `Ran N tests`, `FAILED (failures=1, errors=2)`
line     the last line of the form `N ... passed, M ... failed`
lines    the sum of all such lines
"""

import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def swift(files):
    from checks.toolchain import xunit

    total, failures = xunit(*files)
    for name in failures:
        print(f"    failed: {name}", file=sys.stderr)
    return total - len(failures), len(failures)


def unittest(files):
    said = "\n".join(Path(f).read_text(errors="replace") for f in files)
    ran = sum(int(n) for n in re.findall(r"^Ran (\d+) tests?", said, re.M))
    bad = sum(int(n) for n in re.findall(r"(?:failures|errors|unexpected successes)=(\d+)", said))
    skipped = sum(int(n) for n in re.findall(r"skipped=(\d+)", said))
    return ran - min(bad, ran) - skipped, bad


def checks(files):
    said = "\n".join(Path(f).read_text(errors="replace") for f in files)
    passed = re.findall(r"^\w+: (\d+) checks passed", said, re.M)
    before = re.findall(r"^\w+: \w+ failed after (\d+) checks", said, re.M)
    return sum(map(int, passed + before)), len(re.findall(r"^Tests/clients/\S+ failed$", said, re.M))


def said_lines(files):
    said = "\n".join(Path(f).read_text(errors="replace") for f in files)
    return [(int(p), int(f)) for p, f in re.findall(r"^\D*(\d+)[^\d\n]*passed, (\d+)[^\n]*failed", said, re.M)]


def line(files):
    return (said_lines(files) or [(0, 0)])[-1]


def lines(files):
    return tuple(sum(column) for column in zip((0, 0), *said_lines(files)))


kind, code, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
passed, failed = {"swift": swift, "unittest": unittest, "checks": checks, "line": line, "lines": lines}[kind](files)
if code and not failed:
    failed = 1
print(passed, failed)
