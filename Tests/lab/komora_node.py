"""Komora in the lab: its configuration, founding, joining and status, and nothing else.

Commands run in the namespace of the node that they speak to. Views come from one `komora cluster status --watch --json`
per node, which prints a line per look. etcd's members are units of their own: `Unit` starts one where the node has
written its configuration, as systemd's path unit does in production.
"""

import json
import os
import secrets
import string
import subprocess
import threading

from network import inside
from nodes import Failed, Nodes, Unit

API, S3, FABRIC = 7400, 7401, 7402
COMMAND_SECONDS_MAX = 60
WATCH_SECONDS = 0.2


class Watch:
    """The views of one life of one node, as its status command prints them."""

    def __init__(self, command, environment):
        self.changed = threading.Condition()
        self.count, self.view, self.control_members = 0, None, 0
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            try:
                status = json.loads(line)
                view = {node["name"]: node for node in status["nodes"]}
                self.control_members = len(status["control"]["endpoints"])
            except ValueError:
                # What it says instead of a picture while the node does not answer.
                view = None
            with self.changed:
                self.count, self.view = self.count + 1, view
                self.changed.notify_all()

    def next(self):
        """The first view that comes from here on, or None when none comes in time."""
        with self.changed:
            seen = self.count
            return self.view if self.changed.wait_for(lambda: self.count > seen, 2) else None

    def close(self):
        self.process.kill()
        self.process.wait()


class KomoraNodes(Nodes):
    look_seconds = 0

    def __init__(self, places, folder, binary):
        self.binary = binary
        super().__init__(places, folder)
        self.units, self.watches = [], {}
        for place in places:
            self.configure(place)

    def configure(self, place):
        home = self.home(place)
        seeds = ", ".join(f'"{p.address}:{FABRIC}"' for p in self.places[:3] if p != place)
        token = home / "admin.token"
        token.touch(mode=0o600)
        token.write_text(self.token(place) + "\n")
        (home / "komora.toml").write_text(
            f'[node]\nname = "{place.name}"\nregion = "{place.region}"\nzone = "{place.region}-a"\n'
            f'data = "{home}/data"\n\n'
            f'[listen]\napi = "{place.address}:{API}"\ns3 = "{place.address}:{S3}"\n'
            f'fabric = "{place.address}:{FABRIC}"\n\n'
            f'[cluster]\nname = "lab"\nseeds = [{seeds}]\n\n'
            f'[control]\nengine = "etcd"\nmanaged = true\n\n'
            f'[keys]\nprovider = "file"\nadmin_token_file = "{token}"\n'
        )
        etcd = home / "data/etcd/etcd.yaml"
        self.units.append(Unit(place, etcd, ["/usr/bin/etcd", "--config-file", etcd], home / "etcd.log"))

    def token(self, place):
        """Drawn once; every node of the lab takes the same."""
        if not hasattr(self, "drawn"):
            self.drawn = "kt_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(43))
        return self.drawn

    def command(self, place):
        return [self.binary, "node", "run", "--config", self.home(place) / "komora.toml"]

    def environment(self, place):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KOMORA_")}
        return kept | {"HOME": str(self.home(place)), "XDG_CONFIG_HOME": str(self.home(place) / ".config")}

    def must(self, place, *arguments):
        """Runs the command line tool beside a node, with --json."""
        result = subprocess.run(
            inside(place, self.binary, *arguments, "--json"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment(place),
            timeout=COMMAND_SECONDS_MAX,
        )
        if result.returncode:
            said, what = (result.stderr or result.stdout).strip(), " ".join(arguments[:2])
            raise Failed(f"komora {what} for {place.name} ended with {result.returncode}: {said[-1500:]}")
        return result.stdout

    def connection(self, place):
        """How the tool reaches a node: address, token, and the authority that founding or joining wrote."""
        home = self.home(place)
        url = f"https://{place.address}:{API}"
        return ["--url", url, "--token-file", home / "admin.token", "--ca", home / "keys/ca.pem"]

    def found(self, place):
        self.must(place, "cluster", "init", "--config", self.home(place) / "komora.toml")

    def join(self, place, first):
        token = self.home(place) / "join.token"
        self.must(
            first,
            *("cluster", "invite", "--name", place.name, "--region", place.region, "--out", token),
            *self.connection(first),
        )
        self.must(place, "cluster", "join", "--config", self.home(place) / "komora.toml", "--token-file", token)

    def start(self, name):
        """A new life is watched anew, so that nothing of the old one is taken for it."""
        place = self.by_name[name]
        if name in self.watches:
            self.watches.pop(name).close()
        command = [self.binary, "cluster", "status", "--watch", "--interval", WATCH_SECONDS, "--json"]
        self.watches[name] = Watch(inside(place, *command, *self.connection(place)), self.environment(place))
        return super().start(name)

    def ready(self, place):
        view = self.view(place)
        return view is not None and view.get(place.name, {}).get("health") == "alive"

    def view(self, place):
        return self.watches[place.name].next()

    def settled(self, place):
        """The control store grows one voting member at a time: 1 for fewer than 3 nodes, 3 for fewer than 5, else 5."""
        wanted = 1 if len(self.places) < 3 else 3 if len(self.places) < 5 else 5
        return self.watches[place.name].control_members == wanted

    def close(self):
        super().close()
        for closing in [*self.watches.values(), *self.units]:
            closing.close()
