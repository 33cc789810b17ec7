"""Nodes under `komora dev` in a directory of their own: started, killed, stopped, asked.

A home of its own keeps the profile apart from the person's. Killing a node is `kill -9` of its process, whose number is
in `komora.pid`; `komora dev` starts it again by itself.
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time

from client import S3, SQL

START_SECONDS_MAX, STOP_SECONDS_MAX = 60, 45


class Failed(Exception):
    """It cannot go on, and why."""


class DevCluster:
    def __init__(self, binary, folder, regions=("eu", "us", "ap"), port=None, options=()):
        self.binary, self.folder, self.regions, self.process = binary, folder, list(regions), None
        self.data, self.home, self.log = folder / "data", folder / "home", folder / "nodes.log"
        self.home.mkdir(parents=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("KOMORA_")} | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
        }
        self.names = [f"node{i + 1}" for i in range(len(self.regions))]
        self.port, self.options = port or free_ports(len(self.names)), list(options)

    def start(self):
        with open(self.log, "ab") as log:
            mark = log.tell()
            self.process = subprocess.Popen(
                [self.binary, "dev", "--data", self.data, "--port", str(self.port), "--nodes", str(len(self.names)),
                 "--regions", ",".join(self.regions), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            said = self.log.read_bytes()[mark:].decode(errors="replace")
            if "ready" in said.splitlines():
                return
            if self.process.poll() is not None:
                raise Failed(f"komora dev ended with {self.process.returncode}: {said[-2000:]}")
            time.sleep(0.05)
        raise Failed(f"the nodes were not ready within {START_SECONDS_MAX} s: {said[-2000:]}")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise Failed(f"the nodes did not stop within {STOP_SECONDS_MAX} s and were killed") from None

    # ---------------------------------------------------------------------------------------- one node
    def pid(self, node):
        """The number of the node's process; None when it does not run."""
        try:
            return int((self.data / node / "komora.pid").read_text())
        except (OSError, ValueError):
            return None

    def signal(self, node, number):
        pid = self.pid(node)
        if pid is None:
            raise Failed(f"{node} does not run")
        os.kill(pid, number)
        return pid

    def kill(self, node):
        return self.signal(node, signal.SIGKILL)

    def url(self, node):
        return f"https://localhost:{self.port + 10 * self.names.index(node)}"

    def s3_url(self, node):
        return f"https://localhost:{self.port + 10 * self.names.index(node) + 1}"

    @property
    def ca(self):
        return self.data / "ca" / "ca.pem"

    @property
    def token(self):
        return (self.data / "node1" / "admin.token").read_text().strip()

    def status(self):
        return self.json("cluster", "status")

    def wait(self, what, seconds, test):
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(Failed, OSError, ValueError, KeyError):
                if (answer := test()) is not None and answer is not False:
                    return answer
            if time.monotonic() > end:
                raise Failed(f"{what}: not within {seconds} s")
            time.sleep(0.1)

    # ---------------------------------------------------------------------------------------- commands and clients
    def komora(self, *arguments, may_fail=False):
        """Runs the command line tool; gives its exit code and what it said."""
        result = subprocess.run(
            [self.binary, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment,
        )
        if result.returncode and not may_fail:
            raise Failed(
                f"komora {' '.join(map(str, arguments))} ended with {result.returncode}: "
                f"{(result.stderr or result.stdout).strip()[-2000:]}"
            )
        return result.returncode, result.stdout, result.stderr

    def json(self, *arguments):
        """The JSON document that the tool printed; of several lines (progress), the last."""
        said = self.komora(*arguments, "--json")[1].strip()
        try:
            return json.loads(said)
        except json.JSONDecodeError:
            return json.loads(said.splitlines()[-1])

    def key(self, account):
        return self.json("key", "create", "--account", account)

    def sql(self, node, account, key, headers=()):
        return SQL(self.url(node), self.ca, account, key["token"], headers)

    def s3(self, node, account, key):
        return S3(self.s3_url(node), self.ca, account, key["access_key"], key["secret_key"])


def free_ports(nodes):
    """A port with room for `nodes` of them, ten ports each."""
    for _ in range(200):
        base, held = random.randrange(20000, 31000, 10), contextlib.ExitStack()
        with held:
            try:
                for port in (base + 10 * node + i for node in range(nodes) for i in range(5)):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return base
            except OSError:
                continue
    raise Failed(f"no free ports for {nodes} nodes on 127.0.0.1")
