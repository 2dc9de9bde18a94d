#!/usr/bin/env python3
"""Prints the table of docs/performance.md from what the scoreboard wrote: bench/table.py FILE.json"""

import json
import sys


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if value < 0.1 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def middle(samples):
    ordered = sorted(samples)
    if not ordered:
        return "-"
    tenth = len(ordered) // 10
    return f"{number(ordered[tenth])} to {number(ordered[-1 - tenth])}"


print("| figure | ours | middle 80 % of the samples | unit | peer | peer's median | ratio | goal | verdict |")
print("|---|---|---|---|---|---|---|---|---|")
for row in json.load(open(sys.argv[1], encoding="utf-8")):
    peer = number(row["peer_median"])
    if row["cited_from"] and row["peer_median"] is not None:
        peer += " cited"
    goal = row["goal"].replace("<=", "≤").replace(">=", "≥")
    cells = [row["name"], number(row["ours"]), middle(row["samples"]), row["unit"], row["peer"] or "-", peer]
    print("| " + " | ".join([*cells, number(row["ratio"]), goal, row["verdict"]]) + " |")
