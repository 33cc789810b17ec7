"""A set of unique numbers, added in growing order, and reads of its upper end: what was promised must be there.

A read must show every number that was acknowledged before it began; with `Komora-Staleness: b`, before it began less b
(such a read is not linearizable and is not judged as one); with `Komora-At-Least: p`, every one acknowledged at p or
before, and no more unless a bound was asked for too. No read may show what was refused, what was not sent yet, or a number twice, however often it was sent under
one Idempotency-Key. The final reads show everything, from every node.
"""

from bisect import bisect_right

from history import FAIL, INFO, OK, Violation

NAME = "sets"


class Number:
    """All that was sent for one number: one request, or several with the same Idempotency-Key."""

    def __init__(self):
        self.sent = []

    @property
    def acknowledged(self):
        """When it was first acknowledged, or None."""
        return min((op.complete for op in self.sent if op.outcome == OK), default=None)

    @property
    def refused(self):
        return all(op.outcome == FAIL for op in self.sent)

    @property
    def first(self):
        return min(op.invoke for op in self.sent)

    @property
    def position(self):
        return min((op.position for op in self.sent if op.outcome == OK and op.position), default=None)


def numbers(ops):
    found = {}
    for op in ops:
        if op.op == "add":
            found.setdefault(op.value, Number()).sent.append(op)
    return found


def needed(op, by_time, by_position):
    """(number, why) of what this read must show, if it is not below the read's lower end."""
    if op.staleness is not None or op.at_least is None:
        bound = int((op.staleness or 0) * 1e9)
        for at, number in by_time[: bisect_right(by_time, (op.invoke - bound, -1))]:
            yield number, f"acknowledged {(op.invoke - at) / 1e9:.3f} s before it began"
    if op.at_least is not None:
        for at, number in by_position[: bisect_right(by_position, (op.at_least, FOREVER_NUMBER))]:
            yield number, f"acknowledged at {at[0]}.{at[1]}"


FOREVER_NUMBER = float("inf")


def check_read(account, op, known, by_time, by_position):
    shown = set(op.result)
    if len(shown) < len(op.result):
        twice = sorted(n for n in shown if op.result.count(n) > 1)
        yield Violation(NAME, account, f"duplicate: {twice} are there twice", [op, *known[twice[0]].sent])
    for n in sorted(shown):
        if n not in known:
            yield Violation(NAME, account, f"{n} is there, and nobody sent it", [op])
        elif known[n].refused:
            yield Violation(NAME, account, f"{n} was refused and is there", [op, *known[n].sent])
        elif known[n].first > op.complete:
            yield Violation(NAME, account, f"{n} was read before it was sent", [op, *known[n].sent])
    low = op.value["low"]
    missing = {n: why for n, why in needed(op, by_time, by_position) if n >= low and n not in shown}
    for n, why in sorted(missing.items())[:5]:
        what = "lost" if op.final else "stale"
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        yield Violation(NAME, account, f"{what}: {n} is not there, {why}{more}", [op, *known[n].sent])
    if op.at_least is not None and op.position is not None and op.position < op.at_least:
        yield Violation(NAME, account, "a read with Komora-At-Least was answered at an earlier position", [op])


def check(history):
    for account, ops in history.by_account("set").items():
        known = numbers(ops)
        by_time = sorted((n.acknowledged, number) for number, n in known.items() if n.acknowledged is not None)
        by_position = sorted((n.position, number) for number, n in known.items() if n.position is not None)
        reads = [op for op in ops if op.op == "read" and op.outcome == OK]
        for op in reads:
            yield from check_read(account, op, known, by_time, by_position)
        if not any(op.final for op in reads):
            yield Violation(NAME, account, "unknown: no final read", [op for op in ops if op.outcome == INFO][:3])
