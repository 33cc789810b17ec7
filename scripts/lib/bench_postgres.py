"""PostgreSQL as a peer: a primary and, on request, two standbys of which one must have synced each commit (ANY 1).

Every server syncs; nothing is tuned that would cost durability. pgbench loads it over TCP, with TLS on request.
"""

import os
import pwd
import secrets
import shutil
import statistics
import subprocess
from pathlib import Path

from bench_cases import Unable, run

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
shared_buffers = 256MB
max_wal_size = 2GB
max_connections = 200
wal_level = replica
hot_standby = on
max_wal_senders = 10
ssl = on
"""
WARMUP_SECONDS = 1


def programs():
    """Where PostgreSQL's server programs are: the newest of Debian's folders, or that of the one in the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if found:
        return found[-1]
    server = shutil.which("postgres")
    if server is None:
        raise Unable("PostgreSQL is missing: install the packages postgresql and postgresql-contrib")
    return Path(server).resolve().parent


class Postgres:
    """`with Postgres(folder, port, standbys) as peer:` gives a running one; its servers use `port` and the next two."""

    def __init__(self, folder, port, standbys):
        self.folder, self.port, self.standbys, self.bin = folder, port, standbys, programs()
        # A server refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None

    def __enter__(self):
        self.folder.mkdir(parents=True)
        if self.user:
            try:
                pwd.getpwnam(self.user)
            except KeyError:
                raise Unable("PostgreSQL does not run as root, and there is no user postgres") from None
            shutil.chown(self.folder, self.user)
            if subprocess.run(["runuser", "-u", self.user, "--", "test", "-x", self.folder]).returncode:
                raise Unable(f"the user {self.user} cannot reach {self.folder}: choose another --directory")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def own(self, *command, **options):
        return run(*(["runuser", "-u", self.user, "--"] if self.user else []), *command, cwd=self.folder, **options)

    def start(self):
        first, any_one = self.folder / "p0", ", ".join(f"s{i + 1}" for i in range(self.standbys))
        self.own(self.bin / "initdb", "-D", first, "-U", "postgres", "-A", "trust", "-N")
        subject = ("-subj", "/CN=localhost", "-days", "2", "-nodes")
        self.own(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *subject),
            *("-keyout", first / "server.key", "-out", first / "server.crt"),
        )
        with open(first / "postgresql.conf", "a") as f:
            f.write(SETTINGS.format(folder=self.folder))
        self.serve(0)
        for i in range(1, self.standbys + 1):
            self.own(
                *(self.bin / "pg_basebackup", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres"),
                *("-D", self.folder / f"p{i}", "-R", "-X", "stream", "-c", "fast"),
            )
            path = self.folder / f"p{i}/postgresql.auto.conf"
            name = f"primary_conninfo = 'application_name=s{i} "
            path.write_text(path.read_text().replace("primary_conninfo = '", name))
            self.serve(i)
        self.sql("create table t (id bigserial primary key, tenant int, v text)")
        self.sql("alter system set synchronous_commit = on")
        if self.standbys:
            self.sql(f"alter system set synchronous_standby_names = 'ANY 1 ({any_one})'")
        self.sql("select pg_reload_conf()")
        (self.folder / "insert.sql").write_text(
            f"insert into t (tenant, v) values (1, '{secrets.token_bytes(512).hex()}');"
        )

    def serve(self, number):
        place = self.folder / f"p{number}"
        port = f"-p {self.port + number}"
        command = [self.bin / "pg_ctl", "-w", "-D", place, "-l", f"{place}.log", "-o", port, "start"]
        user = ["runuser", "-u", self.user, "--"] if self.user else []
        # Not through a pipe: the server would hold it open.
        nowhere = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        result = subprocess.run([*user, *command], cwd=self.folder, **nowhere)
        if result.returncode:
            raise Unable(f"PostgreSQL does not start: see {place}.log")

    def __exit__(self, *_):
        user = ["runuser", "-u", self.user, "--"] if self.user else []
        for number in range(self.standbys + 1):
            command = [self.bin / "pg_ctl", "-D", self.folder / f"p{number}", "-m", "immediate", "stop"]
            subprocess.run([*user, *command], cwd="/", capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text):
        return self.own(
            self.bin / "psql", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-qAt", "-c", text
        )

    def commits(self, clients, seconds, tls):
        """One measurement; the first second does not count."""
        for log in self.folder.glob("log.*"):
            log.unlink()
        mode = "require" if tls else "disable"
        self.own(
            *("env", f"PGSSLMODE={mode}", self.bin / "pgbench", "-n", "-h", "127.0.0.1", "-p", self.port),
            *("-U", "postgres", "-f", self.folder / "insert.sql", "-M", "prepared", "-c", clients, "-j", min(clients, 2)),
            *("-T", round(seconds + WARMUP_SECONDS), "-l", f"--log-prefix={self.folder}/log", "postgres"),
        )
        lines = [line.split() for log in self.folder.glob("log.*") for line in open(log)]
        done = [(int(line[4]) + int(line[5]) / 1e6, int(line[2]) / 1e3) for line in lines]
        start = min(at - took / 1e3 for at, took in done) + WARMUP_SECONDS
        took = sorted(took for at, took in done if at - took / 1e3 >= start)
        spent = max(at for at, _ in done) - start
        return {
            "commits_per_second": len(took) / spent,
            "p50_ms": statistics.median(took),
            "p99_ms": took[len(took) * 99 // 100],
            "commits": len(took),
        }
