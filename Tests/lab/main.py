"""The lab: real processes in three regions, each in a network namespace of its own. See scripts/lab."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import selftest  # noqa: E402
from komora_node import KomoraNodes  # noqa: E402
from network import Network, Unable, places  # noqa: E402
from nodes import Failed  # noqa: E402
from scenario import Scenario  # noqa: E402
from stand_in import StandIns  # noqa: E402


def shown(seconds):
    return "-" if seconds is None else f"{seconds:8.2f}"


def table(row):
    """One line as it happens; for many restarts the times are the median and the longest."""
    verdict = "ok" if row["ok"] else "MISS: " + ", ".join(row["missing"])
    times = f"{shown(row['first_seconds']):>8} {shown(row['last_seconds']):>8}"
    print(f"{row['step']:<15} {row['what']:<52} {times}  {verdict}", flush=True)


def run_scenario(options):
    if not options.stand_in and shutil.which("etcd") is None:
        raise Unable("the command `etcd` is missing: install the package etcd-server")
    spots = places(options.regions.split(","), options.nodes)
    keep = options.folder and Path(options.folder)
    with tempfile.TemporaryDirectory(prefix="komora-lab-nodes-") as folder:
        folder = keep or Path(folder)
        with Network(spots, far_ms=options.far_ms) as network:
            nodes = StandIns(spots, folder) if options.stand_in else KomoraNodes(spots, folder, options.binary)
            if not options.json:
                print(f"{'step':<15} {'what':<52} {'first s':>8} {'last s':>8}")
            scenario = Scenario(network, nodes, options.restarts, (lambda row: None) if options.json else table)
            try:
                passed = scenario.run()
            finally:
                nodes.close()
            wire = network.total("sent", "delivered", "lost", "cut", "bytes")
    ok = sum(row["ok"] for row in scenario.rows)
    if options.json:
        print(json.dumps({
            "nodes": "stand-in" if options.stand_in else "komora", "round_trip_ms": options.far_ms * 2,
            "steps": scenario.rows, "false_beliefs": scenario.false_beliefs, "looks": scenario.looks, "wire": wire,
            "passed": passed,
        }))  # fmt: skip
    else:
        for belief in scenario.false_beliefs[:20]:
            print(f"false belief: {belief['watcher']} held {belief['subject']} {belief['as']} in {belief['step']}")
        print(
            f"{ok} steps passed, {len(scenario.rows) - ok} failed; {len(scenario.false_beliefs)} false beliefs in "
            f"{scenario.looks} views; {wire['sent']} packets sent, {wire['cut']} cut"
        )
    return 0 if passed else 1


def main():
    parser = argparse.ArgumentParser(prog="scripts/lab")
    parser.add_argument("--self-test", action="store_true", help="tests the wire alone")
    parser.add_argument("--stand-in", action="store_true", help="simple stand-ins instead of Komora: tests the lab")
    parser.add_argument("--binary", help="the komora to run")
    parser.add_argument("--regions", default="eu,us,ap")
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--far-ms", type=float, default=20, help="one way between regions")
    parser.add_argument("--restarts", type=int, default=100)
    parser.add_argument("--folder", help="keeps the nodes' files and logs here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    # A polite end cleans up like any other.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return selftest.main() if options.self_test else run_scenario(options)
    except Unable as error:
        print(f"lab: {error}", file=sys.stderr)
        return 3
    except Failed as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
