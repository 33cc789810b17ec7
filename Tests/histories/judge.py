"""All checkers over one history, and what a table needs to know about it. `judge.py FILE…` exits 1 on any violation."""

import sys

import bank
import epochs
import history
import lists
import objects
import registers
import sets
from history import FAIL, INFO, OK, Violation

CHECKERS = (registers, lists, bank, sets, objects, epochs)
SHARE_MIN = 0.3


def judge(told):
    """Every violation. A checker that stumbles over a history has not proven it right."""
    found = []
    for checker in CHECKERS:
        try:
            found += checker.check(told)
        except Exception as error:  # noqa: BLE001 - whatever it is, the history is not proven
            found.append(Violation(checker.NAME, "-", f"unknown: the checker failed: {type(error).__name__}: {error}"))
    if not told.of("register") and not told.of("list") and not told.of("set"):
        found.append(Violation("history", "-", "unknown: there is nothing to judge"))
    return found


def is_write(op):
    return op.op in epochs.WRITES and (op.op != "txn" or epochs.is_write(op))


def in_flight(told):
    """For each fault that began: the share of writing clients that had a write open at that moment, and how many."""
    writers = {op.process for op in told.ops if is_write(op)}
    found = []
    for fault in told.faults:
        if fault.get("phase") != "begin" or not writers:
            continue
        open_ones = [
            op
            for op in told.ops
            if is_write(op) and op.invoke <= fault["at"] and (op.complete is None or op.complete >= fault["at"])
        ]
        found.append((fault, len({op.process for op in open_ones}) / len(writers), len(open_ones)))
    return found


def figures(told):
    """The numbers of a table's row."""
    flights = in_flight(told)
    return {
        "ok": sum(op.outcome == OK for op in told.ops),
        "fail": sum(op.outcome == FAIL for op in told.ops),
        "info": sum(op.outcome == INFO for op in told.ops),
        "faults": sum(fault.get("phase") == "begin" for fault in told.faults),
        "share_min": min((share for _, share, _ in flights), default=None),
        "share_mean": sum(share for _, share, _ in flights) / len(flights) if flights else None,
        "catch_ups": sum(fault.get("what") == "caught up" for fault in told.faults),
        "promotions": epochs.promotions(told),
    }


def main(paths):
    worst = 0
    for path in paths:
        told = history.read(path)
        found = judge(told)
        row = figures(told)
        for violation in found:
            print(violation)
        print(f"{path}: {row['ok']} ok, {row['fail']} fail, {row['info']} info, {len(found)} violations")
        worst = worst or bool(found)
    return int(worst)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
