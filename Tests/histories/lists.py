"""Append-only lists: transactions of appends of unique numbers and of reads of whole lists, as Elle judges them.

A read shows the order in which everything before it was appended, so dependencies between transactions are known and
not guessed: ww (next in a list), wr (read what was appended), rw (appended after what was read), and real time (ended
before the other began: Komora promises strict serializability). A cycle is an anomaly, called as Adya calls it. Apart
from cycles: a lost append, one that was refused and is there, a duplicate, two reads that disagree about the order, a
read between two appends of one transaction, and a transaction that does not see its own appends.
"""

from graph import cycle_in, components
from history import FAIL, INFO, OK, Violation, shortened

NAME = "lists"


class Account:
    """One account's transactions: which number came from which, and the longest order that a read showed per list."""

    def __init__(self, name, ops):
        self.name, self.wrong = name, []
        self.ops = [op for op in ops if op.outcome != FAIL]
        self.failed = {n: op for op in ops if op.outcome == FAIL for kind, _, n in op.value if kind == "append"}
        self.writer, self.appends = {}, {}
        for op in self.ops:
            for kind, key, number in op.value:
                if kind == "append":
                    if number in self.writer:
                        raise ValueError(f"the number {number} was appended by two transactions: the load is wrong")
                    self.writer[number] = op
                    self.appends.setdefault((id(op), key), []).append(number)
        self.reads = [
            (op, key, seen) for op in self.ops if op.outcome == OK for kind, key, seen in op.result if kind == "r"
        ]
        self.order = {}

    def say(self, what, *evidence):
        self.wrong.append(Violation(NAME, self.name, what, list(evidence)))

    # ------------------------------------------------------------------------------------------ without a graph
    def check_reads(self):
        for op, key, seen in self.reads:
            twice = {n for n in seen if seen.count(n) > 1} if len(set(seen)) < len(seen) else ()
            for number in twice:
                self.say(f"duplicate: {number} is twice in {key}", op, self.writer.get(number, ""))
            for number in seen:
                if number in self.failed and number not in self.writer:
                    self.say(f"G1a: {number} was refused and is in {key}", op, self.failed[number])
                elif number not in self.writer:
                    self.say(f"{number} is in {key}, and nobody appended it", op)
                elif op.complete is not None and self.writer[number].invoke > op.complete:
                    self.say(f"{number} was read before it was sent", op, self.writer[number])
            if seen:
                own = self.appends.get((id(self.writer.get(seen[-1])), key), [seen[-1]])
                if self.writer.get(seen[-1]) is not op and own[-1] != seen[-1]:
                    self.say(f"G1b: {key} was read between two appends of one transaction", op, self.writer[seen[-1]])
            best = self.order.get(key)
            if best is None or len(seen) > len(best[0]):
                self.order[key] = (seen, op)
        for op, key, seen in self.reads:
            longest, other = self.order[key]
            if longest[: len(seen)] != seen:
                at = next(i for i, (a, b) in enumerate(zip(seen, longest)) if a != b)
                what = f"{shortened(seen[at : at + 3])} and {shortened(longest[at : at + 3])}"
                self.say(f"two reads of {key} disagree from place {at}: {what}", op, other)

    def check_own(self):
        """What a transaction read must end with what it had appended itself until then, and grow by nothing else."""
        for op in self.ops:
            if op.outcome != OK:
                continue
            base, own = {}, {}
            for kind, key, value in op.result:
                mine = own.setdefault(key, [])
                if kind == "append":
                    mine.append(value)
                    continue
                before = value[: len(value) - len(mine)]
                if value[len(value) - len(mine) :] != mine or base.setdefault(key, before) != before:
                    self.say(f"internal: a transaction read {key} without its own appends, or changed", op)

    def check_lost(self):
        """An acknowledged append must be in every read that began after its end; the final read is one of them."""
        finals = {}
        for op, key, seen in self.reads:
            if op.final:
                finals.setdefault(key, []).append((op, set(seen)))
        for number, op in self.writer.items():
            if op.outcome != OK:
                continue
            for kind, key, appended in op.value:
                if kind != "append" or appended != number:
                    continue
                if key not in finals:
                    self.say(f"unknown: no final read of {key}, so nobody can say whether {number} is there", op)
                for final, seen in finals.get(key, []):
                    if number not in seen:
                        self.say(f"lost append: {number} was acknowledged and is not in {key}", op, final)

    # ------------------------------------------------------------------------------------------ with one
    def edges(self):
        """{transaction: {another that comes later: why}}; real time goes over helpers, one for each end."""
        place = {id(op): n for n, op in enumerate(self.ops)}
        edges = {n: {} for n in range(len(self.ops))}

        def add(a, b, kind):
            if a is not None and b is not None and a is not b:
                edges[place[id(a)]].setdefault(place[id(b)], set()).add(kind)

        after = {}
        for key, (seen, _) in self.order.items():
            writers = [self.writer.get(n) for n in seen]
            for a, b in zip(writers, writers[1:]):
                add(a, b, "ww")
            after[key] = dict(zip([None, *seen], writers))
        for op, key, seen in self.reads:
            # Only what others did before it counts, not its own appends.
            others = [n for n in seen if self.writer.get(n) is not op]
            if others:
                add(self.writer.get(others[-1]), op, "wr")
            last = seen[-1] if seen else None
            add(op, after[key].get(last), "rw")
        self.real_time(edges)
        return edges

    def real_time(self, edges):
        ends = sorted((op.complete, n) for n, op in enumerate(self.ops) if op.outcome == OK)
        begins = sorted((op.invoke, n) for n, op in enumerate(self.ops))
        helper, last, at = len(self.ops), None, 0
        for begin, n in begins:
            while at < len(ends) and ends[at][0] < begin:
                edges[helper] = {}
                edges[ends[at][1]].setdefault(helper, set()).add("rt")
                if last is not None:
                    edges[last].setdefault(helper, set()).add("rt")
                last, helper, at = helper, helper + 1, at + 1
            if last is not None:
                edges[last].setdefault(n, set()).add("rt")

    def check_cycles(self):
        edges = self.edges()
        for component in components(edges):
            cycle, kinds = cycle_in(component, edges)
            found = [self.ops[n] for n in cycle if n < len(self.ops)]
            self.say(f"{anomaly(kinds)}: a cycle over {', '.join(shown(kinds))}", *found)

    def check(self):
        self.check_reads()
        self.check_own()
        self.check_lost()
        if not any("nobody appended" in v.what or "duplicate" in v.what for v in self.wrong):
            self.check_cycles()
        return self.wrong


def shown(kinds):
    """Each kind once, real time once for all its helpers."""
    return [kind for n, kind in enumerate(kinds) if n == 0 or kind != "rt" or kinds[n - 1] != "rt"]


def anomaly(kinds):
    apart = kinds.count("rw")
    name = "G0" if set(kinds) <= {"ww", "rt"} else "G1c" if not apart else "G-single" if apart == 1 else "G2"
    return name + ("-realtime" if "rt" in kinds else "")


def check(history):
    for account, ops in history.by_account("list").items():
        yield from Account(account, [op for op in ops if op.outcome != INFO or has_append(op)]).check()


def has_append(op):
    return any(kind == "append" for kind, *_ in op.value)
