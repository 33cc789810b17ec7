"""Words that pure targets must not say: time, global randomness, output, waiting, the system. Comments may."""

import re

from .tree import Outcome, found

PURE = ["Base", "Formats", "Membership", "Control"]
BANNED = [
    (r"\.now\b", "time is an argument"),
    (r"\bDate\s*\(", "time is an argument"),
    (r"\b(?:Continuous|Suspending)Clock\b", "time is an argument"),
    (r"\.random\s*\((?![^()]*(?:\([^()]*\)[^()]*)*\busing\s*:)", "randomness is an argument: `using:`"),
    (r"\.(?:shuffled|shuffle|randomElement)\s*\(\s*\)", "randomness is an argument: `using:`"),
    (r"\bSystemRandomNumberGenerator\b", "randomness is an argument"),
    (r"\b(?:debugPrint|print|dump)\s*\(", "pure code returns what it has to say"),
    (r"\b(?:async|await)\b", "pure code never waits"),
    (r"\b(?:Foundation|FoundationEssentials|Glibc|Dispatch)\b", "pure code knows no system"),
    (r"\bUnsafe\w*Pointer\b", "pure code has no pointers"),
]


def check(tree):
    problems, count = [], 0
    for module in PURE:
        for path in tree.files(f"Sources/{module}", suffix=".swift"):
            count += 1
            for pattern, why in BANNED:
                problems += [f"{path}:{line}: {word.strip()!r}: {why}" for line, word in found(tree, path, pattern)]
    return Outcome(count, "files", problems)


def plants():
    clean = {
        "Sources/Base/A.swift": "// print( and .now are fine here\nlet a = Int.random(in: f(0)...9, using: &g)\n"
        'let s = "Date()"\nlet b = x.shuffled(using: &g)\nlet c = fingerprint(x)\n'
    }
    cases = [
        ".now",
        "Date()",
        "Int.random(in: 0...9)",
        "x.shuffled()",
        'print("x")',
        "func f() async {}",
        "import Foundation",
        "Glibc.time(nil)",
        "x.randomElement()",
        '"\\(ContinuousClock.Instant.now)"',
    ]
    return [("clean", clean, None)] + [
        (case, clean | {"Sources/Formats/B.swift": f"let z = {case}\n"}, "Sources/Formats/B.swift:1") for case in cases
    ]
