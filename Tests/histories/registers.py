"""Linearizable registers: is there an order of all operations, each somewhere between its beginning and its end, in
which every read returns the last value written and every compare-and-set did what it says?

The search is Wing and Gong's with Lowe's memory of (what is already ordered, value), key by key, since linearizability
is local. An operation whose outcome is unknown may come at any time after its beginning, also after everything else,
which is as good as never. The search is bounded; where the bound is met nothing was proven, and that is a violation.

First without the unknown writes whose value nobody ever saw: an order without them is an order. Only if there is none
they are taken in, since they may still explain a compare-and-set that found something else.
"""

from history import FAIL, FOREVER, INFO, OK, Violation

NAME = "registers"
STEPS_MAX = 1_000_000


def step(state, op):
    """The register's next value, or None when `op` could not have happened here: (possible, next)."""
    if op.op == "read":
        return state == op.result, state
    if op.op == "write":
        return True, op.value
    expected, new = op.value
    if op.outcome == INFO:
        return True, new if state == expected else state
    return (state == expected, new) if op.result else (state != expected, state)


class Entry:
    """One end of an operation in the list of both ends of all, ordered by time."""

    __slots__ = ("op", "bit", "match", "next", "before")

    def __init__(self, op, bit, match):
        self.op, self.bit, self.match = op, bit, match
        self.next = self.before = None

    def lift(self):
        """Takes an operation, both ends, out of the list."""
        for entry in (self, self.match):
            entry.before.next = entry.next
            if entry.next is not None:
                entry.next.before = entry.before

    def unlift(self):
        for entry in (self.match, self):
            entry.before.next = entry
            if entry.next is not None:
                entry.next.before = entry


def linked(ops):
    """The list's head. At the same nanosecond beginnings come first: such operations overlap."""
    ends = []
    for n, op in enumerate(ops):
        returned = Entry(op, 1 << n, None)
        ends.append((op.invoke, 0, n, Entry(op, 1 << n, returned)))
        ends.append((op.end, 1, n, returned))
    ends.sort(key=lambda end: end[:3])
    head = last = Entry(None, 0, None)
    for *_, entry in ends:
        last.next, entry.before, last = entry, last, entry
    return head


def search(ops, initial=None, steps_max=STEPS_MAX):
    """True, or the operations that could not be placed; None when the bound was met."""
    must = sum(1 << n for n, op in enumerate(ops) if op.end != FOREVER)
    head = linked(ops)
    state, done, stack, seen, steps = initial, 0, [], set(), 0
    best, stuck = -1, []
    entry = head.next
    while done & must != must:
        steps += 1
        if steps > steps_max:
            return None
        if entry.match is not None:
            possible, following = step(state, entry.op)
            if possible and (key := (done | entry.bit, following)) not in seen:
                seen.add(key)
                stack.append((entry, state))
                state, done = following, done | entry.bit
                entry.lift()
                entry = head.next
            else:
                entry = entry.next
            continue
        # An end that was reached with its operation not in order yet: go back.
        if len(stack) > best:
            best, stuck = len(stack), [entry.op, *(e.op for e, _ in stack[-6:])]
        if not stack:
            return stuck
        entry, state = stack.pop()
        done &= ~entry.bit
        entry.unlift()
        entry = entry.next
    return True


def relevant(ops):
    """What can be judged: not what certainly did not happen, and no read without an answer."""
    return [op for op in ops if op.outcome != FAIL and not (op.outcome == INFO and op.op == "read")]


def seen_values(ops):
    read = {op.result for op in ops if op.op == "read" and op.outcome == OK}
    return read | {op.value[0] for op in ops if op.op == "cas" and op.outcome == OK and op.result}


def check_key(ops, steps_max=STEPS_MAX):
    """None, or (what is wrong, evidence)."""
    ops = relevant(ops)
    seen = seen_values(ops)
    needed = [op for op in ops if op.outcome == OK or (op.value if op.op == "write" else op.value[1]) in seen]
    verdict = search(needed, steps_max=steps_max)
    if verdict is True:
        return None
    if len(needed) < len(ops):
        verdict = search(ops, steps_max=steps_max)
    if verdict is True:
        return None
    if verdict is None:
        return f"not decided within {steps_max} steps ({len(ops)} operations)", ops[:12]
    written = {op.value if op.op == "write" else op.value[1] for op in ops if op.op != "read"} | {None}
    strange = [op for op in ops if op.op == "read" and op.result not in written]
    return "not linearizable; the first of these has no place", strange[:1] + verdict


def check(history):
    for account, ops in history.by_account("register").items():
        keys = {}
        for op in ops:
            keys.setdefault(op.key, []).append(op)
        for key, group in sorted(keys.items()):
            if wrong := check_key(group):
                yield Violation(NAME, account, f"{key}: {wrong[0]}", wrong[1])
