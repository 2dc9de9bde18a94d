#!/usr/bin/env bash
# Miri over kernel, backends and the sequential suites: stacked borrows, tree borrows, and a 32-bit target.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=target/miri PROPTEST_CASES="${PROPTEST_CASES:-4}"
NIGHTLY=${NIGHTLY:-$(rustup toolchain list | grep -o -m 1 '^nightly[^ ]*' || true)}
# The suites that start no process and open no file.
run() { # name, Miri's flags, what to test
    echo "-- miri: $1 ($SECONDS s)"
    local flags=$2
    shift 2
    MIRIFLAGS="-Zmiri-disable-isolation $flags" cargo "+${NIGHTLY:-nightly}" miri test "$@"
}

tests=(-p archipelago-tests)
run "backends" "" -p archipelago-alloc-linked-list -p archipelago-alloc-system -p archipelago-alloc-pool
# The one whose budget lasts longest fills it in minutes.
run "size classes" "" -p archipelago-alloc-slab -- --skip direct:: --skip usual::exhaustion
run "one heap for all; stacked borrows" "" -p archipelago-alloc-shared --test suite -- direct_locked:: four_threads
run "misuse, traces and tables; stacked borrows" "" -p archipelago-alloc-hooks --test misuse --test trace --test dynamic
run "wrappers of wrappers; stacked borrows" "" -p archipelago-alloc-hooks --test suite -- all_of_them:: trace_raw::four_threads
run "out of memory, lying hosts, traps, the model; stacked borrows" "" "${tests[@]}" --test oom --test lying --test traps --test model
run "statics, wrapped domains, one heap for all; stacked borrows" "" "${tests[@]}" --test statics --test wrapped --test one_heap
# The bare host's region is one allocation, in which tree borrows are slow.
run "conformance on the bare host; stacked borrows" "" "${tests[@]}" --test conformance bare_host
run "conformance on the std host; tree borrows" "-Zmiri-tree-borrows" "${tests[@]}" --test conformance std_host
bits32=(--target i686-unknown-linux-gnu)
run "size classes; 32 bits" "" "${bits32[@]}" -p archipelago-alloc-slab --test suite -- small::
run "out of memory; 32 bits" "" "${bits32[@]}" "${tests[@]}" --test oom
run "memory and containers; 32 bits" "" "${bits32[@]}" "${tests[@]}" --test conformance -- \
    bare_host::memory bare_host::limits bare_host::containers
