"""Which target may import which: scripts/import-rules against every import of Sources. The rules must be acyclic."""

import re

from .tree import Outcome, code, line_of

RULES = "scripts/import-rules"
IMPORT = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)]*\))?[ \t]+)*(?:(?:public|package|internal|fileprivate|private)[ \t]+)?"
    r"import[ \t]+(?:(?:struct|class|enum|protocol|func|var|let|typealias)[ \t]+)?(\w+)",
    re.M,
)
PURE = {"Base": set(), "Formats": {"Base"}}


def read_rules(tree):
    rules, problems = {}, []
    for number, line in enumerate(tree.text(RULES).splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, colon, rest = line.partition(":")
        if not colon or name.strip() in rules:
            problems.append(f"{RULES}:{number}: not `Target: Import Import`, or a target twice")
        rules[name.strip()] = set(rest.split())
    return rules, problems


def cycle(rules):
    """A target that reaches itself, or nothing."""
    for start in rules:
        seen, waiting = set(), list(rules[start])
        while waiting:
            name = waiting.pop()
            if name == start:
                return start
            if name not in seen:
                seen.add(name)
                waiting += rules.get(name, ())
    return None


def check(tree):
    rules, problems = read_rules(tree)
    if name := cycle(rules):
        problems.append(f"{RULES}: {name} reaches itself")
    for name, allowed in PURE.items():
        if rules.get(name, set()) - allowed:
            problems.append(f"{RULES}: {name} is pure, it may import only {sorted(allowed)}")
    count = 0
    for module in tree.modules():
        if module not in rules:
            problems.append(f"Sources/{module}: {RULES} has no line for it")
            continue
        for path in tree.files(f"Sources/{module}", suffix=".swift"):
            text = code(tree.text(path))
            for match in IMPORT.finditer(text):
                count += 1
                if match[1] not in rules[module] | {"Swift"}:
                    line = line_of(text, match.start(1))
                    problems.append(f"{path}:{line}: {module} may not import {match[1]}")
    return Outcome(count, "imports", problems)


def plants():
    rules = "Base:\nFormats: Base\nNode: Formats Logging\n"
    clean = {
        RULES: rules,
        "Sources/Node/A.swift": "package import Formats\nimport struct Logging.Logger\n"
        'let s = """\nimport Foundation\n"""\n',
    }
    return [
        ("clean", clean, None),
        (
            "Foundation in Node",
            clean | {"Sources/Node/B.swift": "public import Foundation\n"},
            "may not import Foundation",
        ),
        (
            "attribute before",
            clean | {"Sources/Node/B.swift": "@preconcurrency import Glibc\n"},
            "may not import Glibc",
        ),
        ("upwards", clean | {RULES: "Base:\nFormats: Base Node\nNode: Formats Logging\n"}, "reaches itself"),
        ("impure", clean | {RULES: "Base: Glibc\nFormats: Base\nNode: Formats Logging\n"}, "Base is pure"),
        ("no rule", clean | {"Sources/New/C.swift": "import Base\n"}, "has no line for it"),
    ]
