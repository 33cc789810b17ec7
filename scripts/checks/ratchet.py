"""Escapes from the compiler and overlong functions, counted against scripts/ratchet: the counts may only fall.

More than the file says is a failure; fewer is one too, until `scripts/check --tighten` has written the lower number
down. An escape that promises something to the compiler must say in a comment beside it what makes the promise true; in
a file the first of each kind says it for those that follow.
"""

import re

from .tree import Outcome, code, line_of

FILE = "scripts/ratchet"
FUNCTION_LINES_MAX = 70
ESCAPES = {
    "unchecked-sendable": r"@unchecked\s+Sendable",
    "nonisolated-unsafe": r"nonisolated\(unsafe\)",
    "force-try": r"\btry!",
    "force-cast": r"\bas!",
    "unsafe-bit-cast": r"\bunsafeBitCast\b",
}
PROMISES = {"unchecked-sendable", "nonisolated-unsafe"}
HEAD = re.compile(r"\b(?:func\s+[\w`+\-*/=<>!&|^~%]+|init[?!]?\s*(?=[(<])|deinit\b|subscript\s*(?=[(<]))")


def functions(text):
    """(first line, lines, name) of every function with a body in `text`, which is code without strings."""
    for match in HEAD.finditer(text):
        if match[0].startswith("init") and text[: match.start()].rstrip(" \t")[-1:] == ".":
            continue
        depth, i = 0, match.end()
        while i < len(text):
            c = text[i]
            if c in "([":
                depth += 1
            elif c in ")]":
                depth -= 1
                if depth < 0:
                    break
            elif depth == 0 and c == "{":
                break
            elif depth == 0 and c in "};":
                i = len(text)
            elif (
                depth == 0
                and c == "\n"
                and re.match(
                    r"\s*(?:@|\}|(?:public|package|private|fileprivate|internal|static|mutating|nonmutating|override|"
                    r"final|func|var|let|init|deinit|subscript|case|struct|enum|class|extension|typealias|"
                    r"associatedtype|#)\b)",
                    text[i : i + 80],
                )
            ):
                i = len(text)  # a requirement without a body
            i += 1
        if i >= len(text) or text[i] != "{":
            continue
        start, depth = i, 0
        while i < len(text):
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            if depth == 0:
                break
            i += 1
        first = line_of(text, match.start())
        yield first, line_of(text, i) - first + 1, match[0].strip()


def promised(lines, number):
    """Whether a comment stands on line `number` or within four lines of it."""
    near = lines[max(0, number - 5) : number + 4]
    return any("//" in line for line in near)


def measure(tree):
    counts = {name: 0 for name in ESCAPES} | {"long-functions": 0}
    places, problems, looked = {name: [] for name in counts}, [], 0
    for path in tree.files("Sources", suffix=".swift"):
        text, lines = code(tree.text(path)), tree.text(path).splitlines()
        for name, pattern in ESCAPES.items():
            for number, match in enumerate(re.finditer(pattern, text)):
                line = line_of(text, match.start())
                counts[name] += 1
                places[name].append(f"{path}:{line}")
                if number == 0 and name in PROMISES and not promised(lines, line):
                    problems.append(
                        f"{path}:{line}: {match[0]} without its one-sentence invariant in a comment beside it"
                    )
        for first, length, name in functions(text):
            looked += 1
            if length > FUNCTION_LINES_MAX:
                counts["long-functions"] += 1
                places["long-functions"].append(f"{path}:{first} ({name}: {length} lines)")
    return counts, places, problems, looked


def read(tree):
    said = {}
    for line in tree.text(FILE).splitlines():
        line = line.split("#")[0].split()
        if len(line) == 2:
            said[line[0]] = int(line[1])
    return said


def check(tree):
    counts, places, problems, looked = measure(tree)
    said = read(tree)
    for name, count in counts.items():
        if name not in said:
            problems.append(f"{FILE}: no line for {name}")
        elif count > said[name]:
            problems.append(f"{name}: {count}, at most {said[name]} allowed: {', '.join(places[name])}")
        elif count < said[name]:
            problems.append(f"{name}: only {count} left of {said[name]}: write it down with scripts/check --tighten")
    return Outcome(looked, "functions", problems, " ".join(f"{k}={v}" for k, v in counts.items()))


def tighten(tree):
    """Lowers the numbers of the file to what is there; never raises one."""
    counts, said, lines = measure(tree)[0], read(tree), []
    for line in tree.text(FILE).splitlines():
        words = line.split("#")[0].split()
        if len(words) == 2 and counts.get(words[0], 0) < said[words[0]]:
            line = re.sub(r"\d+", str(counts[words[0]]), line, count=1)
        lines.append(line)
    (tree.root / FILE).write_text("\n".join(lines) + "\n")


def plants():
    said = (
        "unchecked-sendable 1\nnonisolated-unsafe 0\nforce-try 0\nforce-cast 0\nunsafe-bit-cast 0\nlong-functions 0\n"
    )
    ok = "// Invariant: never changes.\nfinal class A: @unchecked Sendable {\n  func f() {}\n}\n"
    clean = {FILE: said, "Sources/Base/A.swift": ok}
    body = "  x()\n" * 75
    return [
        ("clean", clean, None),
        ("one more", clean | {"Sources/Base/B.swift": ok}, "unchecked-sendable: 2"),
        ("one fewer", clean | {"Sources/Base/A.swift": "func f() {}\n"}, "--tighten"),
        (
            "no reason",
            clean | {"Sources/Base/A.swift": "final class A: @unchecked Sendable {\n}\nfunc f() {}\n"},
            "one-sentence invariant",
        ),
        ("force try", clean | {"Sources/Base/B.swift": "let a = try! f()\n"}, "force-try: 1"),
        ("force cast", clean | {"Sources/Base/B.swift": "let a = b as! C\n"}, "force-cast: 1"),
        (
            "long",
            clean
            | {
                "Sources/Base/B.swift": "struct S {\n  func f<T>(a: Int = 1,\n    b: T) throws(E) -> [T] where T: P {\n"
                f"{body}  }}\n}}\n"
            },
            "long-functions: 1",
        ),
        (
            "long init",
            clean | {"Sources/Base/B.swift": f"struct S {{\n  init(a: Int) {{\n{body}  }}\n}}\n"},
            "long-functions: 1",
        ),
        (
            "no body",
            clean | {"Sources/Base/B.swift": "protocol P {\n  func f()\n  func g()\n}\nstruct S {\n" + body + "}\n"},
            None,
        ),
    ]
