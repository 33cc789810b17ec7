"""Positions and epochs: one primary per epoch, and positions that never go back.

Every acknowledgement carries (epoch, index) and the node that gave it. In one epoch only one node may acknowledge
writes of an account that were asked after the epoch's first acknowledgement: of those before, a former primary may
have begun some, and answers them with what the new epoch decided. Of two writes of which one ended before the other began, the second has a greater index and no
smaller epoch, since an acknowledged record is never dropped; a default read begun later shows no earlier position. A
reply that repeats what an Idempotency-Key had done before may carry the position of then and is left out.
"""

from history import OK, Violation

NAME = "epochs"
WRITES = {"write", "cas", "txn", "transfer", "add", "put"}
EVIDENCE_MAX = 5


def is_write(op):
    """Did it surely write a record of its own? A compare-and-set that found something else did not."""
    if op.op == "txn":
        return any(kind == "append" for kind, *_ in op.value)
    return op.op in WRITES and op.result is not False


def check_primaries(account, ops):
    """Several nodes in one epoch are one violation, with the first acknowledgements of each."""
    begun, first = {}, {}
    for op in ops:
        begun[op.position[0]] = min(op.complete, begun.get(op.position[0], op.complete))
    for op in ops:
        if op.node is not None and op.invoke > begun[op.position[0]]:
            first.setdefault(op.position[0], {}).setdefault(op.node, op)
    for epoch, nodes in sorted(first.items()):
        if len(nodes) > 1:
            what = f"epoch {epoch} was acknowledged by {', '.join(sorted(nodes))}"
            yield Violation(NAME, account, what, list(nodes.values()))


def check_order(account, ops):
    """A sweep over beginnings and ends: what had been acknowledged before an operation began, at its greatest."""
    ends = sorted(ops, key=lambda op: op.complete)
    at, found, seen, written, latest = 0, 0, None, None, None
    for op in sorted(ops, key=lambda op: op.invoke):
        while at < len(ends) and ends[at].complete < op.invoke:
            done, at = ends[at], at + 1
            seen = max(seen or done, done, key=lambda o: o.position[1])
            latest = max(latest or done, done, key=lambda o: o.position[0])
            if is_write(done):
                written = max(written or done, done, key=lambda o: o.position[1])
        if seen is None or found >= EVIDENCE_MAX:
            continue
        if op.position[1] < seen.position[1]:
            yield Violation(NAME, account, "its index is before that of one that had ended when it began", [seen, op])
        elif is_write(op) and written is not None and op.position[1] == written.position[1]:
            yield Violation(NAME, account, "a later write has the index of one that had ended", [written, op])
        elif op.position[0] < latest.position[0]:
            yield Violation(NAME, account, "its epoch is before that of one that had ended when it began", [latest, op])
        else:
            continue
        found += 1


def check(history):
    for account, ops in history.by_account().items():
        known = [op for op in ops if op.outcome == OK and op.position is not None and not op.final]
        own = [op for op in known if op.idempotency is None]
        yield from check_primaries(account, [op for op in own if is_write(op)])
        yield from check_order(account, [op for op in own if op.staleness is None and op.at_least is None])


def promotions(history):
    """How often an epoch was acknowledged by another node than the one before it, all accounts together."""
    count = 0
    for ops in history.by_account().values():
        leaders = {}
        for op in ops:
            if op.outcome == OK and op.position and op.node and op.idempotency is None and is_write(op):
                leaders.setdefault(op.position[0], op.node)
        nodes = [node for _, node in sorted(leaders.items())]
        count += sum(a != b for a, b in zip(nodes, nodes[1:]))
    return count
