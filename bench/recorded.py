#!/usr/bin/env python3
"""Runs of the scoreboard as they are committed: bench/recorded.py MACHINE FILE.json... >bench/results/NAME.json

Reads what `archipelago-bench --json FILE` wrote, several files if there were several filters, and prints the same rows with
five numbers in place of every sample: the tenth part from below, the quartile, the median, the quartile and the tenth part
from above. A whole run is a megabyte of samples; nobody reviews that. MACHINE names processor, system and compiler, as
docs/performance.md does, and no host."""

import json
import sys

SPREAD = ("low", "lower_quartile", "median", "upper_quartile", "high")


def spread(samples):
    """The five numbers of some samples, or nothing if there are none."""
    if not samples:
        return None
    ordered = sorted(samples)
    tenth, quarter, half = len(ordered) // 10, len(ordered) // 4, len(ordered) // 2
    median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    five = (ordered[tenth], ordered[quarter], median, ordered[-1 - quarter], ordered[-1 - tenth])
    return dict(zip(SPREAD, five))


def compact(row):
    """A row without its samples."""
    kept = {key: value for key, value in row.items() if key not in ("samples", "peer_samples")}
    if "spread" not in row:
        kept["spread"], kept["peer_spread"] = spread(row["samples"]), spread(row["peer_samples"])
    return kept


def rounded(value):
    """The same with six digits of each number, more than any timer has."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return value


def read(file):
    """The machine of a run, where it is named, and its rows, of either form."""
    with open(file, encoding="utf-8") as text:
        run = json.load(text)
    machine, rows = (run["machine"], run["rows"]) if isinstance(run, dict) else (None, run)
    return machine, [compact(row) for row in rows]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    rows = [rounded(row) for file in sys.argv[2:] for row in read(file)[1]]
    lines = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
    machine = json.dumps(sys.argv[1], ensure_ascii=False)
    print(f'{{\n  "machine": {machine},\n  "rows": [\n{lines}\n  ]\n}}')


if __name__ == "__main__":
    main()
