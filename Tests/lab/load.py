"""The verdict's clients, one process for all regions: `load.py CONFIGURATION` with commands on standard input.

Writers and readers follow their own clocks and never wait for an answer (open loop); every request is sent once. What
was asked and what came of it goes to the history, a line when it is over. Commands are JSON objects, answered by one:

    prepare        makes the tables                volley    from now on every writer has writes in flight
    start          begins                          struck    what the volley was for is there
    stop           no more; ends when all is over  probe     has `node` caught up? a note in the history when it has
    primaries      who acknowledged last, by account
    final          reads everything from every node, until each has answered or `seconds` are over
"""

import asyncio
import collections
import itertools
import json
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import surface  # noqa: E402
import workloads  # noqa: E402
from asking import Asker, Lost, Unsent, trusting  # noqa: E402
from history import FAIL, INFO, OK  # noqa: E402

REQUEST_SECONDS = 5.0
REPEAT_SECONDS = (0, 0.005, 0.1, 1, 4)
WAVE_SECONDS, VOLLEY_SECONDS, VOLLEY_OPEN = 0.001, 1, 4
PROBE_PAUSE, FINAL_PAUSE = 0.3, 0.5
FINAL_STALENESS = 3600


class Load:
    def __init__(self, configuration):
        self.configuration = configuration
        self.seed, self.nodes = configuration["seed"], {n["name"]: n for n in configuration["nodes"]}
        self.file = os.open(configuration["history"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.accounts = [
            workloads.Account(a["name"], a["token"], a["access_key"], a["secret_key"])
            for a in configuration["accounts"]
        ]
        self.primary = {}
        tls = trusting(configuration["ca"])
        self.askers = {
            (client["region"], node["name"], port): Asker(client["namespace"], node["address"], node[port], tls)
            for client in configuration["clients"]
            for node in self.nodes.values()
            for port in ("api", "s3")
        }
        self.regions = [client["region"] for client in configuration["clients"]]
        self.running, self.tasks, self.writers = False, set(), []
        self.open, self.volleys = collections.Counter(), 0

    def spawn(self, work):
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.done)

    def done(self, task):
        """A broken client must end the run: what it would have seen is missing from the history."""
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            sys.excepthook(type(task.exception()), task.exception(), task.exception().__traceback__)
            os._exit(70)

    def write(self, line):
        os.write(self.file, line.encode() + b"\n")

    # ------------------------------------------------------------------------------------------------ one operation
    async def ask(self, account, op, asked, region, seconds=REQUEST_SECONDS):
        """Sends it, once, and fills in what came."""
        method = {"put": "PUT", "get": "GET"}.get(op.op)
        node = self.nodes[op.asked]
        asker = self.askers[region, op.asked, "s3" if method else "api"]
        if method:
            host = f"{node['address']}:{node['s3']}"
            request = surface.s3_request(
                method, account.name, op.key, host, account.access, account.secret, asked or b""
            )
        else:
            request = surface.sql_request(
                account.name, account.token, asked, op.at_least, op.staleness, op.idempotency
            )
            request[2]["host"] = node["address"]
        try:
            reply = await asker.ask(*request, seconds=seconds)
            answer = surface.s3_answer(reply, method) if method else surface.sql_answer(reply)
        except Unsent as error:
            answer = surface.Answer(FAIL, error=f"unsent: {error}")
        except Lost as error:
            answer = surface.Answer(INFO, error=str(error))
        op.complete = time.monotonic_ns()
        account.take(op, answer)
        if op.outcome == OK and op.op not in ("read", "get") and op.node:
            self.primary[account.name] = op.node

    async def once(self, account, op, asked, process, region):
        op.process, op.invoke = process, time.monotonic_ns()
        self.open[process] += 1
        await self.ask(account, op, asked, region)
        self.open[process] -= 1
        self.write(op.line())

    async def repeat(self, account, first, asked, process, region, dice):
        """The same request under the same Idempotency-Key through another node, though nobody knows if it is needed."""
        await asyncio.sleep(dice.choice(REPEAT_SECONDS))
        op = account.op("set", "add", value=first.value, idempotency=first.idempotency)
        op.asked = dice.choice([name for name in self.nodes if name != first.asked] or [first.asked])
        await self.once(account, op, asked, process, region)

    def issue(self, process, dice, region, writing, reached=False):
        """A new operation of any kind through any node; `reached`: that could be connected to a moment ago."""
        account = dice.choice(self.accounts)
        op, asked = account.write(dice) if writing else account.read(dice)
        names = [name for name in self.nodes if reached and not self.askers[region, name, "api"].unreached]
        op.asked = dice.choice(names or list(self.nodes))
        self.spawn(self.once(account, op, asked, process, region))
        if op.idempotency is not None:
            self.spawn(self.repeat(account, op, asked, process, region, dice))

    async def client(self, process, rate, writing):
        """Follows its own clock: what is late is sent at once, and nothing is left out."""
        dice = random.Random(f"{self.seed}/{process}")
        region = self.regions[process % len(self.regions)]
        if writing:
            self.writers.append((process, dice, region))
        at = time.monotonic()
        while self.running:
            at += dice.expovariate(rate)
            await asyncio.sleep(max(0, at - time.monotonic()))
            if self.running:
                self.issue(process, dice, region, writing)

    # ------------------------------------------------------------------------------------------------ commands
    async def prepare(self, said):
        until = time.monotonic() + said["seconds"]
        statements = [(sql,) for sql in workloads.SCHEMA]
        insert = "INSERT INTO balances (name, amount) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
        statements += [(insert, name, amount) for name, amount in workloads.START.items()]
        made = [self.made(account, statements, until) for account in self.accounts]
        return {"failed": [what for what in await asyncio.gather(*made) if what]}

    async def made(self, account, statements, until):
        """Through whichever node takes it, again and again: none of this is part of the history."""
        for sql, *values in statements:
            for n in itertools.count():
                op = account.op("setup", "setup", asked=list(self.nodes)[n % len(self.nodes)])
                op.invoke = time.monotonic_ns()
                await self.ask(Setup(account), op, surface.execute(sql, *values), self.regions[0])
                if op.outcome == OK:
                    break
                if time.monotonic() > until:
                    return f"{account.name}: {op.error}"
                await asyncio.sleep(0.1)
        return None

    async def primaries(self, _):
        return {"primaries": self.primary}

    async def start(self, _):
        self.running = True
        for n in range(self.configuration["writers"]):
            self.spawn(self.client(n, self.configuration["writes_per_second"] / self.configuration["writers"], True))
        for n in range(self.configuration["readers"]):
            rate = self.configuration["reads_per_second"] / self.configuration["readers"]
            self.spawn(self.client(self.configuration["writers"] + n, rate, False))
        return {}

    async def volley(self, _):
        """Writes of every writer that has few in flight, now and again and again until the fault is there."""
        self.volleys += 1
        self.wave()
        self.spawn(self.waves(time.monotonic() + VOLLEY_SECONDS))
        return {}

    async def struck(self, _):
        self.volleys -= 1
        return {}

    def wave(self):
        for process, dice, region in self.writers if self.running else ():
            if self.open[process] < VOLLEY_OPEN:
                self.issue(process, dice, region, True, reached=True)

    async def waves(self, until):
        while self.volleys > 0 and time.monotonic() < until:
            await asyncio.sleep(WAVE_SECONDS)
            self.wave()

    async def stop(self, _):
        self.running = False
        while self.tasks:
            await asyncio.wait(list(self.tasks), timeout=1)
        return {}

    async def probe(self, said):
        for account in self.accounts:
            self.spawn(self.caught_up(account, said["node"], said["seconds"]))
        return {}

    async def caught_up(self, account, node, seconds):
        """Until the node itself, as a standby, shows what had been acknowledged when the probe began."""
        newest, until = account.newest, time.monotonic() + seconds
        region = self.nodes[node]["region"]
        while newest is not None and self.running and time.monotonic() < until:
            op = account.op("set", "read", value={"low": max(0, account.next - workloads.LOW_BACK)})
            op.asked, op.at_least, op.staleness = node, newest, FINAL_STALENESS
            await self.once(account, op, surface.execute(workloads.NUMBERS, op.value["low"]), -1, region)
            if op.outcome == OK and op.node == node and self.primary.get(account.name) != node:
                note = {"type": "fault", "at": op.complete, "phase": "note", "what": "caught up", "target": node}
                self.write(json.dumps(note | {"account": account.name}))
                return
            await asyncio.sleep(PROBE_PAUSE)

    # ------------------------------------------------------------------------------------------------ at the end
    async def final(self, said):
        """Everything from every node; the names of what could not be read."""
        until = time.monotonic() + said["seconds"]
        jobs = [
            self.insist(account, node, make, until)
            for node in said["nodes"]
            for account in self.accounts
            for make in self.last_reads(account)
        ]
        failed = [what for what in await asyncio.gather(*jobs) if what]
        limit = asyncio.Semaphore(12)
        gets = [
            self.last_get(account, key, node, until, limit)
            for node in said["nodes"]
            for account in self.accounts
            for key in account.objects
        ]
        return {"failed": failed + [what for what in await asyncio.gather(*gets) if what]}

    def last_reads(self, account):
        """What makes each read, by name; `local` ones may be answered by the asked node's own replica."""
        local = {"staleness": FINAL_STALENESS, "at_least": account.newest}
        everything = surface.execute(workloads.NUMBERS, 0)
        yield lambda: (account.op("register", "all"), surface.execute("SELECT k, v FROM registers"))
        yield lambda: (account.op("list", "all"), surface.execute("SELECT list, n FROM lists ORDER BY at"))
        yield lambda: account.bank_read(final=True)
        yield lambda: (account.op("set", "read", value={"low": 0}, final=True), everything)
        if account.newest is not None:
            yield lambda: (account.op("set", "read", value={"low": 0}, final=True, **local), everything)
            yield lambda: account.bank_read(final=True, **local)

    async def insist(self, account, node, make, until):
        while True:
            op, asked = make()
            op.asked, op.invoke, op.process = node, time.monotonic_ns(), -2
            whole, op.op = op.op == "all", "read" if op.op == "all" else op.op
            taking = Whole(account, op.workload) if whole else account
            await self.ask(taking, op, asked, self.nodes[node]["region"], seconds=10)
            if op.outcome == OK:
                for each in taking.spread(op) if whole else [op]:
                    self.write(each.line())
                return None
            if self.configuration["single"] and (op.error or "").startswith("421"):
                return None
            if time.monotonic() > until:
                return f"{account.name} {op.workload} from {node}: {op.error}"
            await asyncio.sleep(FINAL_PAUSE)

    async def last_get(self, account, key, node, until, limit):
        def make():
            return account.op("object", "get", key=key, final=True), None

        async with limit:
            return await self.insist(account, node, make, until)

    # ------------------------------------------------------------------------------------------------ the process
    async def run(self):
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            said = json.loads(line)
            print(json.dumps(await getattr(self, said["do"])(said)), flush=True)
        os._exit(0)


class Setup:
    """An account whose answers are only looked at."""

    def __init__(self, account):
        self.name, self.token = account.name, account.token

    def take(self, op, answer):
        op.outcome, op.node, op.error = answer.outcome, answer.node, answer.error


class Whole:
    """A whole table in one read, as the reads of each of its keys: the same moment for all."""

    def __init__(self, account, workload):
        self.account, self.workload = account, workload
        self.name, self.token, self.found = account.name, account.token, []

    def take(self, op, answer):
        op.outcome, op.node, op.position, op.error = answer.outcome, answer.node, answer.position, answer.error
        if answer.outcome == OK:
            self.found = surface.rows(answer.result)

    def keys(self, letter):
        for (kind, slot), used in sorted(self.account.uses.items()):
            if kind == letter:
                yield from (f"{letter}{slot}-{n}" for n in range(used // workloads.USES_MAX + 1))

    def spread(self, op):
        common = {name: getattr(op, name) for name in ("asked", "process", "invoke", "complete", "outcome", "node")}
        common |= {"position": op.position, "final": True}
        if self.workload == "register":
            values = dict(self.found)
            return [
                self.account.op("register", "read", key=key, result=values.get(key), **common)
                for key in sorted({*self.keys("r"), *values})
            ]
        lists = {key: [] for key in self.keys("l")}
        for key, number in self.found:
            lists.setdefault(key, []).append(number)
        steps = [["r", key, numbers] for key, numbers in sorted(lists.items())]
        return [self.account.op("list", "txn", value=[[k, key, None] for k, key, _ in steps], result=steps, **common)]


if __name__ == "__main__":
    asyncio.run(Load(json.loads(Path(sys.argv[1]).read_text())).run())
