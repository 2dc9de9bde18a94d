#!/usr/bin/env python3
"""Prints the table of docs/performance.md from a run, with every sample or as it is committed: bench/table.py FILE.json"""

import sys

sys.dont_write_bytecode = True
import recorded


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if value < 0.1 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def middle(spread):
    return f"{number(spread['low'])} to {number(spread['high'])}" if spread else "-"


print("| figure | ours | middle 80 % of the samples | unit | peer | peer's median | ratio | goal | verdict |")
print("|---|---|---|---|---|---|---|---|---|")
for row in recorded.read(sys.argv[1])[1]:
    peer = number(row["peer_median"])
    if row["cited_from"] and row["peer_median"] is not None:
        peer += " cited"
    goal = row["goal"].replace("<=", "≤").replace(">=", "≥")
    cells = [row["name"], number(row["ours"]), middle(row["spread"]), row["unit"], row["peer"] or "-", peer]
    print("| " + " | ".join([*cells, number(row["ratio"]), goal, row["verdict"]]) + " |")
