"""Linearizable registers: is there an order of all operations, each somewhere between its beginning and its end, in
which every read returns the last value written and every compare-and-set did what it says?

The search is Wing and Gong's with Lowe's memory of (what is already ordered, value), key by key, since linearizability
is local. An operation whose outcome is unknown may come at any time after its beginning, also after everything else,
which is as good as never. Three things keep it short and lose no order: what only reads is taken as soon as it fits;
a value that somebody still has to see is not left, since each is written once; positions, where answers carry them, say
what to try first. The search is bounded; where the bound is met nothing was proven, and that is a violation.

First without the unknown writes whose value nobody ever saw: an order without them is an order. Only if there is none
they are taken in, since they may still explain a compare-and-set that found something else.
"""

from history import FAIL, FOREVER, INFO, OK, Violation

NAME = "registers"
STEPS_MAX = 100_000


def step(state, op):
    """(could `op` have happened here, the value after it)."""
    if op.op == "read":
        return state == op.result, state
    if op.op == "write":
        return True, op.value
    expected, new = op.value
    if op.outcome == INFO:
        return True, new if state == expected else state
    return (state == expected, new) if op.result else (state != expected, state)


class Search:
    """Sets of operations are numbers, one bit for each."""

    def __init__(self, ops, initial=None, steps_max=STEPS_MAX):
        self.ops, self.initial, self.steps_max = ops, initial, steps_max
        self.must = sum(1 << n for n, op in enumerate(ops) if op.end != FOREVER)
        written = [initial] + [new_value(op) for op in ops if op.op != "read"]
        # Who has to see a value while it is there; unless one was written twice, and may come back.
        self.seers, unique = {}, len(set(written)) == len(written)
        for n, op in enumerate(ops):
            if unique and op.outcome == OK and (op.op == "read" or (op.op == "cas" and op.result)):
                value = op.result if op.op == "read" else op.value[0]
                self.seers[value] = self.seers.get(value, 0) | 1 << n
        ends = sorted((op.end, n) for n, op in enumerate(ops))
        self.by_end = [n for _, n in ends]
        last = (FOREVER, FOREVER)
        self.by_hint = sorted(range(len(ops)), key=lambda n: (ops[n].position or last, ops[n].invoke))

    def next(self, done, state):
        """[(operation, value after it)] that may come next; one is enough when it only looks."""
        first = next(self.ops[n].end for n in self.by_end if not done >> n & 1)
        found = []
        for n in self.by_hint:
            op = self.ops[n]
            if done >> n & 1 or op.invoke > first:
                continue
            possible, after = step(state, op)
            if not possible:
                continue
            if op.op == "read" or (op.op == "cas" and op.outcome == OK and not op.result):
                return [(n, after)]
            if not self.seers.get(state, 0) & ~done & ~(1 << n):
                found.append((n, after))
        return found

    def run(self):
        """True, or the operations that could not be placed; None when the bound was met."""
        seen, best, stuck = set(), -1, []
        order, stack = [], [(0, self.initial, None)]
        for _ in range(self.steps_max):
            done, state, waiting = stack[-1]
            if done & self.must == self.must:
                return True
            if waiting is None:
                waiting = self.next(done, state)[::-1]
                stack[-1] = (done, state, waiting)
                if not waiting and len(order) > best:
                    first = next(n for n in self.by_end if not done >> n & 1)
                    best, stuck = len(order), [first, *order[-8:]]
            if waiting:
                n, after = waiting.pop()
                following = (done | 1 << n, after)
                if following not in seen:
                    seen.add(following)
                    stack.append((*following, None))
                    order.append(n)
                continue
            stack.pop()
            if not stack:
                return [self.ops[n] for n in stuck]
            order.pop()
        return None


def new_value(op):
    return op.value if op.op == "write" else op.value[1]


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
    needed = [op for op in ops if op.outcome == OK or new_value(op) in seen]
    verdict = Search(needed, steps_max=steps_max).run()
    if verdict is True:
        return None
    if len(needed) < len(ops):
        verdict = Search(ops, steps_max=steps_max).run()
    if verdict is True:
        return None
    if verdict is None:
        return f"not decided within {steps_max} steps ({len(ops)} operations)", ops[:12]
    written = {new_value(op) for op in ops if op.op != "read"} | {None}
    strange = [op for op in ops if op.op == "read" and op.result not in written]
    return "not linearizable; the first of these has no place after the others", strange[:1] + verdict


def check(history):
    for account, ops in history.by_account("register").items():
        keys = {}
        for op in ops:
            keys.setdefault(op.key, []).append(op)
        for key, group in sorted(keys.items()):
            if wrong := check_key(group):
                yield Violation(NAME, account, f"{key}: {wrong[0]}", wrong[1])
