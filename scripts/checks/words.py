"""Words that must not be committed: unfinished work, absolute paths of somebody's machine, conflict marks, keys."""

import re

from .tree import Outcome

# Spelled in halves, so that this file does not find itself.
UNFINISHED = re.compile(
    r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|not imple" r"mented|unimple" r"mented|for n" r"ow\b", re.I
)
MACHINE = re.compile(r"(?:^|[^a-z0-9._~-])/(?:ho" r"me|ro" r"ot|wo" r"rk|tm" r"p/[a-z]|Use" r"rs)/")
MARKS = re.compile(r"^(?:<{7} |>{7} |={7}$)", re.M)
SECRET = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIV" r"ATE KEY-----|AGE-SECRET" r"-KEY-1[A-Z0-9]{20}")
WORKED_ON = ("Sources/", "Tests/", "scripts/", "cluster/", ".ci/", "Package.swift")


def check(tree):
    problems, count = [], 0
    for path in tree.committed():
        if path.endswith((".png", ".svg", ".wav", ".zst", ".pyc")) or path == "Package.resolved":
            continue
        count += 1
        text = tree.text(path)
        rules = [(MACHINE, "a path of one machine"), (MARKS, "a conflict mark"), (SECRET, "a secret key")]
        if path.startswith(WORKED_ON):
            rules.append((UNFINISHED, "unfinished work"))
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, what in rules:
                # S3 has an error code of that name, with its text.
                if (match := pattern.search(line)) and '"NotImplemented"' not in line:
                    problems.append(f"{path}:{number}: {what}: {match[0].strip()!r}")
    return Outcome(count, "files", problems)


def plants():
    clean = {
        "Sources/Base/A.swift": "// A table of hacksaws, in /var/lib/komora.\n",
        "Sources/API/E.swift": 'let e = S3Error(501, "NotImplemented", "not imple' 'mented")\n',
        "README.md": "Done.\n",
    }
    cases = [
        "// TO" "DO: later",
        "// fix" "me",
        'let p = "/ro' 'ot/x"',
        "// good enough for n" "ow",
        "<<<<<<< HEAD",
        "AGE-SECRET" "-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQ",
        "cat /ho" "me/ann/x",
    ]
    return [("clean", clean, None)] + [
        (case, clean | {"Sources/Base/B.swift": f"let a = 1\n{case}\n"}, "Sources/Base/B.swift:2") for case in cases
    ]
