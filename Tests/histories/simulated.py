"""A store that keeps its word, or breaks it in one named way, as a source of histories for the checkers' tests.

Every operation takes effect at one moment between its beginning and its end; some answers are lost, some of those take
effect much later, some operations are refused. With `anomaly` one rule is broken, many times in a history, so that a
checker that looks at all must see it.
"""

import copy
import random

from history import FAIL, INFO, OK, History, Op

MS = 1_000_000
REGISTERS, LISTS, BALANCES = 4, 4, 5
START = {f"b{n}": 100 for n in range(BALANCES)}
NODES = ("eu-1", "us-2", "ap-3")

ANOMALIES = {
    "stale read of a register": "registers",
    "lost write of a register": "registers",
    "compare-and-set without the comparison": "registers",
    "split brain": "epochs",
    "lost append": "lists",
    "reordered append": "lists",
    "append twice": "lists",
    "stale read of a list": "lists",
    "write skew": "lists",
    "refused append applied": "lists",
    "half a transfer": "bank",
    "transfer lost": "bank",
    "lost number": "sets",
    "number twice": "sets",
    "refused number applied": "sets",
    "older than the staleness bound": "sets",
    "position not reached": "sets",
    "other bytes": "objects",
    "object lost": "objects",
    "index twice": "epochs",
    "epoch goes back": "epochs",
}


class State:
    def __init__(self):
        self.registers, self.lists = {}, {f"l{n}": [] for n in range(LISTS)}
        self.balances, self.ledger, self.numbers, self.objects = dict(START), [], [], {}


class Store:
    def __init__(self, seed, anomaly=None):
        self.random, self.anomaly = random.Random(seed), anomaly
        self.state, self.past, self.epoch, self.index, self.next = State(), [], 1, 0, 0
        self.acknowledged = []

    def wrong(self, name, share=0.1):
        return self.anomaly == name and self.random.random() < share

    def number(self):
        self.next += 1
        return self.next

    # ------------------------------------------------------------------------------------------------ what is asked
    def ask(self, at, process):
        """A new operation, begun at `at`."""
        dice, kind = self.random, self.random.random()
        op = Op("", "", process=process, account="a", invoke=at, asked=dice.choice(NODES))
        if kind < 0.35:
            op.workload, op.key = "register", f"r{dice.randrange(REGISTERS)}"
            op.op = dice.choice(["read", "read", "write", "cas"])
            if op.op == "write":
                op.value = self.number()
            elif op.op == "cas":
                op.value = [self.state.registers.get(op.key), self.number()]
        elif kind < 0.6:
            op.workload, op.op = "list", "txn"
            op.value = [self.step() for _ in range(dice.randint(1, 3))]
        elif kind < 0.75:
            op.workload, op.op = "bank", dice.choice(["transfer", "read"])
            if op.op == "transfer":
                source, target = dice.sample(sorted(START), 2)
                op.value = {"id": self.number(), "from": source, "to": target, "amount": dice.randint(1, 30)}
        elif kind < 0.9:
            op.workload, op.op = "set", dice.choice(["add", "add", "read"])
            if op.op == "add":
                op.value = self.number()
            else:
                op.value = {"low": max(0, self.next - 120)}
                if dice.random() < 0.3:
                    op.staleness = 0.05
                elif self.acknowledged and dice.random() < 0.5:
                    op.at_least = dice.choice(self.acknowledged[-5:])
        else:
            op.workload, op.op = "object", dice.choice(["put", "get"])
            op.key = f"o{self.number()}" if op.op == "put" else dice.choice(sorted(self.state.objects) or ["o0"])
            op.value = f"sha-{op.key}" if op.op == "put" else None
        return op

    def step(self):
        key = f"l{self.random.randrange(LISTS)}"
        return ["append", key, self.number()] if self.random.random() < 0.5 else ["r", key, None]

    # ------------------------------------------------------------------------------------------------ what happens
    def apply(self, op):
        """Takes effect now; the result that an answer would carry."""
        before = self.index
        result = getattr(self, op.workload)(op)
        if self.index == before and op.op not in ("read", "get") and result is not False:
            self.index += 1
        if self.wrong("index twice", 0.2) and op.op in ("write", "add"):
            self.index -= 1
        return result

    def old(self, back=12):
        """The state of some while ago, for stale reads."""
        return self.past[-back] if len(self.past) >= back else State()

    def register(self, op):
        registers = self.state.registers
        if op.op == "read":
            state = self.old(40) if self.wrong("stale read of a register") else self.state
            return state.registers.get(op.key)
        if op.op == "write":
            if not self.wrong("lost write of a register", 0.3):
                registers[op.key] = op.value
            return None
        fits = registers.get(op.key) == op.value[0] or self.wrong("compare-and-set without the comparison", 0.9)
        if fits:
            registers[op.key] = op.value[1]
        return fits

    def list(self, op):
        state, done = self.state, []
        if self.wrong("stale read of a list"):
            state = copy.deepcopy(self.old(20))
        if self.wrong("write skew", 0.3):
            # Reads what was before the last transaction, and writes over what is.
            done = [[k, key, list(self.old(2).lists[key]) if k == "r" else v] for k, key, v in op.value]
            for kind, key, value in op.value:
                if kind == "append":
                    self.state.lists[key].append(value)
            return done
        for kind, key, value in op.value:
            if kind == "r":
                done.append(["r", key, list(state.lists[key])])
                continue
            done.append(["append", key, value])
            where = self.state.lists[key]
            if self.wrong("lost append"):
                continue
            where.append(value)
            if self.wrong("reordered append", 0.2) and len(where) > 1:
                where[-1], where[-2] = where[-2], where[-1]
            if self.wrong("append twice"):
                where.append(value)
        return done

    def bank(self, op):
        if op.op == "read":
            return {"balances": dict(self.state.balances), "ledger": list(self.state.ledger)}
        source, target, amount = op.value["from"], op.value["to"], op.value["amount"]
        if self.state.balances[source] < amount:
            return False
        if self.wrong("transfer lost"):
            return True
        self.state.balances[source] -= amount
        if not self.wrong("half a transfer"):
            self.state.balances[target] += amount
        self.state.ledger.append([op.value["id"], source, target, amount])
        return True

    def set(self, op):
        if op.op == "read":
            stale = (op.staleness and self.wrong("older than the staleness bound", 0.5)) or (
                op.at_least and self.wrong("position not reached", 0.5)
            )
            return [n for n in (self.old(120) if stale else self.state).numbers if n >= op.value["low"]]
        if not self.wrong("lost number"):
            self.state.numbers.append(op.value)
        if self.wrong("number twice"):
            self.state.numbers.append(op.value)
        return None

    def object(self, op):
        if op.op == "get":
            return self.state.objects.get(op.key)
        if not self.wrong("object lost", 0.3):
            self.state.objects[op.key] = "torn" if self.wrong("other bytes", 0.3) else op.value
        return None


