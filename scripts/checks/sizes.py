"""Files of at most 500 lines, unless the header says why: a line `Long because …` among the first twelve."""

from .tree import Outcome

FILE_LINES_MAX = 500
MARKER = "Long because"


def check(tree):
    problems, count, longest = [], 0, (0, "")
    for path in tree.files("Sources", "Tests", suffix=".swift") + tree.files("scripts", "Tests", suffix=".py"):
        count += 1
        lines = tree.text(path).splitlines()
        longest = max(longest, (len(lines), path))
        if len(lines) > FILE_LINES_MAX and not any(MARKER in line for line in lines[:12]):
            problems.append(f"{path}: {len(lines)} lines; split it, or say `{MARKER} …` in its header")
    return Outcome(count, "files", problems, f"longest {longest[1]}: {longest[0]}")


def plants():
    clean = {
        "Sources/Base/A.swift": "// A file.\n" + "let a = 1\n" * 300,
        "Sources/Base/L.swift": f"// {MARKER} the table is one.\n" + "let a = 1\n" * 600,
    }
    return [("clean", clean, None), ("long", clean | {"Tests/T/B.swift": "let a = 1\n" * 501}, "Tests/T/B.swift: 501")]
