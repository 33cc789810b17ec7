"""The table of a verdict, in Markdown: a row per run, as it is written to a file and shown while it grows."""

COLUMNS = "seed | faults | ok | refused | unknown | in flight at faults, least / mean"
COLUMNS += " | promotions | catch-ups | violations"
HEAD = f"| {COLUMNS} |\n|{' --- |' * len(COLUMNS.split(' | '))}"


def percent(share):
    return "–" if share is None else f"{share * 100:.0f} %"


def line(row):
    kinds = ", ".join(f"{what} × {n}" if n > 1 else what for what, n in sorted(row["kinds"].items())) or "none"
    flight = f"{percent(row.get('share_min'))} / {percent(row.get('share_mean'))}"
    cells = [row["seed"], f"{row.get('faults', 0)}: {kinds}", *(row.get(name, 0) for name in ("ok", "fail", "info"))]
    cells += [flight, row.get("promotions", 0), row.get("catch_ups", 0), row["violations"]]
    return f"| {' | '.join(map(str, cells))} |"


def total(rows):
    def summed(name):
        return sum(row.get(name, 0) for row in rows)

    count = max(1, len(rows))
    blocks = {fate: sum(row.get("blocks", {}).get(fate, 0) for row in rows) for fate in ("dropped", "kept", "torn")}
    least = min((row["share_min"] for row in rows if row.get("share_min") is not None), default=None)
    return (
        f"{len(rows)} runs, {summed('faults')} faults; {summed('ok')} operations acknowledged, "
        f"{summed('fail')} refused, {summed('info')} of unknown outcome; "
        f"least share of writers with a write in flight at a fault {percent(least)}; "
        f"{summed('promotions') / count:.1f} promotions and {summed('catch_ups') / count:.1f} catch-ups a run; "
        f"of blocks that no sync had reached, power cuts dropped {blocks['dropped']}, tore {blocks['torn']} and kept "
        f"{blocks['kept']}; {summed('respawned')} nodes ended by themselves; {summed('violations')} violations"
    )


def whole(rows, options):
    apart = f"{options.far_ms * 2:.0f} ms apart"
    shape = f"{options.nodes} nodes in {options.regions}, {apart}, {options.seconds:.0f} s a run"
    return "\n".join([f"{shape}.", "", HEAD, *map(line, rows), "", total(rows), ""])
