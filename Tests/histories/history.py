"""A history: what every client asked and heard, and what was done to the cluster, in one file of JSON lines.

Times are nanoseconds of CLOCK_MONOTONIC of the machine that ran everything, so they can be compared. `type` tells lines
apart: `run` (once: seed, nodes, accounts), `fault` (begin or end of something that was done on purpose) and `op`.

An op's `outcome`: `ok` it was acknowledged; `fail` it was certainly not applied; `info` nobody knows, then or ever: it
may take effect at any later time. README.md in this folder says what each workload puts into `value` and `result`.
"""

import json
from dataclasses import asdict, dataclass, field, fields

OK, FAIL, INFO = "ok", "fail", "info"
FOREVER = float("inf")


@dataclass(slots=True)
class Op:
    workload: str
    op: str
    process: int = 0
    account: str = ""
    key: object = None
    value: object = None
    result: object = None
    invoke: int = 0
    complete: int | None = None
    outcome: str = INFO
    asked: str = ""
    node: str | None = None
    position: tuple | None = None
    # What a read asked for: Komora-At-Least as a position, Komora-Staleness in seconds.
    at_least: tuple | None = None
    staleness: float | None = None
    # The Idempotency-Key of a write that is, or may be, sent more than once.
    idempotency: str | None = None
    # A read after everything was healed, from which what is left is judged.
    final: bool = False
    error: str | None = None

    @property
    def end(self):
        """When it had surely happened, if it did: never for one whose outcome nobody knows."""
        return self.complete if self.outcome == OK and self.complete is not None else FOREVER

    def line(self):
        kept = {name: value for name, value in asdict(self).items() if value is not None and value != ""}
        if not self.final:
            del kept["final"]
        return json.dumps({"type": "op"} | kept, separators=(",", ":"))

    def __str__(self):
        until = "?" if self.complete is None else f"{self.complete / 1e9:.4f}"
        at = "" if self.position is None else f" at {self.position[0]}.{self.position[1]} by {self.node}"
        asks = "" if self.at_least is None else f" at least {self.at_least[0]}.{self.at_least[1]}"
        asks += "" if self.staleness is None else f" at most {self.staleness} s old"
        result = "" if self.result is None else f" -> {shortened(self.result)}"
        return (
            f"[{self.invoke / 1e9:.4f} {until}] {self.workload} {self.op} {shortened(self.key)} "
            f"{shortened(self.value)}{asks}{result} {self.outcome} asked {self.asked}{at}"
        )


FIELDS = {f.name for f in fields(Op)}


def shortened(value, most=120):
    text = json.dumps(value, separators=(",", ":"))
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


@dataclass
class Violation:
    """What must never be, with the operations that prove it. `unknown` is one too: it was not proven right."""

    checker: str
    account: str
    what: str
    evidence: list = field(default_factory=list)

    def __str__(self):
        return "\n    ".join([f"{self.checker}: {self.account}: {self.what}", *map(str, self.evidence[:12])])


@dataclass
class History:
    run: dict = field(default_factory=dict)
    ops: list = field(default_factory=list)
    faults: list = field(default_factory=list)

    def of(self, workload):
        return [op for op in self.ops if op.workload == workload]

    def by_account(self, *workloads):
        """Operations of these workloads (all, when none is named), by account, in the order of their beginning."""
        found = {}
        for op in self.ops:
            if not workloads or op.workload in workloads:
                found.setdefault(op.account, []).append(op)
        return {account: sorted(ops, key=lambda op: op.invoke) for account, ops in sorted(found.items())}


def parse(values):
    """An operation from its line."""
    known = {name: value for name, value in values.items() if name in FIELDS}
    for name in ("position", "at_least"):
        if known.get(name) is not None:
            known[name] = tuple(known[name])
    op = Op(**known)
    if op.outcome not in (OK, FAIL, INFO) or (op.outcome != INFO and op.complete is None):
        raise ValueError(f"an outcome must be ok, fail or info, and the first two need a time of completion: {values}")
    return op


def read(path):
    """The whole history. A line that cannot be read is an error: a checker must not judge half of a run."""
    history = History()
    with open(path) as file:
        for number, line in enumerate(file, 1):
            try:
                values = json.loads(line)
                kind = values.pop("type")
                if kind == "op":
                    history.ops.append(parse(values))
                elif kind == "fault":
                    history.faults.append(values)
                elif kind == "run":
                    history.run.update(values)
                else:
                    raise ValueError(f"no such type of line: {kind}")
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}:{number}: {error}") from error
    history.ops.sort(key=lambda op: op.invoke)
    history.faults.sort(key=lambda fault: fault["at"])
    return history
