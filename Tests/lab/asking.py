"""HTTPS requests from inside the lab's namespaces, many at a time, each sent once and never again.

A connection carries one request at a time; one that is free is used again, else a new one is made, so no request waits
for another's answer (open loop). `Unsent` means that not a byte of the request left: it certainly was not applied.
Everything else that goes wrong after that is `Lost`: nobody knows. Sockets keep the namespace they were made in, so one
process speaks from all regions.
"""

import asyncio
import ctypes
import os
import socket
import ssl
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
CONNECTIONS_MAX = 600
CONNECT_SECONDS = 1.5
# A kept connection older than this is not used again: the server may be about to close it.
IDLE_SECONDS_MAX = 15
HEAD_BYTES_MAX = 1 << 16

libc = ctypes.CDLL(None, use_errno=True)


class Unsent(Exception):
    """Nothing of the request left this machine."""


class Lost(Exception):
    """The request was sent, at least in part, and no answer came."""


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")
    finally:
        os.close(fd)


def socket_in(namespace):
    """A TCP socket of that namespace; this thread is back in its own when it returns."""
    home = f"/proc/self/task/{libc.gettid()}/ns/net"
    back = os.open(home, os.O_RDONLY)
    try:
        enter(f"/run/netns/{namespace}")
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    finally:
        libc.setns(back, CLONE_NEWNET)
        os.close(back)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer, self.used = reader, writer, time.monotonic()

    @property
    def usable(self):
        young = time.monotonic() - self.used < IDLE_SECONDS_MAX
        return young and not self.reader.at_eof() and not self.writer.is_closing()

    def close(self):
        # Not a polite end: a peer that was cut off would keep it for minutes.
        self.writer.transport.abort()

    async def ask(self, data):
        self.writer.write(data)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        status = int(first.split(" ")[1])
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await self.chunks()
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        self.used = time.monotonic()
        return Reply(status, headers, body), headers.get("connection", "").lower() != "close"

    async def chunks(self):
        parts = []
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readuntil(b"\r\n")
        return b"".join(parts)


class Asker:
    """Requests from one namespace to one address."""

    def __init__(self, namespace, address, port, tls):
        self.namespace, self.address, self.port, self.tls = namespace, address, port, tls
        self.free, self.count, self.unreached = [], 0, False

    async def connected(self):
        while self.free:
            connection = self.free.pop()
            if connection.usable:
                return connection
            self.drop(connection)
        if self.count >= CONNECTIONS_MAX:
            raise Unsent(f"{CONNECTIONS_MAX} requests are open already")
        self.count += 1
        try:
            made = await self.reached()
            # From here on the socket is the transport's, and its own limit ends a handshake that hangs.
            streams = await asyncio.open_connection(
                sock=made,
                ssl=self.tls,
                server_hostname=self.address,
                limit=1 << 22,
                ssl_handshake_timeout=CONNECT_SECONDS,
                ssl_shutdown_timeout=0.1,
            )
            self.unreached = False
            return Connection(*streams)
        except (OSError, ssl.SSLError, TimeoutError) as error:
            self.count, self.unreached = self.count - 1, True
            raise Unsent(f"no connection: {type(error).__name__} {error}") from error

    async def reached(self):
        """A connected socket."""
        made = socket_in(self.namespace)
        try:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(made, (self.address, self.port))
            return made
        except BaseException:
            made.close()
            raise

    def drop(self, connection):
        connection.close()
        self.count -= 1

    async def ask(self, method, target, headers, body=b"", seconds=5.0):
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        data = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
        connection = await self.connected()
        kept = False
        try:
            async with asyncio.timeout(seconds):
                reply, kept = await connection.ask(data)
            return reply
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            kept = False
            raise Lost(f"no answer: {type(error).__name__} {error}") from error
        finally:
            if kept:
                self.free.append(connection)
            else:
                self.drop(connection)

    def close(self):
        while self.free:
            self.drop(self.free.pop())


def trusting(authority):
    """TLS that believes this certificate authority alone."""
    context = ssl.create_default_context(cafile=str(authority))
    context.set_alpn_protocols(["http/1.1"])
    return context


def answers(namespace, address, port, authority, target="/readyz", seconds=1.0):
    """Does it say 200 there right now? For whoever waits until a node is ready."""
    if not Path(authority).exists():
        return False
    made = socket_in(namespace)
    try:
        made.settimeout(seconds)
        made.connect((address, port))
        with trusting(authority).wrap_socket(made, server_hostname=address) as speaking:
            speaking.sendall(f"GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n".encode())
            return speaking.recv(64).split(b" ")[1:2] == [b"200"]
    except (OSError, ssl.SSLError):
        return False
    finally:
        made.close()
