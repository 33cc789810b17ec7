"""The stages that run a tool: format, build, tests, seeds. Each reads what the tool said, and counts it."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from .imports import IMPORT
from .tree import Outcome
from .tree import code as source

TAIL = 40


def run(tree, *command, **environment):
    """The exit code and everything that `command` said."""
    result = subprocess.run(
        command,
        cwd=tree.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | environment,
    )
    return result.returncode, result.stdout.decode(errors="replace")


def last(text):
    return [line for line in text.splitlines() if line.strip()][-TAIL:]


def format(tree):
    files = tree.files("Sources", "Tests", suffix=".swift") + (
        ["Package.swift"] if tree.exists("Package.swift") else []
    )
    if not files:
        return Outcome(0, "files")
    code, said = run(
        tree, "swift", "format", "lint", "--strict", "--parallel", "--configuration", ".swift-format", *files
    )
    problems = [
        line.replace(str(tree.root) + "/", "")
        for line in said.splitlines()
        if re.search(r": (?:error|warning): ", line)
    ]
    if code and not problems:
        problems = last(said) or [f"swift format ended with {code}"]
    return Outcome(len(files), "files", problems)


SYSTEM = {"Swift", "Glibc", "Foundation", "FoundationEssentials", "Synchronization", "Dispatch", "Testing", "XCTest"}


def undeclared(package, imported):
    """What targets import without naming it in Package.swift: it may build today, by luck, and not tomorrow."""
    problems = []
    for target in package["targets"]:
        declared = {target["name"]} | SYSTEM
        for dependency in target["dependencies"]:
            for kind in ("byName", "target", "product"):
                if kind in dependency:
                    declared.add(dependency[kind][0])
        missing = imported.get(target["name"], set()) - declared
        problems += [f"Package.swift: {target['name']} imports {name} without naming it" for name in sorted(missing)]
    return problems


def manifest(tree):
    """Package.swift against the imports of Sources and Tests; targets without a directory are an error of their own."""
    code, said = run(tree, "swift", "package", "dump-package")
    try:
        package = json.loads(said[said.index("{") :])
    except ValueError:
        return Outcome(0, "targets", last(said))
    places = {}
    for target in package["targets"]:
        top = "Tests" if target["type"] == "test" else "Sources"
        places[target.get("path") or f"{top}/{target['name']}"] = target["name"]
    imported, homeless = {}, set()
    for path in tree.files("Sources", "Tests", suffix=".swift"):
        owner = max((p for p in places if path.startswith(p + "/")), key=len, default=None)
        if owner is None:
            homeless.add("/".join(path.split("/")[:2]))
        else:
            imported.setdefault(places[owner], set()).update(IMPORT.findall(source(tree.text(path))))
    problems = [f"Package.swift: no target for the Swift files of {folder}" for folder in sorted(homeless)]
    return Outcome(len(places), "targets", problems + undeclared(package, imported))


def warnings(said):
    return sorted({line for line in said.splitlines() if re.search(r"(?:^|\s|:)(?:warning|error): ", line)})


def build(tree):
    code, said = run(tree, "swift", "build", "-c", "release", "--build-tests")
    problems = warnings(said)
    if code and not problems:
        problems = last(said)
    _, described = run(tree, "swift", "package", "describe")
    return Outcome(len(re.findall(r"^ +Module type: SwiftTarget", described, re.M)), "targets", problems)


def xunit(*paths):
    """Tests and failures of xunit files; a file that is missing counts nothing."""
    total, failures = 0, []
    for path in paths:
        if not Path(path).exists():
            continue
        text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "?", Path(path).read_text(errors="replace"))
        try:
            cases = ElementTree.fromstring(text.encode()).iter("testcase")
        except ElementTree.ParseError:
            failures.append(f"{path} ends early: the tests crashed")
            total += 1
            continue
        for case in cases:
            if case.find("skipped") is not None:
                continue
            total += 1
            if case.find("failure") is not None or case.find("error") is not None:
                failures.append(f"{case.get('classname')}.{case.get('name')}")
    return total, failures


def tests(tree):
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/x.xml"
        code, said = run(tree, "swift", "test", "-c", "release", "--skip-build", "--xunit-output", out)
        total, failures = xunit(out, f"{folder}/x-swift-testing.xml")
    if code and not failures:
        failures = last(said)
    return Outcome(total, "tests", failures)


def seeds(tree, count=50):
    code, said = run(tree, "scripts/sim", "--seeds", str(count), "--no-build")
    done = re.findall(r"^(\d+) seeds passed, (\d+) failed", said, re.M)
    problems = last(said) if code or not done else []
    return Outcome(int(done[-1][0]) + int(done[-1][1]) if done else 0, "seeds", problems)


def self_test():
    """Planted faults in what the tools say, and one badly formatted file for the real formatter."""
    from .tree import Tree

    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "Sources").mkdir()
        configuration = Path(__file__).resolve().parents[2] / ".swift-format"
        (root / ".swift-format").write_text(configuration.read_text())
        (root / "Sources/A.swift").write_text("let a = 1\n")
        if format(Tree(root)).problems:
            wrong.append("format: a good file was refused")
        (root / "Sources/B.swift").write_text("func  f( ) {\n      let a=1 ; print(a)}\n")
        if not any("B.swift" in p for p in format(Tree(root)).problems):
            wrong.append("format: a bad file was not found")
        (root / "x.xml").write_text(
            '<testsuites><testsuite><testcase classname="A" name="a"/><testcase classname="A" '
            'name="b"><failure message="\x1b no"/></testcase></testsuite></testsuites>'
        )
        if xunit(root / "x.xml", root / "none.xml") != (2, ["A.b"]):
            wrong.append("tests: a failed case was not counted")
    package = {
        "targets": [{"name": "A", "dependencies": [{"byName": ["B", None]}, {"product": ["C", "c", None, None]}]}]
    }
    if undeclared(package, {"A": {"B", "C", "Glibc"}}) or len(undeclared(package, {"A": {"B", "D"}})) != 1:
        wrong.append("manifest: an undeclared import was not told apart")
    if not warnings("a.swift:1:2: warning: unused\n") or warnings("Compiling Warning.swift\n[3/4] Build complete\n"):
        wrong.append("build: a warning was not told apart")
    return 6, wrong
