"""Objects of one node under load, beside nginx: put and read over TLS 1.3 by the same clients (https_load.c).

Komora is asked with presigned URLs, one for each key and method, and syncs before it answers; nginx takes plain files
with DAV's PUT, sends them with sendfile, and syncs nothing. Every reply's status and length is checked by the clients;
once for each row and side what was put is read back and compared.
"""

import contextlib
import datetime
import functools
import hashlib
import hmac
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.parse
from dataclasses import dataclass

from bench_calls import recordings
from bench_cases import Case, Unable, cpu_seconds, run
from bench_nodes import Cluster
from client import Connection

ACCOUNT, REGION, EXPIRES_SECONDS = "nova", "us-east-1", 7 * 86400
KIB, MIB = 1 << 10, 1 << 20
PUT_RATIO = 0.8
WARMUP_SECONDS = 1
CALLS = 120
NGINX = """
worker_processes 2; worker_rlimit_nofile 4096; daemon off; {user}
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; client_max_body_size 0; client_body_buffer_size 1m; keepalive_requests 100000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl; root {folder}/www;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;
    location / {{ dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
"""


@dataclass(frozen=True)
class Size:
    name: str
    bytes: int
    keys: int
    connections: tuple
    get_ratio: float


SIZES = (
    Size("64 KiB", 64 * KIB, 128, (1, 8), 0.5),
    Size("1 MiB", MIB, 64, (1, 8), 0.5),
    Size("64 MiB", 64 * MIB, 8, (1, 4), 0.4),
)


def presigned(method, host, path, access_key, secret_key, when, expires=EXPIRES_SECONDS, region=REGION):
    """The target of a request that needs no other header than Host: Signature Version 4 in the query."""

    def quoted(text):
        return urllib.parse.quote(text, safe="-_.~")

    scope = f"{when[:8]}/{region}/s3/aws4_request"
    query = "&".join(
        f"{quoted(name)}={quoted(value)}"
        for name, value in (
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", f"{access_key}/{scope}"),
            ("X-Amz-Date", when),
            ("X-Amz-Expires", str(expires)),
            ("X-Amz-SignedHeaders", "host"),
        )
    )
    path = urllib.parse.quote(path, safe="/-_.~")
    request = "\n".join([method, path, query, f"host:{host}\n", "host", "UNSIGNED-PAYLOAD"])
    text = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{path}?{query}&X-Amz-Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"


class Objects:
    """One side: where its objects are, who serves them, and what has been put there."""

    def __init__(self, options, port, authority, pid, target):
        self.options, self.port, self.authority, self.pid, self.target = options, port, authority, pid, target
        self.filled, self.compared = set(), set()

    def ask(self, method, files, connections, seconds):
        """`files` are {key: file}; 0 seconds: each once."""
        before = cpu_seconds(self.pid)
        row = json.loads(
            run(
                *(self.options.https_load, "127.0.0.1", self.port, self.authority, method, connections, seconds),
                WARMUP_SECONDS,
                text="".join(f"{self.target(method, key)} {file}\n" for key, file in files.items()),
            )
        )
        row["server_cpu_us"] = (cpu_seconds(self.pid) - before) * 1e6 / row.pop("requests")
        row["client_cpu_us"] = row.pop("client_cpu_us_per_commit")
        return row

    def turn(self, method, title, files, connections):
        """`files` gives {key: file}; what is read, and what is put again, was put before."""
        if title not in self.filled:
            self.ask("PUT", files(), connections, 0)
            self.filled.add(title)
        row = self.ask(method, files(), connections, self.options.seconds)
        if (method, title) not in self.compared:
            self.compare(files())
            self.compared.add((method, title))
        return row

    def compare(self, files):
        """Reads the first key of each file with another client, and compares it."""
        connection = Connection(f"https://localhost:{self.port}", self.authority)
        for file, key in {file: key for key, file in reversed(files.items())}.items():
            status, _, body = connection.send("GET", self.target("GET", key), None, {})
            if status != 200 or hashlib.sha256(body).digest() != hashlib.sha256(file.read_bytes()).digest():
                raise SystemExit(f"bench: {key} is not what was put there: status {status}, {len(body)} bytes")


def node_objects(options, nodes):
    """The account's bucket of the one node, ready."""
    nodes.komora("account", "create", ACCOUNT)
    key = json.loads(nodes.komora("key", "create", "--account", ACCOUNT, "--json"))
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    port = nodes.port + 1
    return Objects(
        options,
        port,
        nodes.data / "ca/ca.pem",
        nodes.process.pid,
        lambda method, name: presigned(
            method, f"localhost:{port}", f"/{ACCOUNT}/{name}", key["access_key"], key["secret_key"], when
        ),
    )


@contextlib.contextmanager
def nginx(options, folder, port):
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise Unable("nginx is missing: install the package nginx-light")
    (folder / "www").mkdir(parents=True)
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
    )
    (folder / "nginx.conf").write_text(
        NGINX.format(folder=folder, port=port, user="user root;" if os.geteuid() == 0 else "")
    )
    with open(folder / "said", "wb") as log:
        server = subprocess.Popen(
            [program, "-e", folder / "error.log", "-c", folder / "nginx.conf"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        began = time.monotonic()
        while not (folder / "nginx.pid").exists():
            if server.poll() is not None or time.monotonic() - began > 10:
                raise Unable(f"nginx does not start: {(folder / 'error.log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield Objects(options, port, folder / "cert.pem", server.pid, lambda _, name: f"/{urllib.parse.quote(name)}")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------------ what is put and read
def incompressible(folder, size):
    """As many keys as the size has, of one file: neither side looks for equal bytes."""
    body = folder / f"body{size.bytes}"
    body.write_bytes(secrets.token_bytes(size.bytes))
    return {f"{size.bytes}/{number}": body for number in range(size.keys)}


def pair(title, files, connections, sides, ratios):
    """A row of puts and a row of gets."""
    for method, ratio in zip(("PUT", "GET"), ratios):
        yield Case(
            f"S3 {method} {title}: {connections} connection{'s' * (connections > 1)}",
            {
                name: lambda side=side, method=method: side.turn(method, title, files, connections)
                for name, side in sides.items()
            },
            ratio=ratio,
            what="requests",
        )


@contextlib.contextmanager
def objects(options, folder):
    with Cluster(options, folder / "komora", 1) as nodes, nginx(options, folder / "nginx", nodes.port + 80) as peer:
        sides = {"komora": node_objects(options, nodes), "nginx": peer}
        cases = []
        for size in SIZES:
            files = functools.cache(functools.partial(incompressible, folder, size))
            for connections in size.connections:
                cases += pair(size.name, files, connections, sides, (PUT_RATIO, size.get_ratio))
        calls = functools.cache(functools.partial(recordings, folder / "calls", CALLS))
        for connections in (1, 8):
            cases += pair("WAV", calls, connections, sides, (None, None))
        yield cases
    # Gigabytes that nobody reads again.
    shutil.rmtree(folder)