def generate(seed, count=600, anomaly=None):
    """A history of `count` operations by eight clients that don't wait, and the final reads."""
    store = Store(seed, anomaly)
    dice = store.random
    history = History(run={"seed": seed, "bank": START})
    waiting, at = [], 0
    for n in range(count):
        at += int(dice.expovariate(1 / (2 * MS)))
        settle(store, waiting, at)
        if dice.random() < 0.01:
            store.epoch += 1
        op = store.ask(at, n % 8)
        point = at + int(dice.expovariate(1 / (5 * MS)))
        op.complete = point + int(dice.expovariate(1 / (3 * MS)))
        fate = dice.random()
        if fate < 0.06:
            op.outcome = INFO
            # Never, soon, or long after everybody has forgotten it.
            point += dice.choice([10**12, 0, dice.randrange(500 * MS)])
        elif fate < 0.12:
            op.outcome = FAIL
            refused = {"append": "refused append applied", "add": "refused number applied"}
            name = refused["append"] if op.op == "txn" else refused["add"]
            if op.op not in ("txn", "add") or anomaly != name:
                point = None
        else:
            op.outcome = OK
        history.ops.append(op)
        if point is not None:
            waiting.append((point, op))
    settle(store, waiting, at + 10**11)
    finish(store, history, at + 10**11)
    return history


def settle(store, waiting, now):
    """Everything whose moment has come, in order."""
    for point, op in sorted((w for w in waiting if w[0] <= now), key=lambda w: (w[0], w[1].invoke)):
        result = store.apply(op)
        store.past.append(copy.deepcopy(store.state))
        if op.outcome == OK:
            op.result, op.position = result, (store.epoch, store.index)
            op.node = NODES[store.epoch % 3]
            if store.wrong("split brain", 0.05):
                op.node = NODES[(store.epoch + 1) % 3]
            if store.wrong("epoch goes back") and store.epoch > 1:
                op.position = (store.epoch - 1, store.index)
            if op.op == "add":
                store.acknowledged.append(op.position)
    waiting[:] = [w for w in waiting if w[0] > now]


def finish(store, history, at):
    for node in NODES:
        final = [Op("register", "read", key=f"r{n}") for n in range(REGISTERS)]
        final += [Op("list", "txn", value=[["r", f"l{n}", None]]) for n in range(LISTS)]
        final += [Op("bank", "read"), Op("set", "read", value={"low": 0})]
        final += [Op("object", "get", key=op.key) for op in history.ops if op.op == "put"]
        for op in final:
            at += MS
            op.account, op.asked, op.final, op.outcome = "a", node, True, OK
            op.invoke, op.complete, op.process = at, at + MS // 2, 99
            kept, store.anomaly = store.anomaly, None
            op.result = store.apply(op)
            store.anomaly = kept
            history.ops.append(op)
