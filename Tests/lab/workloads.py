"""What the verdict's clients do to one account: registers, lists, a bank, a set, objects (Tests/histories/README.md).

Each workload makes an operation (an `Op` of the history with the request that it stands for) and reads its answer into
the op's result. Choices come from the generator that is handed in, so a seed gives the same ones again. Keys of
registers and lists are used for a while and then replaced: what is judged together stays small.
"""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "histories"))
import surface  # noqa: E402
from history import FAIL, INFO, OK, Op  # noqa: E402

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS registers (k TEXT PRIMARY KEY, v INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS lists (at INTEGER PRIMARY KEY AUTOINCREMENT, list TEXT NOT NULL, n INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS lists_by_list ON lists (list, at)",
    "CREATE TABLE IF NOT EXISTS balances (name TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount >= 0))",
    "CREATE TABLE IF NOT EXISTS ledger (id INTEGER NOT NULL, source TEXT, target TEXT, amount INTEGER)",
    "CREATE TABLE IF NOT EXISTS numbers (at INTEGER PRIMARY KEY, n INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS numbers_by_n ON numbers (n)",
)
START = {f"b{n}": 100 for n in range(6)}
BALANCES, LEDGER = "SELECT name, amount FROM balances", "SELECT id, source, target, amount FROM ledger"
NUMBERS = "SELECT n FROM numbers WHERE n >= ? ORDER BY at"
LIST = "SELECT n FROM lists WHERE list = ? ORDER BY at"
SLOTS, USES_MAX, LOW_BACK = 3, 70, 120
STALENESS = (1, 2, 5)


class Account:
    """One account's state of the load: which keys are in use, and what the clients have seen."""

    def __init__(self, name, token, access, secret):
        self.name, self.token, self.access, self.secret = name, token, access, secret
        self.uses, self.seen, self.next, self.acknowledged, self.objects = {}, {}, 0, [], []
        # The greatest position of any acknowledged write.
        self.newest = None

    def number(self):
        self.next += 1
        return self.next

    def key(self, letter, dice):
        slot = dice.randrange(SLOTS)
        used = self.uses[letter, slot] = self.uses.get((letter, slot), 0) + 1
        return f"{letter}{slot}-{used // USES_MAX}"

    def op(self, workload, name, **values):
        return Op(workload, name, account=self.name, **values)

    # ---------------------------------------------------------------------------------------------- making operations
    def write(self, dice):
        """One that writes, of any workload: (op, what is asked)."""
        kind = dice.random()
        if kind < 0.25:
            return self.register_write(dice)
        if kind < 0.5:
            return self.list_write(dice)
        if kind < 0.65:
            return self.transfer(dice)
        return self.add(dice) if kind < 0.92 else self.put(dice)

    def read(self, dice):
        kind = dice.random()
        if kind < 0.3:
            op = self.op("register", "read", key=self.key("r", dice))
            return op, surface.execute("SELECT v FROM registers WHERE k = ?", op.key)
        if kind < 0.5:
            keys = sorted({self.key("l", dice) for _ in range(dice.choice((1, 1, 2, 3)))})
            return self.list_read(keys)
        if kind < 0.6:
            return self.bank_read()
        if kind < 0.92 or not self.objects:
            return self.set_read(dice)
        key = dice.choice(self.objects[-200:])
        return self.op("object", "get", key=key), None

    def register_write(self, dice):
        key, new = self.key("r", dice), self.number()
        old = self.seen.get(key)
        if old is None or dice.random() < 0.5:
            sql = "INSERT INTO registers (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
            return self.op("register", "write", key=key, value=new), surface.execute(sql, key, new)
        sql = "UPDATE registers SET v = ? WHERE k = ? AND v = ?"
        return self.op("register", "cas", key=key, value=[old, new]), surface.execute(sql, new, key, old)

    def list_write(self, dice):
        """One to four steps, the first of which appends; alone it is a statement, else a transaction."""
        steps = [["append", self.key("l", dice), self.number()]]
        for _ in range(dice.choice((0, 0, 1, 2, 3))):
            key = self.key("l", dice)
            steps.append(["append", key, self.number()] if dice.random() < 0.5 else ["r", key, None])
        if len(steps) > 1 and dice.random() < 0.5:
            steps[0], steps[-1] = steps[-1], steps[0]
        asked = [
            surface.statement("INSERT INTO lists (list, n) VALUES (?, ?)", key, value)
            if kind == "append"
            else surface.statement(LIST, key)
            for kind, key, value in steps
        ]
        op = self.op("list", "txn", value=steps)
        return op, surface.transaction(*asked) if len(asked) > 1 else {"type": "execute", "stmt": asked[0]}

    def list_read(self, keys):
        op = self.op("list", "txn", value=[["r", key, None] for key in keys])
        asked = [surface.statement(LIST, key) for key in keys]
        return op, surface.transaction(*asked) if len(asked) > 1 else {"type": "execute", "stmt": asked[0]}

    def transfer(self, dice):
        source, target = dice.sample(sorted(START), 2)
        number, amount = self.number(), dice.randint(1, 40)
        op = self.op("bank", "transfer", value={"id": number, "from": source, "to": target, "amount": amount})
        return op, surface.transaction(
            surface.statement("UPDATE balances SET amount = amount - ? WHERE name = ?", amount, source),
            surface.statement("UPDATE balances SET amount = amount + ? WHERE name = ?", amount, target),
            surface.statement("INSERT INTO ledger VALUES (?, ?, ?, ?)", number, source, target, amount),
        )

    def bank_read(self, final=False, **asked):
        op = self.op("bank", "read", final=final, **asked)
        if final:
            return op, surface.transaction(surface.statement(BALANCES), surface.statement(LEDGER))
        return op, surface.execute(BALANCES)

    def add(self, dice):
        n = self.number()
        op = self.op("set", "add", value=n)
        if dice.random() < 0.3:
            op.idempotency = f"{self.name}-{n}"
        return op, surface.execute("INSERT INTO numbers (n) VALUES (?)", n)

    def set_read(self, dice):
        op = self.op("set", "read", value={"low": max(0, self.next - LOW_BACK)})
        kind = dice.random()
        if kind < 0.35:
            op.staleness = dice.choice(STALENESS)
        elif kind < 0.7 and self.acknowledged:
            op.at_least = dice.choice(self.acknowledged[-20:])
            # From whichever replica has it by now.
            op.staleness = dice.choice((None, 60))
        return op, surface.execute(NUMBERS, op.value["low"])

    def put(self, dice):
        op = self.op("object", "put", key=f"o{self.number()}")
        body = dice.randbytes(dice.choice((200, 3000, 20000)))
        op.value = hashlib.sha256(body).hexdigest()
        self.objects.append(op.key)
        return op, body

    # ---------------------------------------------------------------------------------------------- reading answers
    def take(self, op, answer):
        """The answer into the op. What cannot be read is unknown, and never a good answer."""
        op.outcome, op.node, op.position, op.error = answer.outcome, answer.node, answer.position, answer.error
        if answer.outcome != OK:
            # A debit below zero is an answer, not a failure: it certainly moved nothing.
            refused = answer.outcome == FAIL and (answer.error or "").startswith("SQLITE_CONSTRAINT")
            if op.op == "transfer" and refused:
                op.outcome, op.result = OK, False
            return
        try:
            op.result = self.result(op, answer.result)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            op.outcome, op.result, op.error = INFO, None, f"not understood: {error!r}"
            return
        if op.position is not None and op.op not in ("read", "get"):
            self.newest = max(self.newest or op.position, op.position)
            if op.op == "add":
                self.acknowledged.append(op.position)

    def result(self, op, said):
        if op.workload == "register":
            if op.op == "read":
                found = surface.rows(said)
                self.seen[op.key] = found[0][0] if found else None
                return self.seen[op.key]
            changed = said["affected_row_count"]
            if op.op == "cas":
                if changed == 0:
                    self.seen.pop(op.key, None)
                return changed == 1
            self.seen[op.key] = op.value
            return None
        if op.workload == "list":
            answers = [said] if len(op.value) == 1 else said[1:-2]
            return [
                step if step[0] == "append" else ["r", step[1], [row[0] for row in surface.rows(result)]]
                for step, result in zip(op.value, answers, strict=True)
            ]
        if op.op == "transfer":
            return True
        if op.workload == "bank":
            balances = said[1] if op.final else said
            return {"balances": dict(surface.rows(balances)), "ledger": surface.rows(said[2]) if op.final else []}
        if op.op == "add" or op.workload == "object":
            return said if op.op == "get" else None
        return [row[0] for row in surface.rows(said)]
