"""What every stage works on: a tree of files, its Swift code without comments and strings, and an outcome.

`code(text)` blanks comments and string literals with spaces and keeps every line break, so that a stage can look for
words and braces in code alone and still name the right line. Interpolations inside strings are kept as code.
"""

import functools
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """How many things a stage looked at, and what it found wrong."""

    count: int
    unit: str
    problems: list = field(default_factory=list)
    note: str = ""


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self._text = {}

    def text(self, path):
        if path not in self._text:
            self._text[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._text[path]

    def exists(self, path):
        return (self.root / path).exists()

    def files(self, *tops, suffix=""):
        """Paths below `tops`, relative to the root, sorted; hidden and build directories are left out."""
        found = []
        for top in tops:
            for folder, names, files in os.walk(self.root / top):
                names[:] = sorted(n for n in names if not n.startswith(".") and n != "__pycache__")
                relative = Path(folder).relative_to(self.root)
                found += [str(relative / f) for f in files if f.endswith(suffix)]
        return sorted(found)

    def committed(self):
        """What git has or would take; every file below the root where there is no repository."""
        try:
            listed = subprocess.run(
                ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=self.root, capture_output=True, check=True
            )
            names = [n.decode() for n in listed.stdout.split(b"\0") if n]
            return sorted(n for n in names if (self.root / n).is_file())
        except (subprocess.CalledProcessError, FileNotFoundError):
            return self.files(".")

    def modules(self):
        """Targets with Swift code of their own: the directories of Sources that hold no C module map."""
        return sorted(
            p.name
            for p in (self.root / "Sources").iterdir()
            if p.is_dir() and not (p / "module.modulemap").exists() and any(p.rglob("*.swift"))
        )


OPENING = re.compile(r'(#*)("""|")')
NOTABLE = re.compile(r'/[/*]|#*"|[()]')


@functools.lru_cache(maxsize=None)
def code(text):
    """`text` with comments and the literal parts of strings blanked, line breaks kept."""
    out = []
    i, n = 0, len(text)
    stack = []  # one (pound signs, quotes, depth of parentheses) per string whose interpolation we are inside

    def blank(piece):
        out.append(re.sub(r"[^\n]", " ", piece))

    def string(i, pounds, quotes):
        """Blanks from inside a string to its end or to an interpolation; gives the next index and whether it ended."""
        closing, opening = quotes + "#" * pounds, "\\" + "#" * pounds + "("
        escape = "\\" + "#" * pounds
        start = i
        while i < n:
            if text.startswith(closing, i):
                blank(text[start:i])
                out.append('"' + " " * (len(closing) - 1))
                return i + len(closing), True
            if text.startswith(opening, i):
                blank(text[start : i + len(opening) - 1])
                out.append("(")
                return i + len(opening), False
            if text.startswith(escape, i):
                i += len(escape) + 1
            elif text[i] == "\n" and quotes == '"':
                break  # not closed on its line: not a string that the compiler would take
            else:
                i += 1
        blank(text[start:i])
        return i, True

    while i < n:
        if text.startswith("//", i):
            end = text.find("\n", i)
            end = n if end < 0 else end
            blank(text[i:end])
            i = end
        elif text.startswith("/*", i):
            depth, j = 1, i + 2
            while j < n and depth:
                if text.startswith("/*", j):
                    depth, j = depth + 1, j + 2
                elif text.startswith("*/", j):
                    depth, j = depth - 1, j + 2
                else:
                    j += 1
            blank(text[i:j])
            i = j
        elif opening := OPENING.match(text, i):
            pounds, quotes = len(opening[1]), opening[2]
            out.append('"' + " " * (len(opening[0]) - 1))
            i, ended = string(opening.end(), pounds, quotes)
            if not ended:
                stack.append([pounds, quotes, 1])
        elif stack and text[i] in "()":
            out.append(text[i])
            stack[-1][2] += 1 if text[i] == "(" else -1
            i += 1
            if stack[-1][2] == 0:
                pounds, quotes, _ = stack.pop()
                i, ended = string(i, pounds, quotes)
                if not ended:
                    stack.append([pounds, quotes, 1])
        else:
            next_one = NOTABLE.search(text, i + 1)
            end = next_one.start() if next_one else n
            out.append(text[i:end])
            i = end
    return "".join(out)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def found(tree, path, pattern, text=None):
    """Each place of `pattern` in the code of `path`, as (line, what was found)."""
    text = code(tree.text(path)) if text is None else text
    return [(line_of(text, m.start()), m[0]) for m in re.finditer(pattern, text)]
