"""Three regions 40 ms apart: one node in each, in the lab's namespaces, with its relay between them. The account's home
is the first region, and so are the clients; figures are round trips between the first region and the nearest other one,
as TCP connections measure them in the same run."""

import contextlib
import json
import shutil
import sys
from pathlib import Path

import bench_nodes
from bench_cases import Case, Unable, probe, run

LAB = Path(__file__).resolve().parent.parent.parent / "Tests/lab"
ONE_WAY_MS = 20
READY_SECONDS_MAX = 60
# clients, greatest median latency in round trips (of one client: with one sync of the disk taken off)
ROWS = [(1, 1.1), (64, 1.2)]
CONNECT = """
import socket, sys, time
took = []
for _ in range(15):
    began = time.perf_counter()
    socket.create_connection((sys.argv[1], int(sys.argv[2]))).close()
    took.append((time.perf_counter() - began) * 1e3)
print(sorted(took)[7])
"""


@contextlib.contextmanager
def cases(options, folder):
    if shutil.which("etcd") is None:
        raise Unable("the command `etcd` is missing: install the package etcd-server")
    sys.path.insert(0, str(LAB))
    import komora_node
    import network

    spots = network.places(["eu", "us", "ap"], 3)
    folder.mkdir(parents=True)
    try:
        with network.Network(spots, far_ms=ONE_WAY_MS, jitter_permille=0) as wire:
            nodes = komora_node.KomoraNodes(spots, folder, options.komora)
            try:
                yield list(rows(options, folder, spots, nodes, wire, network, komora_node))
            finally:
                nodes.close()
    except network.Unable as error:
        raise Unable(str(error)) from None


def rows(options, folder, spots, nodes, wire, network, komora_node):
    first = spots[0]
    nodes.found(first)
    nodes.start(first.name)
    for place in spots[1:]:
        nodes.join(place, first)
        nodes.start(place.name)
    if network.wait_until(lambda: nodes.settled(first), READY_SECONDS_MAX, every=0.5) is None:
        raise Unable(f"the cluster did not settle within {READY_SECONDS_MAX} s")
    connection = nodes.connection(first)
    nodes.must(first, "account", "create", "nova", "--home", first.region, *connection)
    nodes.must(first, "cluster", "client", "--out", folder / "client", *connection)
    home = nodes.home(first)
    run(
        *network.inside(first, options.https_load, first.address, komora_node.API, home / "keys/ca.pem"),
        *("/db/nova/v2/pipeline", home / "admin.token", 1, 0.1, 0),
        text=bench_nodes.pipeline(bench_nodes.TABLE),
    )

    def turn(clients):
        trip = min(
            float(run(*network.inside(first, sys.executable, "-c", CONNECT, place.address, komora_node.API)))
            for place in spots[1:]
        )
        sync = probe(folder) / 1e3
        said = run(
            *network.inside(first, options.bench, "--cluster", folder / "client", "--token-file", home / "admin.token"),
            *("--accounts", "nova", "--clients", clients, "--seconds", options.seconds),
        )
        row = json.loads(said)
        trips = (row["p50_ms"] - sync * (clients == 1)) / trip
        return row | {"round_trip_ms": trip, "sync_ms": sync, "round_trips": trips}

    for clients, most in ROWS:
        yield Case(
            f"40 ms between regions: {clients} clients",
            {"komora": lambda clients=clients: turn(clients)},
            most={"round_trips": most},
        )
