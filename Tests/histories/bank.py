"""A bank: transfers between balances, each one transaction that also writes itself into a ledger.

Every read of all balances must show the same total and nothing negative, at whatever place it was served. At the end
the ledger is what counts: every acknowledged transfer is in it once, none that was refused, and start plus ledger gives
the balances exactly, so a transfer that was half applied shows even when the total is right by luck.
"""

from history import FAIL, OK, Violation

NAME = "bank"


def check_total(account, reads, start):
    total, names = sum(start.values()), set(start)
    for op in reads:
        balances = op.result["balances"]
        if set(balances) != names:
            yield Violation(NAME, account, f"balances of {sorted(set(balances) ^ names)} are missing or invented", [op])
        elif sum(balances.values()) != total:
            yield Violation(NAME, account, f"the total is {sum(balances.values())} and must be {total}", [op])
        negative = {name: amount for name, amount in balances.items() if amount < 0}
        if negative:
            yield Violation(NAME, account, f"negative balances: {negative}", [op])


def check_ledger(account, final, transfers, start):
    """`ledger` of a final read is [[id, from, to, amount], …]."""
    by_id = {op.value["id"]: op for op in transfers}
    listed, balances = {}, dict(start)
    for number, source, target, amount in final.result["ledger"]:
        if number in listed:
            yield Violation(NAME, account, f"duplicate: transfer {number} is twice in the ledger", [final])
        listed[number] = (source, target, amount)
        balances[source] = balances.get(source, 0) - amount
        balances[target] = balances.get(target, 0) + amount
        op = by_id.get(number)
        if op is None or (op.value["from"], op.value["to"], op.value["amount"]) != (source, target, amount):
            yield Violation(NAME, account, f"transfer {number} in the ledger is not what was asked", [op or final])
        elif op.outcome == FAIL or (op.outcome == OK and not op.result):
            yield Violation(NAME, account, f"transfer {number} was refused and is in the ledger", [op, final])
    for number, op in by_id.items():
        if op.outcome == OK and op.result and number not in listed:
            yield Violation(NAME, account, f"lost: transfer {number} was acknowledged and is not there", [op, final])
    if balances != final.result["balances"]:
        wrong = {n for n in balances if balances[n] != final.result["balances"].get(n)}
        yield Violation(NAME, account, f"start and ledger do not give the balances of {sorted(wrong)}", [final])


def check(history):
    for account, ops in history.by_account("bank").items():
        start = history.run["bank"]
        transfers = [op for op in ops if op.op == "transfer"]
        reads = [op for op in ops if op.op == "read" and op.outcome == OK]
        yield from check_total(account, reads, start)
        finals = [op for op in reads if op.final]
        if not finals:
            yield Violation(NAME, account, "unknown: no final read", [])
        for final in finals:
            yield from check_ledger(account, final, transfers, start)
