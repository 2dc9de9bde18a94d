#!/usr/bin/env bash
# Miri over kernel, backends and the sequential suites: stacked borrows, tree borrows, and a 32-bit target.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=target/miri PROPTEST_CASES="${PROPTEST_CASES:-4}"
packages=(-p archipelago-kernel -p archipelago-alloc-blocks -p archipelago-alloc-linked-list -p archipelago-tests)
# The suites that start no process and open no file.
suites=(--lib --test config --test conformance --test lying --test oom --test model --test traps)

run() {
    echo "-- miri: $1"
    shift
    MIRIFLAGS="${FLAGS:-}" cargo +nightly miri test "${packages[@]}" "$@"
}

FLAGS="-Zmiri-disable-isolation" run "stacked borrows" "${suites[@]}"
FLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows" run "tree borrows" "${suites[@]}"
FLAGS="-Zmiri-disable-isolation" run "32-bit" --target i686-unknown-linux-gnu --lib --test config --test oom
