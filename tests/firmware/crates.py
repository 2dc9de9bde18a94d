#!/usr/bin/env python3
"""Prints a line for each crate that the image for a target links, its name and the folder of its source: crates.py TARGET

What runs in the compiler (macros, build scripts and what they need) is not in the image."""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

if len(sys.argv) != 2:
    sys.exit(__doc__)
asked = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", sys.argv[1]]
told = subprocess.run(asked, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
if told.returncode:
    sys.exit(told.stderr.decode())
graph = json.loads(told.stdout)


def library(package):
    """The target of a package that others link."""
    kinds = {"lib", "rlib"}
    return next((target for target in package["targets"] if kinds & set(target["kind"])), None)


packages = {package["id"]: package for package in graph["packages"]}
nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
linked, left = set(), [graph["resolve"]["root"]]
while left:
    name = left.pop()
    if name in linked or not library(packages[name]):
        continue
    linked.add(name)
    for dependency in nodes[name]["deps"]:
        if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
            left.append(dependency["pkg"])
for package in sorted((packages[name] for name in linked), key=lambda package: package["name"]):
    print(package["name"], pathlib.Path(library(package)["src_path"]).parent, sep="\t")
