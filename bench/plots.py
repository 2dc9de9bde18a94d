#!/usr/bin/env python3
"""Draws the plots of docs/performance.md from the committed results: bench/plots.py [--check]

Reads bench/results/heap.json (made by bench/recorded.py) and writes docs/plots/*.svg. With --check nothing is written: the
exit status says whether the files there are what would be."""

import pathlib
import sys

sys.dont_write_bytecode = True
import recorded
from svg import Bar, Panel, picture

HOME = pathlib.Path(__file__).resolve().parent
RESULTS = HOME / "results" / "heap.json"
PLOTS = HOME.parent / "docs" / "plots"
OURS, MIMALLOC, PYMALLOC, PEER = "ours", "mimalloc", "CPython's pymalloc (cited)", "peer"
COLOURS = {OURS: "#0072b2", MIMALLOC: "#e69f00", PYMALLOC: "#999999", PEER: "#e69f00"}
SIZES = (16, 64, 256, 512)
MIXED = ("mimalloc", "snmalloc", "system", "talc", "rlsf", "linked-list")


def bar(series, spread):
    return Bar(series, spread["median"], (spread["lower_quartile"], spread["upper_quartile"]))


def by_size(rows, kind):
    """Groups of one pattern, one for each size of a block."""
    for size in SIZES:
        row = rows[f"heap/{kind}-{size}"]
        bars = [bar(OURS, row["spread"]), bar(MIMALLOC, row["peer_spread"])]
        cited = rows.get(f"heap/{kind}-{size}-pymalloc")
        if cited:
            bars.append(Bar(PYMALLOC, cited["peer_median"]))
        yield str(size), bars


def sizes(rows, under):
    panels = [
        Panel("ns for each block", f"bytes of a block: {name}", list(by_size(rows, kind)))
        for kind, name in (("pair", "taken and given back"), ("batch", "10,000 taken, given back at random"))
    ]
    return picture("Blocks of one size", under, panels, COLOURS)


def mixed(rows, under):
    """Ours was measured anew beside each peer, in alternation with it."""
    rows = [rows[f"heap/mixed-{peer}"] for peer in MIXED]
    groups = [(row["peer"], [bar(OURS, row["spread"]), bar(PEER, row["peer_spread"])]) for row in rows]
    short = {"linked_list_allocator": "linked_list", ", unlocked": "*"}
    for long, name in short.items():
        groups = [(label.replace(long, name), bars) for label, bars in groups]
    # One peer is a hundred times slower; on its scale the others could not be told apart.
    tops = sorted(bar.top() for _, bars in groups for bar in bars)
    slow = tops[-1] > 3 * tops[-2]
    for one in (one for _, bars in groups for one in bars if slow and one.top() == tops[-1]):
        one.remark = " (cut)"
    axis = "the peer (* without a lock, for one region)"
    shown = Panel("ns for each request", axis, groups, tops[-2] if slow else None)
    return picture("The mixed trace: sizes and lifetimes of an interpreter's objects", under, [shown], COLOURS)


# What stands under each panel, by figure.
WHOLE = (
    ("teardown/whole", "end with 1,000,000 objects"),
    ("teardown/kernel", "the kernel's part, per 64 MiB"),
    ("idle/memory", "resident, idle interpreter"),
    ("heap/mixed-memory", "resident, mixed trace"),
)


def whole(rows, under):
    """Times and memory of whole interpreters, as far as they are among the results."""
    panels = []
    for name, what in WHOLE:
        row = rows.get(name)
        if row:
            bars = [bar(OURS, row["spread"])] + ([bar(PEER, row["peer_spread"])] if row["peer_spread"] else [])
            goal = row["goal"].split()
            absolute = float(goal[1]) if len(goal) == 2 and goal[0] == "<=" else None
            under_bars = f"dashed: goal {absolute:g}" if absolute else ""
            panels.append(Panel(row["unit"], what, [(under_bars, bars)], None, absolute))
    return picture("Whole interpreters: ends and resident memory", under, panels, COLOURS)


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    machine, rows = recorded.read(RESULTS)
    rows = {row["name"]: row for row in rows}
    under = f"medians; error bars are quartiles; less is better. {machine}"
    made = {"heap-sizes": sizes, "heap-mixed": mixed, "interpreters": whole}
    made = {f"{name}.svg": draw(rows, under) for name, draw in made.items()}
    if not sys.argv[1:]:
        PLOTS.mkdir(exist_ok=True)
        for name, drawn in made.items():
            (PLOTS / name).write_text(drawn, encoding="utf-8")
        return
    there = {file.name: file.read_text(encoding="utf-8") for file in PLOTS.glob("*.svg")}
    stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    if stale:
        sys.exit("not what the results say: " + ", ".join(f"docs/plots/{name}" for name in stale))


if __name__ == "__main__":
    main()
