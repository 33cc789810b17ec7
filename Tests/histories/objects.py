"""Recordings over S3: each is put once under a key of its own; `value` and a get's `result` are SHA-256 of the bytes.

An acknowledged put is there, byte for byte, from its acknowledgement on; one that was refused never is; one of unknown
outcome is there whole or not at all. A get's `result` is None when the answer was that there is no such key.
"""

from history import FAIL, OK, Violation

NAME = "objects"


def check(history):
    for account, ops in history.by_account("object").items():
        puts = {op.key: op for op in ops if op.op == "put"}
        gets = [op for op in ops if op.op == "get" and op.outcome == OK]
        for get in gets:
            put = puts.get(get.key)
            if put is None:
                if get.result is not None:
                    yield Violation(NAME, account, f"{get.key} is there, and nobody put it", [get])
            elif get.result is None:
                if put.outcome == OK and put.complete < get.invoke:
                    yield Violation(NAME, account, f"lost: {get.key} was acknowledged and is not there", [put, get])
            elif put.outcome == FAIL:
                yield Violation(NAME, account, f"{get.key} was refused and is there", [put, get])
            elif get.result != put.value:
                yield Violation(NAME, account, f"{get.key} has other bytes than were put", [put, get])
            elif get.complete < put.invoke:
                yield Violation(NAME, account, f"{get.key} was read before it was sent", [put, get])
        looked = {get.key for get in gets if get.final}
        for key, put in puts.items():
            if key not in looked and put.outcome == OK:
                yield Violation(NAME, account, f"unknown: no final read of {key}", [put])
