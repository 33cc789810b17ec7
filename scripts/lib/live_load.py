"""Writers that go through all nodes of a cluster and remember exactly what was acknowledged.

Each write is sent once, to the next node in turn. A node to which no connection can be made is passed by, as a load
balancer would; what fails otherwise is not sent again, and counted with what the reply said. So at the end every
acknowledged row and recording must be there, and what was not acknowledged may be there or not.
"""

import collections
import hashlib
import http.client
import json
import random
import socket
import ssl
import threading
import time

from client import S3, encode


class LiveLoad:
    def __init__(self, cluster, account, key, writers=5, recordings=True, pause=0.0, table="live"):
        self.cluster, self.account, self.key, self.table = cluster, account, key, table
        self.rows, self.recordings = {}, {}  # acknowledged: number -> text, key -> digest
        self.failures = collections.Counter()
        self.acknowledged = []  # (when it was asked, when it was acknowledged, by which node)
        self.lock, self.over, self.number = threading.Lock(), threading.Event(), 0
        self.pause = pause
        self.away = set()  # nodes that a load balancer has taken out
        self._context = ssl.create_default_context(cafile=cluster.ca)
        self._threads = [threading.Thread(target=self._write_rows, args=(i,)) for i in range(writers)]
        if recordings:
            self._threads.append(threading.Thread(target=self._write_recordings))

    def prepare(self, sql):
        sql.run((f"create table if not exists {self.table} (n integer primary key, said text not null)",))
        return self

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self.over.set()
        for thread in self._threads:
            thread.join()
        return self

    def _next(self):
        with self.lock:
            self.number += 1
            return self.number

    def _note(self, asked, node):
        with self.lock:
            self.acknowledged.append((asked, time.monotonic(), node))

    def _failed(self, said):
        with self.lock:
            self.failures[said] += 1

    # ---------------------------------------------------------------------------------------- rows
    def _connect(self, node):
        """A connection, or None where nobody listens."""
        port = int(self.cluster.url(node).rsplit(":", 1)[1])
        connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=self._context)
        try:
            connection.connect()
        except OSError:
            return None
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _write_rows(self, writer):
        connections, turn = {}, writer
        headers = {"Authorization": f"Bearer {self.key['token']}", "Content-Type": "application/json"}
        while not self.over.is_set():
            turn += 1
            node = self.cluster.names[turn % len(self.cluster.names)]
            if node in self.away:
                if gone := connections.pop(node, None):
                    gone.close()
                continue
            connection = connections.get(node) or self._connect(node)
            if connection is None:
                time.sleep(0.005)
                continue
            connections[node] = connection
            number = self._next()
            text = f"row {number} of writer {writer}"
            statement = {"sql": f"insert into {self.table} values (?, ?)", "args": [encode(number), encode(text)]}
            body = json.dumps({"requests": [{"type": "execute", "stmt": statement}, {"type": "close"}]})
            asked = time.monotonic()
            try:
                connection.request("POST", f"/db/{self.account}/v3/pipeline", body, headers)
                reply = connection.getresponse()
                answer = json.loads(reply.read())
                if connection.sock is None:  # the node asked for that: it is about to stop
                    connections.pop(node)
                if reply.status == 200 and answer["results"][0]["type"] == "ok":
                    with self.lock:
                        self.rows[number] = text
                    self._note(asked, reply.headers.get("Komora-Node"))
                else:
                    error = answer["results"][0]["error"] if reply.status == 200 else answer
                    self._failed(f"{reply.status} {error.get('code')}: {error.get('message')}")
            except (OSError, http.client.HTTPException) as error:
                connections.pop(node, connection).close()
                self._failed(f"the connection broke: {type(error).__name__}")
            if self.pause:
                time.sleep(self.pause)

    # ---------------------------------------------------------------------------------------- recordings
    def _write_recordings(self):
        draw, number = random.Random(self.account), 0
        while not self.over.is_set():
            number += 1
            node = self.cluster.names[number % len(self.cluster.names)]
            key, data = f"live/{number:05d}", draw.randbytes(draw.randrange(1, 60_000))
            s3 = S3(
                self.cluster.s3_url(node), self.cluster.ca, self.account, self.key["access_key"], self.key["secret_key"]
            )
            asked = time.monotonic()
            try:
                s3.put(key, data)
                with self.lock:
                    self.recordings[key] = hashlib.sha256(data).hexdigest()
                self._note(asked, None)
            except ConnectionRefusedError:
                pass
            except Exception as error:  # Refused, or whatever a connection dies of
                self._failed(f"PUT: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
            self.over.wait(0.05)

    # ---------------------------------------------------------------------------------------- afterwards
    def gaps(self, since=0.0):
        """Times without any acknowledgement, longest first: (seconds, when it began)."""
        times = sorted(t for _, t, _ in self.acknowledged if t >= since)
        return sorted(((b - a, a) for a, b in zip(times, times[1:])), reverse=True)

    def lost(self, rows, recordings):
        """What was acknowledged and is not there, or is otherwise."""
        return [f"row {n}" for n, text in self.rows.items() if rows.get(n) != text] + [
            f"recording {key}" for key, digest in self.recordings.items() if recordings.get(key) != digest
        ]
