#!/usr/bin/env python3
"""Deaths and restarts of nodes as clients see them. See scripts/failover."""

import argparse
import http.client
import json
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
from client import Refused, encode  # noqa: E402
from dev_cluster import DevCluster, Failed  # noqa: E402
from etcd_peer import EtcdPeer  # noqa: E402
from live_load import LiveLoad  # noqa: E402

ACCOUNT = "failover"
WORST_SECONDS_MAX, SHARE_OF_ETCD_MAX, ALL_ACCOUNTS_SECONDS_MAX = 1.5, 0.6, 5.0
# 100 ms, and two changes of the control store on one disk with three members.
HAND_OVER_SECONDS_MAX = 0.12


class Balancer(threading.Thread):
    """Asks every node's /readyz four times a second, as a load balancer would, and tells a load who is away."""

    def __init__(self, cluster, load):
        super().__init__(daemon=True)
        self.cluster, self.load, self.over = cluster, load, threading.Event()
        self.context = ssl.create_default_context(cafile=cluster.ca)

    def run(self):
        while not self.over.wait(0.25):
            self.load.away = {node for node in self.cluster.names if not is_ready(self.cluster, node, self.context)}


def is_ready(cluster, node, context=None):
    port = int(cluster.url(node).rsplit(":", 1)[1])
    context = context or ssl.create_default_context(cafile=cluster.ca)
    connection = http.client.HTTPSConnection("localhost", port, timeout=2, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Run:
    def __init__(self, options):
        self.options, self.folder, self.faults = options, Path(options.out).resolve(), []
        shutil.rmtree(self.folder, ignore_errors=True)
        self.cluster = DevCluster(Path(options.binary).resolve(), self.folder, options=["--log-level", "info"])
        self.etcd = EtcdPeer(self.folder / "etcd") if options.etcd else None

    def run(self):
        self.cluster.start()
        self.cluster.wait("etcd has three members", 60, lambda: len(self.cluster.status()["control"]["endpoints"]) == 3)
        self.cluster.json("account", "create", ACCOUNT, "--survive", "region")
        self.key = self.cluster.key(ACCOUNT)
        if self.options.kills:
            self.kills(self.options.kills)
            self.two_of_three()
        if self.options.handovers:
            self.handovers(self.options.handovers)
        if self.options.restarts:
            self.restarts(self.options.restarts)
        if self.options.accounts:
            self.accounts(self.options.accounts)

    def fault(self, text):
        print(f"TOO BAD: {text}", flush=True)
        self.faults.append(text)

    def primary(self):
        return self.cluster.json("account", "show", ACCOUNT)["primary"]

    def settled(self):
        """Everybody is there and ready, and the account has its replicas."""
        self.cluster.wait("every node is ready", 60, lambda: all(is_ready(self.cluster, n) for n in self.cluster.names))
        self.cluster.wait("the account has a primary", 30, self.primary)

    def load(self, pause, table):
        load = LiveLoad(self.cluster, ACCOUNT, self.key, writers=4, recordings=False, pause=pause, table=table)
        return load.prepare(self.cluster.sql("node1", ACCOUNT, self.key))

    def check(self, load):
        rows = dict(self.cluster.sql("node1", ACCOUNT, self.key).query(f"select n, said from {load.table}"))
        lost = load.lost(rows, {})
        print(f"      {len(load.rows)} acknowledged, {len(lost)} of them lost", flush=True)
        if lost:
            self.fault(f"{len(lost)} acknowledged rows are lost, such as {lost[0]}")

    # ---------------------------------------------------------------------------------------- deaths
    def kills(self, count):
        print(f"kill -9 of the primary, {count} times", flush=True)
        load, outages, peers = self.load(0.01, "kills").start(), [], []
        try:
            for number in range(1, count + 1):
                self.settled()
                time.sleep(1.5)
                node, failed = self.primary(), load.failures.total()
                self.foretold(node)
                when = time.monotonic()
                self.cluster.kill(node)
                time.sleep(3)
                outage = self.outage(load.acknowledged, when)
                outages.append(outage)
                line = f"  {number:2}. {node}: {outage:.3f} s, {load.failures.total() - failed} requests not answered"
                if self.etcd:
                    peers.append(self.etcd.kill_leader())
                    line += f"; etcd's leader: {peers[-1]:.3f} s"
                print(line, flush=True)
                self.cluster.wait(f"{node} is started again", 30, lambda: self.cluster.pid(node))
            self.settled()
        finally:
            load.stop()
        median = statistics.median(outages)
        print(f"      outage of writes: median {median:.3f} s, worst {max(outages):.3f} s", flush=True)
        if max(outages) > WORST_SECONDS_MAX:
            self.fault(f"the worst outage is {max(outages):.3f} s, more than {WORST_SECONDS_MAX} s")
        if peers:
            peer = statistics.median(peers)
            print(f"      etcd's: median {peer:.3f} s, worst {max(peers):.3f} s; ours is {median / peer:.2f} of it")
            if median > SHARE_OF_ETCD_MAX * peer:
                self.fault(f"the median outage is {median / peer:.2f} of etcd's, more than {SHARE_OF_ETCD_MAX}")
        for what, number in load.failures.most_common(6):
            print(f"      not acknowledged: {number} x {what}", flush=True)
        self.check(load)

    def foretold(self, *nodes, goes_on=True):
        """What `komora cluster what-if` says of a loss that is about to happen."""
        words = [word for node in nodes for word in ("--lose", node)]
        said = json.loads(self.cluster.komora("cluster", "what-if", *words, "--json", may_fail=True)[1])
        if said["data_survives"] != goes_on or said["writes_go_on"] != goes_on:
            self.fault(f"what-if {' '.join(words)} says {said}")

    def two_of_three(self):
        """Without a write set nothing is acknowledged, as what-if says; with the nodes it is back, whole."""
        self.settled()
        load = self.load(0.01, "two").start()
        time.sleep(1)
        load.stop()
        first, second = self.cluster.names[:2]
        self.foretold(first, second, goes_on=False)
        self.cluster.kill(first)
        self.cluster.kill(second)
        sql = self.cluster.sql("node3", ACCOUNT, self.key, {"Komora-Deadline": "1s"})
        try:
            sql.run(("insert into two values (-1, 'x')",))
            self.fault("a write was acknowledged by one node of three")
        except Refused as refusal:
            print(f"  two of three nodes are dead; a write: {str(refusal)[:150]}", flush=True)
        for node in (first, second):
            self.cluster.wait(f"{node} is started again", 30, lambda: self.cluster.pid(node))
        self.settled()
        self.cluster.wait("it takes writes again", 30, lambda: self.wrote("two", -2))
        self.check(load)

    def wrote(self, table, number):
        try:
            self.cluster.sql("node3", ACCOUNT, self.key).run((f"insert or ignore into {table} values ({number}, 'x')",))
            return True
        except Refused:
            return False

    @staticmethod
    def outage(acknowledged, when):
        """From the last acknowledgement before it to the first of a request that was made after it."""
        last = max(end for _, end, _ in acknowledged if end <= when)
        return min(end for began, end, _ in acknowledged if began > when and end > when) - last

    # ---------------------------------------------------------------------------------------- hand-overs
    def handovers(self, rounds):
        print(f"the primary's node is drained, and undrained, {rounds} times", flush=True)
        load, gaps = self.load(0.002, "handovers").start(), []
        try:
            for _ in range(rounds):
                self.settled()
                node = self.primary()
                gaps.append(self.handed(load, node))
                self.cluster.komora("cluster", "undrain", node)
        finally:
            load.stop()
        median, worst = statistics.median(gaps), max(gaps)
        print(f"      gap of a hand-over: median {median * 1000:.0f} ms, worst {worst * 1000:.0f} ms", flush=True)
        if median > HAND_OVER_SECONDS_MAX:
            self.fault(f"the median gap is {median * 1000:.0f} ms, more than {HAND_OVER_SECONDS_MAX * 1000:.0f} ms")
        for what, number in load.failures.most_common(6):
            print(f"      failed: {number} x {what}", flush=True)
        if load.failures:
            self.fault(f"{load.failures.total()} requests failed during hand-overs")
        self.check(load)

    def handed(self, load, node):
        """The longest time without an acknowledgement while the account goes to another node."""
        time.sleep(1)
        when = time.monotonic()
        self.cluster.komora("cluster", "drain", node)
        self.cluster.wait("another node leads", 30, lambda: self.primary() not in (None, node))
        time.sleep(0.5)
        gap, at = load.gaps(when)[0]
        print(f"  from {node} to {self.primary()}: longest gap {gap * 1000:.0f} ms ({at - when:+.1f} s)", flush=True)
        return gap

    # ---------------------------------------------------------------------------------------- restarts
    def restarts(self, rounds):
        print(f"orderly restart of every node, {rounds} times", flush=True)
        load = self.load(0.002, "restarts")
        balancer = Balancer(self.cluster, load)
        load.start()
        balancer.start()
        try:
            for _ in range(rounds):
                for node in self.cluster.names:
                    self.settled()
                    time.sleep(1)
                    led, failed, when = self.primary() == node, load.failures.total(), time.monotonic()
                    pid = self.cluster.signal(node, signal.SIGTERM)
                    self.cluster.wait(f"{node} is started again", 60, lambda: self.cluster.pid(node) not in (None, pid))
                    self.settled()
                    gaps = load.gaps(when - 0.5)
                    handed = max(gap for gap, at in gaps if at < when + 2)
                    gap, at = gaps[0]
                    print(
                        f"  {node}{' (primary)' if led else ''}: {load.failures.total() - failed} requests failed; "
                        f"longest gap in the 2 s from SIGTERM {handed * 1000:.0f} ms, until it was back "
                        f"{gap * 1000:.0f} ms ({at - when:+.1f} s); back after {time.monotonic() - when:.1f} s",
                        flush=True,
                    )
        finally:
            load.stop()
            balancer.over.set()
        for what, number in load.failures.most_common(6):
            print(f"      failed: {number} x {what}", flush=True)
        if load.failures:
            self.fault(f"{load.failures.total()} requests failed during orderly restarts")
        self.check(load)

    # ---------------------------------------------------------------------------------------- many accounts
    def accounts(self, count):
        names = [f"acct-{n:05d}" for n in range(count)]
        homes = dict(zip(self.cluster.names, self.cluster.regions))
        began = time.monotonic()
        with Pool(self.cluster) as pool:
            pool.each(names, lambda c, n: c.post("/v1/accounts", {
                "name": names[n], "home": self.cluster.regions[n % len(homes)], "survive": "region"}), 201)
            made = time.monotonic() - began
            print(f"{count} accounts made in {made:.1f} s, {count / made:.0f} a second; {pool.repeated} asked again", flush=True)
            began = time.monotonic()
            pool.each(names, lambda c, n: c.sql(names[n], "create table t (n integer primary key)"), 200)
            print(f"a table in each in {time.monotonic() - began:.1f} s", flush=True)
            self.settled()
            time.sleep(3)
            dead = self.cluster.names[1]
            led = [name for i, name in enumerate(names) if self.cluster.names[i % len(homes)] == dead]
            pool.nodes = [n for n in self.cluster.names if n != dead]
            when = time.monotonic()
            self.cluster.kill(dead)
            pool.each(led, lambda c, n: c.sql(led[n], "insert into t values (1)"), 200)
            took = time.monotonic() - when
            print(f"the {len(led)} accounts that {dead} led take writes again {took:.2f} s after its death", flush=True)
            rest = [name for name in names if name not in set(led)]
            pool.each(rest, lambda c, n: c.sql(rest[n], "insert into t values (2)"), 200)
            print(f"all {count} have taken one {time.monotonic() - when:.2f} s after it", flush=True)
        if took > ALL_ACCOUNTS_SECONDS_MAX:
            self.fault(f"{took:.2f} s, more than {ALL_ACCOUNTS_SECONDS_MAX} s")


class Pool:
    """Threads that ask nodes, each over a connection of its own that stays."""

    def __init__(self, cluster, threads=32):
        self.cluster, self.nodes, self.threads, self.repeated = cluster, list(cluster.names), threads, 0
        self.local, self.token = threading.local(), cluster.token
        self.context = ssl.create_default_context(cafile=cluster.ca)

    def __enter__(self):
        self.executor = ThreadPoolExecutor(self.threads)
        return self

    def __exit__(self, *_):
        self.executor.shutdown(cancel_futures=True)

    def each(self, things, body, wanted):
        failures = [f for f in self.executor.map(lambda n: self.one(n, body, wanted), range(len(things))) if f]
        if failures:
            raise Failed(f"{len(failures)} of {len(things)} failed, such as {failures[0]}")

    def one(self, number, body, wanted):
        """What went wrong, in words. A 503 that says that nothing was applied is a wish to come again."""
        for _ in range(20):
            status, said = self.ask(self.nodes[number % len(self.nodes)], number, body)
            if status != 503 or b"again" not in said:
                break
            self.repeated += 1
            time.sleep(0.05)
        if status != wanted or b'"type":"error"' in said:
            return f"{status} {said[:300].decode(errors='replace')}"
        return None

    def ask(self, node, number, body):
        known = self.local.__dict__.setdefault("known", {})
        try:
            asker = known.get(node) or known.setdefault(node, Asker(self, node))
            return body(asker, number)
        except (OSError, http.client.HTTPException) as error:
            known.pop(node, None)
            return 0, f"{node}: {type(error).__name__}: {error}".encode()


class Asker:
    def __init__(self, pool, node):
        port = int(pool.cluster.url(node).rsplit(":", 1)[1])
        self.http = http.client.HTTPSConnection("localhost", port, timeout=60, context=pool.context)
        self.headers = {"Authorization": f"Bearer {pool.token}", "Content-Type": "application/json"}

    def post(self, path, body):
        self.http.request("POST", path, json.dumps(body), self.headers)
        reply = self.http.getresponse()
        return reply.status, reply.read()

    def sql(self, account, sql, *values):
        statement = {"sql": sql, "args": [encode(v) for v in values]}
        return self.post(
            f"/db/{account}/v3/pipeline", {"requests": [{"type": "execute", "stmt": statement}, {"type": "close"}]})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default=".build/release/komora")
    parser.add_argument("--out", default=".build/failover")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--etcd", action="store_true")
    parser.add_argument("--handovers", type=int, default=10)
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--accounts", type=int, default=0)
    run, problem = Run(parser.parse_args()), None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run.run()
    except (Failed, OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    finally:
        if run.etcd:
            run.etcd.stop()
        run.cluster.stop()
    print(f"nodes' words: {run.cluster.log}")
    if problem or run.faults:
        print(f"FAILOVER FAILED: {problem or '; '.join(run.faults)}")
        return 1
    print("FAILOVER PASSED")
    return 0


if __name__ == "__main__":
    sys.exit(main())
