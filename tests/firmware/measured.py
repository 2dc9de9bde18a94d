#!/usr/bin/env python3
"""Writes the figures of docs/porting/cortex-m.md from a run: bash tests/firmware/run.sh | python3 tests/firmware/measured.py"""
import pathlib
import re
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/porting/cortex-m.md"
BEGIN, END = "<!-- measured.py writes from here -->\n", "<!-- to here -->\n"
BOARDS = {
    "lm3s6965evb (M3)": "lm3s6965evb release plain",
    "mps2-an386 (M4F)": "mps2-an386 release plain",
    "microbit (M0, no CAS)": "microbit release no-cas",
}
FIGURES = {
    "bytes an interpreter takes, its first thread state included": r"(\d+) bytes an interpreter",
    "bytes of a further thread state": r"(\d+) a further thread state",
    "most an interpreter of the toy guest held, one program and its continuation": r"peak \d+ \+ (\d+) bytes",
    "interpreters at a time, toy guest started, in 24 KiB (microbit: 9 KiB)": r"room for (\d+) interpreters",
    "instructions: attach and detach": r"attach and detach (\d+)",
    "instructions: enter another interpreter under the same GIL and come back": r"enter and leave (\d+)",
    "instructions: safepoint with nothing to do, its loop and check included": r"safepoint (\d+)",
    "instructions: make an object and give it up": r"object (\d+)",
    "stack at most, in the whole test": r"stack: (\d+) bytes",
}
IMAGES = {
    "`floor`: start-up and exit": r"^== floor: text (\d+), data (\d+), bss (\d+)",
    "`size`: two interpreters in turn, handler, pending calls, toy guest; no text": r"^== size: text (\d+), data (\d+), bss (\d+)",
}


def found(pattern, text):
    match = re.search(pattern, text, re.M)
    if not match:
        sys.exit(f"measured.py: the run did not print {pattern!r}: it failed, or llvm-size is missing")
    return [f"{int(number):,}" for number in match.groups()]


def row(*cells):
    return "| " + " | ".join(cells) + " |\n"


run = ""
for line in sys.stdin:
    print(line, end="", flush=True)
    run += line
if not re.search(r"^firmware: \d+ passed, 0 failed$", run, re.M):
    sys.exit("measured.py: the run failed, so the page stays as it is")
parts = dict(part.split("\n", 1) for part in run.split("== ") if "\n" in part)
table = row("", *BOARDS) + "|---|" + "---|" * len(BOARDS) + "\n"
for name, pattern in FIGURES.items():
    table += row(name, *(found(pattern, parts[part])[0] for part in BOARDS.values()))
table += "\n" + row("image, thumbv7m", "text", "data", "bss") + "|---|---|---|---|\n"
for name, pattern in IMAGES.items():
    table += row(name, *found(pattern, run))
table += row("the test image", *found(r"image: text (\d+), data (\d+), bss (\d+)", parts["lm3s6965evb release plain"]))
before, rest = PAGE.read_text().split(BEGIN)
after = rest.split(END)[1]
PAGE.write_text(before + BEGIN + "\n" + table + "\n" + END + after)
