"""The units below cluster/: hardened, known to systemd, etcd nobody's child; and what cluster/certificates makes."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
HARDENED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "ProtectProc": "invisible",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "LimitCORE": "0",
    "UMask": "0077",
    "Type": "notify",
    "User": "komora",
}


def settings(name):
    """Section to key to values, in order."""
    found, section = {}, None
    for line in (CLUSTER / "systemd" / name).read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            section.setdefault(key, []).append(value)
    return found


class Units(unittest.TestCase):
    def test_services_are_hardened(self):
        for name in ("komora.service", "komora-etcd.service"):
            service = settings(name)["Service"]
            for key, value in HARDENED.items():
                self.assertEqual(service.get(key), [value], f"{name}: {key}")
            self.assertEqual(service["SystemCallFilter"], ["@system-service", "~@privileged @resources"])

    def test_neither_service_ends_or_starts_the_other(self):
        for name, other in (("komora", "etcd"), ("komora-etcd", "komora.service")):
            unit = settings(f"{name}.service")["Unit"]
            for key in ("Requires", "Requisite", "BindsTo", "PartOf", "Wants", "Conflicts", "Upholds"):
                self.assertNotIn(other, " ".join(unit.get(key, [])))
        etcd, path = settings("komora-etcd.service"), settings("komora-etcd.path")
        config = path["Path"]["PathExists"][0]
        self.assertEqual(etcd["Unit"]["ConditionPathExists"], [config])
        self.assertEqual(etcd["Service"]["ExecStart"], [f"/usr/bin/etcd --config-file {config}"])
        self.assertEqual(etcd["Service"]["ReadWritePaths"], [str(Path(config).parent)])

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not here")
    def test_systemd_knows_every_key(self):
        with tempfile.TemporaryDirectory() as scratch:
            for unit in (CLUSTER / "systemd").glob("komora*.*"):
                if unit.suffix == ".sysusers":
                    continue
                # The programs need not be on the machine that tests.
                text = unit.read_text().replace("=/usr/bin/komora ", "=/bin/true ")
                text = text.replace("=/usr/bin/etcd ", "=/bin/true ")
                Path(scratch, unit.name).write_text(text)
            units = sorted(str(p) for p in Path(scratch).iterdir())
            said = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
            ours = [line for line in said.stderr.splitlines() if scratch in line or line.startswith("komora")]
            self.assertEqual((len(units), ours), (3, []))


class Certificates(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([str(CLUSTER / "certificates"), *arguments], capture_output=True, text=True)

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], capture_output=True, text=True)

    def test_api_and_etcd(self):
        with tempfile.TemporaryDirectory() as scratch:
            self.assertEqual(self.run_it("api", scratch, "127.0.0.1", "fd00::1", "node.example").returncode, 0)
            self.assertEqual(self.run_it("etcd", f"{scratch}/etcd", "10.0.0.1", "10.0.0.2").returncode, 0)
            for ca, purpose, leaf in (
                ("api-ca", "sslserver", "api"),
                ("etcd/etcd-ca", "sslserver", "etcd/10.0.0.1"),
                ("etcd/etcd-ca", "sslclient", "etcd/10.0.0.1"),
                ("etcd/etcd-ca", "sslclient", "etcd/control"),
                ("etcd/etcd-peer-ca", "sslclient", "etcd/10.0.0.2-peer"),
            ):
                said = self.openssl(
                    "verify", "-CAfile", f"{scratch}/{ca}.crt", "-purpose", purpose, f"{scratch}/{leaf}.crt"
                )
                self.assertEqual(said.returncode, 0, f"{leaf}: {said.stderr}")
            crossed = self.openssl(
                "verify", "-CAfile", f"{scratch}/etcd/etcd-ca.crt", f"{scratch}/etcd/10.0.0.1-peer.crt"
            )
            self.assertNotEqual(crossed.returncode, 0)
            names = self.openssl("x509", "-in", f"{scratch}/api.crt", "-noout", "-ext", "subjectAltName").stdout
            for name in ("IP Address:127.0.0.1", "IP Address:FD00:0:0:0:0:0:0:1", "DNS:node.example"):
                self.assertIn(name, names)
            for file in Path(scratch).rglob("*.key"):
                self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            before = {f: f.read_bytes() for f in Path(scratch).rglob("*") if f.is_file()}
            self.run_it("api", scratch, "127.0.0.1")
            self.run_it("etcd", f"{scratch}/etcd", "10.0.0.1", "10.0.0.2")
            self.assertEqual(before, {f: f.read_bytes() for f in Path(scratch).rglob("*") if f.is_file()})

    def test_token(self):
        with tempfile.TemporaryDirectory() as scratch:
            self.assertEqual(self.run_it("token", f"{scratch}/t").returncode, 0)
            token = Path(scratch, "t").read_text()
            self.assertRegex(token, r"\Akt_[A-Za-z0-9]{43}\n\Z")
            self.run_it("token", f"{scratch}/t")
            self.assertEqual(Path(scratch, "t").read_text(), token)
            self.assertEqual(self.run_it("nonsense").returncode, 2)


if __name__ == "__main__":
    unittest.main()
