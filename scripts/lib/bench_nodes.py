"""Komora's nodes under load, beside PostgreSQL of the same shape: three replicas over the fabric and over HTTPS, and
one node over HTTPS. The nodes are those of `komora dev`, each a process of its own on loopback."""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time

from bench_cases import Case, Unable, cpu_seconds, run
from bench_postgres import Postgres

TABLE = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, tenant INTEGER, v TEXT)"
INSERT = "INSERT INTO t (tenant, v) VALUES (1, ?)"
START_SECONDS_MAX, STOP_SECONDS_MAX = 60, 60
# clients, accounts, goals: ratio of commits, ratio of p99
FABRIC_ROWS = [(1, 1, 1.5, 0.6), (8, 1, 2.5, 0.6), (64, 1, 4.0, 0.6), (64, 64, 2.0, None)]
PUBLIC_ROWS = [(1, 1.0), (8, 1.3), (64, 1.3)]


def pipeline(sql, *arguments):
    statement = {"sql": sql, "args": [{"type": "text", "value": text} for text in arguments]}
    return json.dumps({"requests": [{"type": "execute", "stmt": statement}, {"type": "close"}]})


def free_ports(count):
    """The first of `count` tens of ports that nobody has; a node uses six from each ten on."""
    for first in range(17400, 32000, 100):
        try:
            for node in range(count):
                for port in range(first + node * 10, first + node * 10 + 6):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise Unable("no free ports on 127.0.0.1")


class Cluster:
    """`with Cluster(options, folder, 3) as nodes:`: that many nodes, ready, with their accounts in the first region."""

    def __init__(self, options, folder, count):
        self.options, self.folder, self.count = options, folder, count
        self.data, self.token = folder / "data", folder / "admin.token"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("KOMORA_")}
        self.environment |= {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        self.process = None

    def __enter__(self):
        if self.count > 1 and shutil.which("etcd") is None:
            raise Unable("the command `etcd` is missing: install the package etcd-server")
        self.folder.mkdir(parents=True)
        self.port = free_ports(self.count)
        try:
            self.start()
            profile = (self.folder / "config/komora/profile.toml").read_text()
            self.token.touch(mode=0o600)
            self.token.write_text(re.search(r'^token = "(.*)"', profile, re.M)[1] + "\n")
            if self.count > 1:
                self.komora("cluster", "client", "--out", self.folder / "client")
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        command = [self.options.komora, "dev", "--data", self.data, "--port", self.port, "--no-respawn"]
        if self.count > 1:
            command += ["--nodes", self.count, "--regions", "eu,us,ap"]
        with open(self.folder / "dev.log", "wb") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )
        self.wait()

    def restart(self):
        self.__exit__()
        self.start()

    def wait(self):
        began = time.monotonic()
        while "\nready\n" not in (self.folder / "dev.log").read_text():
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS_MAX:
                raise SystemExit(f"bench: the nodes are not ready: {(self.folder / 'dev.log').read_text()[-2000:]}")
            time.sleep(0.1)

    def __exit__(self, *_):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"bench: the nodes did not stop within {STOP_SECONDS_MAX} s") from None

    def komora(self, *arguments):
        return run(self.options.komora, *arguments, env=self.environment)

    def accounts(self, *names):
        for name in names:
            self.komora("account", "create", name, *(["--home", "eu"] if self.count > 1 else []))
            self.https(name, 1, 0.1, body=pipeline(TABLE), warmup=0)

    def cpu_seconds(self):
        """Of the nodes and their etcd, so far."""
        return cpu_seconds(self.process.pid)

    def idle_share(self):
        before, began = self.cpu_seconds(), time.monotonic()
        time.sleep(3)
        return (self.cpu_seconds() - before) / (time.monotonic() - began)

    # ------------------------------------------------------------------------------------------------ measuring
    def with_cost(self, measurement):
        """The row, and what the nodes and their etcd burnt for one commit, warm-up included."""
        before = self.cpu_seconds()
        row = measurement()
        share = self.options.seconds / (self.options.seconds + 1)
        row["nodes_cpu_us"] = (self.cpu_seconds() - before) * share * 1e6 / max(row["commits"], 1)
        return row

    def fabric(self, names, clients):
        return self.with_cost(
            lambda: json.loads(
                run(
                    *(self.options.bench, "--cluster", self.folder / "client", "--token-file", self.token),
                    *("--accounts", ",".join(names), "--clients", clients, "--seconds", self.options.seconds),
                )
            )
        )

    def https(self, name, clients, seconds, body, warmup=1):
        path, authority = f"/db/{name}/v2/pipeline", self.data / "ca/ca.pem"
        return json.loads(
            run(
                *(self.options.https_load, "127.0.0.1", self.port, authority, path, self.token),
                *(clients, seconds, warmup),
                text=body,
            )
        )

    def public(self, name, clients):
        body = pipeline(INSERT, secrets.token_bytes(512).hex())
        return self.with_cost(lambda: self.https(name, clients, self.options.seconds, body))


def public_cases(title, nodes, peer, peer_name, options):
    return [
        Case(
            f"{title}: {clients} clients",
            {
                "komora": lambda clients=clients: nodes.public("nova", clients),
                peer_name: lambda clients=clients: peer.commits(clients, options.seconds, tls=True),
            },
            ratio=ratio,
        )
        for clients, ratio in PUBLIC_ROWS
    ]


@contextlib.contextmanager
def three(options, folder):
    with Cluster(options, folder / "komora", 3) as nodes, Postgres(folder / "postgres", nodes.port + 80, 2) as peer:
        many = [f"nova-{i}" for i in range(64)]
        nodes.accounts("nova", *many)
        print(f"bench: three idle nodes and their etcd take {nodes.idle_share():.1%} of a core")
        cases = [
            Case(
                f"cluster: {clients} clients, {accounts} account{'s' * (accounts > 1)}",
                {
                    "komora": lambda names=(many if accounts > 1 else ["nova"]), clients=clients: nodes.fabric(
                        names, clients
                    ),
                    "PostgreSQL ANY 1": lambda clients=clients: peer.commits(clients, options.seconds, tls=False),
                },
                ratio=ratio,
                p99=p99,
            )
            for clients, accounts, ratio, p99 in FABRIC_ROWS
        ]
        yield cases + public_cases("public API, 3 replicas", nodes, peer, "PostgreSQL ANY 1", options)


@contextlib.contextmanager
def one(options, folder):
    with Cluster(options, folder / "komora", 1) as nodes, Postgres(folder / "postgres", nodes.port + 80, 0) as peer:
        nodes.accounts("nova")
        yield public_cases("public API, 1 node", nodes, peer, "PostgreSQL", options)
