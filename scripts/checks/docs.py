"""Every module has a design page; every magic of a stored layout belongs to one layout and has a format page.

A magic is a text of four capitals that begins with K, in the code of Sources/Formats. A page that is only a title counts as none. A link of the three entry documents must lead to a file that exists. Under
each promise of the consistency page stand names of tests and files of checkers, and all of them exist.
"""

import re

from .tree import Outcome, line_of

PAGE_WORDS_MIN = 80
MAGIC = re.compile(r"^(?!\s*//).*?\"(K[A-Z0-9]{3})\"", re.M)
PROMISES = "Sources/Node/Node.docc/Consistency.md"
WITNESS = re.compile(r'^  - (?:"(.+)"|`(.+)`)$')
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def check(tree):
    problems, count = [], 0
    for module in tree.modules():
        count += 1
        page = f"Sources/{module}/{module}.docc/{module}.md"
        if not tree.exists(page):
            problems.append(f"Sources/{module}: no design page {page}")
        elif len(tree.text(page).split()) < PAGE_WORDS_MIN:
            problems.append(f"{page}: fewer than {PAGE_WORDS_MIN} words is no design page")
    pages = "\n".join(tree.text(p) for p in tree.files("Sources", suffix=".md") if ".docc/" in p)
    magics = {}
    for path in tree.files("Sources/Formats", suffix=".swift"):
        for match in MAGIC.finditer(tree.text(path)):
            magics.setdefault(match[1], {})[path] = f"{path}:{line_of(tree.text(path), match.start())}"
    for magic, places in sorted(magics.items()):
        count += 1
        place = min(places.values())
        if len(places) > 1:
            problems.append(f"{place}: the magic {magic!r} is that of another layout too: {max(places.values())}")
        if not re.search(rf"(?<!\w){re.escape(magic)}(?!\w)", pages):
            problems.append(f"{place}: no format page names the magic {magic!r}")
    if not magics:
        problems.append("Sources: no magic found: the pattern of this check no longer fits the code")
    for document in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md"):
        count += 1
        if not tree.exists(document):
            problems.append(f"{document}: missing")
            continue
        for match in LINK.finditer(tree.text(document)):
            if "://" not in match[1] and not tree.exists(match[1]):
                problems.append(f"{document}:{line_of(tree.text(document), match.start())}: leads nowhere: {match[1]}")
    promised, unkept = promises(tree)
    count, problems = count + promised, problems + unkept
    return Outcome(count, "pages and magics", problems, f"{len(magics)} magics")


def promises(tree):
    """How many witnesses the consistency page calls, and what is wrong with it."""
    if not tree.exists(PROMISES):
        return 0, []
    tests = "\n".join(tree.text(p) for p in tree.files("Tests") if p.endswith((".swift", ".py")))
    count, problems, bare = 0, [], None
    for number, line in enumerate(tree.text(PROMISES).split("\n"), 1):
        if line.startswith("- "):
            if bare:
                problems.append(f"{PROMISES}:{bare}: no test stands under this promise")
            bare = number
        elif witness := WITNESS.match(line):
            count, bare = count + 1, None
            if witness[1] and f'"{witness[1]}"' not in tests:
                problems.append(f"{PROMISES}:{number}: no test has this name: {witness[1]}")
            if witness[2] and not tree.exists(witness[2]):
                problems.append(f"{PROMISES}:{number}: there is no {witness[2]}")
    if bare:
        problems.append(f"{PROMISES}:{bare}: no test stands under this promise")
    return count, problems


def plants():
    def promise(text):
        return {PROMISES: text, "Tests/A.swift": '@Test("it holds")'}

    page = "# Base\n" + "Some words that explain the design of it. " * 20
    clean = {
        "Sources/Base/A.swift": "let a = 1\n",
        "Sources/Formats/A.swift": 'static let magic = "KSEG"\nw.put(raw: "KREC".utf8)  // "KNOT"\n// "KNOR"\n',
        "Sources/Base/Base.docc/Base.md": page,
        "Sources/Formats/Formats.docc/Formats.md": page + "KSEG is the segment, `KREC` the record.\n",
        "README.md": "[map](ARCHITECTURE.md)",
        "ARCHITECTURE.md": "x",
        "CHANGELOG.md": "x",
    }
    return [
        ("clean", clean, None),
        ("no page", clean | {"Sources/Disk/B.swift": "let a = 1\n"}, "no design page"),
        ("title only", clean | {"Sources/Base/Base.docc/Base.md": "# Base KSEG KREC\n"}, "is no design page"),
        ("unknown magic", clean | {"Sources/Formats/C.swift": 'let volumeMagic = Array("KVOL".utf8)\n'}, "'KVOL'"),
        ("magic twice", clean | {"Sources/Formats/C.swift": 'let magic = "KSEG"\n'}, "another layout"),
        ("promises", clean | promise('- It holds\n  more.\n  - "it holds"\n  - `Tests/A.swift`\n'), None),
        ("bare promise", clean | promise('- It holds.\n- So does it.\n  - "it holds"\n'), "no test stands"),
        ("unknown test", clean | promise('- It holds.\n  - "it does"\n'), "no test has this name"),
        ("unknown checker", clean | promise("- It holds.\n  - `Tests/B.swift`\n"), "there is no"),
        ("dead link", clean | {"README.md": "[map](MAP.md)"}, "leads nowhere"),
    ]
