"""Six nodes in three regions: what happens to them, what all the others must believe then, and how long it takes.

Every view that is looked at, in every step, is also judged: a node that nothing was done to and that no cut separates
from the watcher may be suspected, but believing it dead or gone is a false belief, and one is enough to fail.
"""

import statistics
import threading
import time

# Seconds. Generous, since the lab shares its machine; the table has the times.
JOIN, DETECT, CONVERGE, START, SETTLE = 60, 20, 45, 60, 120


class Scenario:
    def __init__(self, network, nodes, restarts, out):
        self.network, self.nodes, self.restarts, self.out = network, nodes, restarts, out
        self.names = [p.name for p in network.places]
        self.rows, self.false_beliefs, self.looks = [], [], 0
        self.members, self.disturbed, self.cut_off = [], set(), set()
        self.lock = threading.Lock()

    # ------------------------------------------------------------------------------------------ looking
    def judge(self, watcher, view):
        """A belief that nothing justifies is kept with the step in which it was seen."""
        with self.lock:
            self.looks += 1
            for subject in self.members:
                believed = view.get(subject, {}).get("health")
                apart = (watcher in self.cut_off) != (subject in self.cut_off)
                excused = apart or {watcher, subject} & self.disturbed
                if believed in ("dead", "left") and not excused:
                    belief = {"step": self.step, "watcher": watcher, "subject": subject, "as": believed}
                    self.false_beliefs.append(belief)

    def wait(self, watchers, holds, limit):
        """Seconds until `holds(watcher, view)` for each watcher, by watcher; None for one that never came to it."""
        found, began = dict.fromkeys(watchers), time.monotonic()

        def watch(name):
            while time.monotonic() - began < limit:
                view = self.nodes.view(self.network.by_name[name])
                if view is not None:
                    self.judge(name, view)
                    if holds(name, view):
                        found[name] = time.monotonic() - began
                        return
                time.sleep(self.nodes.look_seconds)

        threads = [threading.Thread(target=watch, args=(name,)) for name in watchers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def row(self, what, times, limit):
        """One line of the table: the first and the last watcher."""
        missing = sorted(name for name, seconds in times.items() if seconds is None)
        came = [seconds for seconds in times.values() if seconds is not None]
        row = {
            "step": self.step,
            "what": what,
            "first_seconds": round(min(came), 3) if came else None,
            "last_seconds": round(max(came), 3) if came and not missing else None,
            "limit_seconds": limit,
            "missing": missing,
            "ok": not missing,
        }
        self.rows.append(row)
        self.out(row)

    def expect(self, what, watchers, beliefs, limit):
        """Until every watcher believes `beliefs`: {subject: health}."""

        def holds(_, view):
            return all(view.get(subject, {}).get("health") == health for subject, health in beliefs.items())

        self.row(what, self.wait(watchers, holds, limit), limit)

    def converge(self, what):
        """Until all views are right: every member alive, in its own latest incarnation. Then nobody is excused."""
        latest, limit = {}, CONVERGE

        def holds(watcher, view):
            own = view.get(watcher, {}).get("incarnation")
            if own is not None:
                latest[watcher] = own
            return all(
                view.get(name, {}).get("health") == "alive" and view[name].get("incarnation") == latest.get(name)
                for name in self.members
            )

        self.row(what, self.wait(self.members, holds, limit), limit)
        self.disturbed, self.cut_off = set(), set()

    def others(self, *names):
        return [name for name in self.members if name not in names]

    # ------------------------------------------------------------------------------------------ the steps
    def run(self):
        for step in (
            self.founding,
            self.joining,
            self.crash,
            self.leaving,
            self.pausing,
            self.partition,
            self.one_way,
            self.crash_of_three,
            self.many_restarts,
            self.at_rest,
        ):
            self.step = step.__name__.replace("_", " ")
            step()
        return all(row["ok"] for row in self.rows) and not self.false_beliefs

    def start(self, names, what):
        self.row(what, {name: self.nodes.start(name) for name in names}, START)

    def founding(self):
        first = self.names[0]
        self.nodes.found(self.network.by_name[first])
        self.start([first], "first node ready")
        self.members = [first]

    def joining(self):
        for name in self.names[1:]:
            began = time.monotonic()
            self.nodes.join(self.network.by_name[name], self.network.places[0])
            self.nodes.start(name)
            self.row(f"{name} invited, joined, ready", {name: time.monotonic() - began}, JOIN)
            self.members.append(name)
        self.converge("all see all six")
        self.row("all know a settled cluster", self.wait(self.members, self.settled, SETTLE), SETTLE)

    def settled(self, name, _):
        return self.nodes.settled(self.network.by_name[name])

    def crash(self):
        name = self.names[3]
        self.disturbed = {name}
        self.nodes.kill(name)
        self.expect(f"kill -9 of {name}: all others say dead", self.others(name), {name: "dead"}, DETECT)
        self.start([name], f"{name} ready again")
        self.converge("all say alive, in its new life")

    def leaving(self):
        name = self.names[5]
        self.disturbed = {name}
        stopping = threading.Thread(target=self.nodes.stop, args=(name,))
        stopping.start()
        self.expect(f"SIGTERM to {name}: all others say left", self.others(name), {name: "left"}, DETECT)
        stopping.join()
        self.start([name], f"{name} ready again")
        self.converge("all say alive again")

    def pausing(self):
        name = self.names[4]
        self.disturbed = {name}
        self.nodes.pause(name)
        self.expect(f"SIGSTOP of {name}: all others say dead", self.others(name), {name: "dead"}, DETECT)
        self.nodes.resume(name)
        self.converge("SIGCONT: all views right")

    def partition(self):
        region = self.network.places[0].region
        inside = sorted(self.network.region(region))
        outside = self.others(*inside)
        self.cut_off = set(inside)
        self.network.cut(inside)
        self.both_sides(region, inside, outside)
        self.network.heal()
        self.converge("healed: all views right")

    def both_sides(self, region, inside, outside):
        """Both sides are watched at the same time, and each has a line of its own."""

        def holds(watcher, view):
            far, near = (outside, inside) if watcher in inside else (inside, outside)
            return all(view.get(n, {}).get("health") == "dead" for n in far) and all(
                view.get(n, {}).get("health") == "alive" for n in near
            )

        found = self.wait(self.members, holds, DETECT)
        self.row(f"{region} cut off: inside, the others are dead", {n: found[n] for n in inside}, DETECT)
        self.row(f"{region} cut off: outside, it is dead", {n: found[n] for n in outside}, DETECT)

    def one_way(self):
        region = self.network.places[1].region
        inside = sorted(self.network.region(region))
        self.cut_off = set(inside)
        self.network.cut(inside, one_way=True)
        dead = dict.fromkeys(inside, "dead")
        self.expect(f"nothing comes from {region}: outside, it is dead", self.others(*inside), dead, DETECT)
        self.network.heal()
        self.converge("healed: all views right")

    def crash_of_three(self):
        names = [self.names[1], self.names[3], self.names[5]]
        self.disturbed = set(names)
        for name in names:
            self.nodes.kill(name)
        self.expect("kill -9 of three: the rest say dead", self.others(*names), dict.fromkeys(names, "dead"), DETECT)
        self.start(names, "all three ready again")
        self.converge("all views right")

    def many_restarts(self):
        """By kill -9 and by SIGTERM in turn. Each life must be known to all as alive in its own incarnation."""
        name = self.names[2]
        place = self.network.by_name[name]
        times, missing, last = [], 0, self.nodes.view(place)[name]["incarnation"]
        for n in range(self.restarts):
            self.disturbed = {name}
            (self.nodes.stop if n % 2 else self.nodes.kill)(name)
            began = time.monotonic()
            self.nodes.start(name)
            own = (self.nodes.view(place) or {}).get(name, {}).get("incarnation") or 0
            grown, last = own > last, max(own, last)

            def holds(_, view):
                about = view.get(name, {})
                return about.get("health") == "alive" and about.get("incarnation", 0) >= last

            found = self.wait(self.others(name), holds, CONVERGE)
            if grown and None not in found.values():
                times.append(time.monotonic() - began)
            else:
                missing += 1
        row = {
            "step": self.step,
            "what": f"{self.restarts} restarts of {name}, each known to all as alive",
            "first_seconds": round(statistics.median(times), 3) if times else None,
            "last_seconds": round(max(times), 3) if times else None,
            "limit_seconds": CONVERGE,
            "missing": [f"{missing} of {self.restarts}"] if missing else [],
            "ok": not missing,
        }
        self.rows.append(row)
        self.out(row)

    def at_rest(self):
        self.converge("all views equal and right")
        # For a while nothing is done: whatever false word is still on its way has time to arrive and to be judged.
        end = time.monotonic() + 5
        while time.monotonic() < end:
            self.wait(self.members, lambda *_: True, 5)
            time.sleep(0.2)
