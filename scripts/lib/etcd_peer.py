"""A plain etcd of three members with its defaults, written to by four clients: how long writes stop when its leader dies."""

import base64
import contextlib
import http.client
import json
import shutil
import signal
import socket
import subprocess
import threading
import time


class EtcdPeer:
    def __init__(self, folder, members=3):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.processes = folder, {}
        self.ports = free_pairs(members)
        for member in range(members):
            self.start(member)
        self.leader()

    def start(self, member):
        client, peer = self.ports[member]
        cluster = ",".join(f"m{i}=http://127.0.0.1:{p}" for i, (_, p) in enumerate(self.ports))
        with open(self.folder / f"m{member}.log", "ab") as log:
            self.processes[member] = subprocess.Popen(
                [
                    "etcd", "--name", f"m{member}", "--data-dir", self.folder / f"m{member}",
                    "--listen-client-urls", f"http://127.0.0.1:{client}",
                    "--advertise-client-urls", f"http://127.0.0.1:{client}",
                    "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                    "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                    "--initial-cluster", cluster, "--initial-cluster-state", "new", "--log-level", "error",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGKILL)
            process.wait()

    def leader(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for member, (port, _) in enumerate(self.ports):
                with contextlib.suppress(OSError, http.client.HTTPException, KeyError, ValueError):
                    said = self.post(http.client.HTTPConnection("127.0.0.1", port, timeout=1), "maintenance/status", {})
                    if said["leader"] == said["header"]["member_id"]:
                        return member
            time.sleep(0.1)
        raise OSError("etcd has no leader")

    @staticmethod
    def post(connection, path, body):
        connection.request("POST", f"/v3/{path}", json.dumps(body))
        reply = connection.getresponse()
        said = reply.read()
        if reply.status != 200:
            raise OSError(f"etcd says {reply.status}")
        return json.loads(said)

    def kill_leader(self):
        """Seconds from the last acknowledgement before the death to the first of a put that was made after it."""
        over, acknowledged = threading.Event(), []
        threads = [threading.Thread(target=self.write, args=(i, over, acknowledged)) for i in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        leader = self.leader()
        when = time.monotonic()
        self.processes[leader].send_signal(signal.SIGKILL)
        self.processes[leader].wait()
        end = when + 15
        while time.monotonic() < end and not any(began > when for began, _ in acknowledged):
            time.sleep(0.02)
        time.sleep(0.2)
        over.set()
        for thread in threads:
            thread.join()
        self.start(leader)
        last = max(end for _, end in acknowledged if end <= when)
        return min(end for began, end in acknowledged if began > when) - last

    def write(self, number, over, acknowledged):
        connection, value = None, base64.b64encode(b"v" * 100).decode()
        while not over.is_set():
            began = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(
                        "127.0.0.1", self.ports[number % len(self.ports)][0], timeout=0.3
                    )
                self.post(connection, "kv/put", {"key": base64.b64encode(b"k").decode(), "value": value})
                acknowledged.append((began, time.monotonic()))
                time.sleep(0.01)
            except (OSError, http.client.HTTPException, ValueError):
                connection, number = None, number + 1
                time.sleep(0.005)


def free_pairs(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(2 * count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    return list(zip(ports[::2], ports[1::2]))
