"""What is done to a cluster, and when: drawn from a seed alone, so the same seed gives the same plan.

Whom a fault hits is a role (the primary of an account, another node, any), resolved when it begins. Some faults are
aimed: an operator's action is begun first, and the fault hits the middle of it.
"""

import random
from dataclasses import dataclass

# (kind, weight, shortest, longest) in seconds; lengths are drawn evenly on a logarithmic scale.
KINDS = (
    ("kill", 12, 0.2, 8),
    ("kill all", 2, 0.2, 3),
    ("stop", 8, 0.2, 60),
    ("stop host", 4, 0.2, 20),
    ("partition", 8, 0.4, 15),
    ("one way", 6, 0.4, 12),
    ("partial", 5, 0.4, 12),
    ("half open", 5, 0.5, 12),
    ("fabric cut", 5, 0.4, 10),
    ("flapping", 3, 2, 10),
    ("bad line", 3, 2, 10),
    ("power cut", 9, 0.2, 8),
    ("power cut all", 2, 0.2, 3),
    ("disk full", 4, 0.5, 8),
    ("disk fails", 5, 0.3, 6),
    ("disk hiccup", 4, 0.05, 1),
    ("disk slow", 4, 1, 10),
    ("clock jump", 5, 0.3, 10),
    ("clock drift", 2, 3, 15),
    ("etcd kill", 4, 0.5, 10),
    ("etcd kill all", 2, 0.5, 8),
    ("etcd cut", 4, 0.5, 12),
)
ROLES = (("primary", 60), ("standby", 25), ("any", 15))
AIMS = ((None, 60), ("hand-over", 16), ("catch-up", 14), ("snapshot", 10))
NEEDS_DISK = {"power cut", "power cut all", "disk full", "disk fails", "disk hiccup", "disk slow"}
NEEDS_CLOCK = {"clock jump", "clock drift"}
WARM_SECONDS, CALM_SECONDS = 3.0, 3.0


@dataclass(frozen=True)
class Planned:
    at: float
    kind: str
    seconds: float
    role: str
    account: int
    aim: str | None
    # Seconds from the volley of writes, and from the action, to the fault.
    after_volley: float
    after_action: float
    seed: int

    def __str__(self):
        aim = f", {self.after_action:.2f} s into a {self.aim}" if self.aim else ""
        return f"{self.at:6.2f} s {self.kind} of {self.role} of account {self.account} for {self.seconds:.2f} s{aim}"


def length(dice, shortest, longest):
    return shortest * (longest / shortest) ** dice.random()


def drawn(dice, choices):
    return dice.choices([what for what, _ in choices], [weight for _, weight in choices])[0]


def plan(seed, seconds, accounts, kinds=None, disks=True, clocks=True):
    """Faults in the order of their beginning. The first is always the loss of a primary."""
    dice = random.Random(f"plan/{seed}")
    fitting = [
        kind
        for kind in KINDS
        if (kinds is None or kind[0] in kinds)
        and (disks or kind[0] not in NEEDS_DISK)
        and (clocks or kind[0] not in NEEDS_CLOCK)
    ]
    if not fitting:
        raise ValueError(f"no such faults: {kinds}; there are {', '.join(kind[0] for kind in KINDS)}")
    found, at = [], WARM_SECONDS
    while at < seconds - CALM_SECONDS:
        kind, _, shortest, longest = dice.choices(fitting, [kind[1] for kind in fitting])[0]
        role, aim = drawn(dice, ROLES), drawn(dice, AIMS)
        if not found:
            role, aim = "primary", None
            if kinds is None:
                kind, shortest, longest = dice.choice(("kill", "partition", "stop")), 2, 5
        # Beyond the end nobody would see what comes of it.
        for_seconds = min(length(dice, shortest, longest), seconds - CALM_SECONDS / 2 - at)
        found.append(
            Planned(
                at, kind, for_seconds, role, dice.randrange(accounts), aim,
                dice.uniform(0.001, 0.015), length(dice, 0.005, 1.5), dice.randrange(1 << 32),
            )  # fmt: skip
        )
        # One in three comes before the last has ended.
        at += dice.uniform(0.3, 1.5) if dice.random() < 0.33 else min(for_seconds, 9) + dice.uniform(1, 4)
    return found
