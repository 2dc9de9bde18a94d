#!/usr/bin/env bash
# Miri over kernel, backends and the sequential suites: stacked borrows where nothing else is said, tree borrows, and a
# 32-bit target.
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

bits32=(--target i686-unknown-linux-gnu)
tests=(-p archipelago-tests)

backends() {
    run "backends" "" -p archipelago-alloc-linked-list -p archipelago-alloc-system -p archipelago-alloc-pool
    # The one whose budget lasts longest fills it in minutes.
    run "size classes" "" -p archipelago-alloc-slab -- --skip direct:: --skip usual::exhaustion
    run "size classes; 32 bits" "" "${bits32[@]}" -p archipelago-alloc-slab --test suite -- small:: a_long where_memory
    run "one heap for all" "" -p archipelago-alloc-shared --test suite -- direct_locked:: four_threads
    run "misuse, traces and tables" "" -p archipelago-alloc-hooks --test misuse --test trace --test dynamic
    run "wrappers of wrappers" "" -p archipelago-alloc-hooks --test suite -- all_of_them:: trace_raw::four_threads
    # The quick ones of each: what a region or a page is cut into is where the models of borrows and the widths differ.
    local each=(-p archipelago-alloc-linked-list -p archipelago-alloc-pool -p archipelago-alloc-shared -p archipelago-alloc-hooks)
    local quick=(trimming_ resizing_ blocks_stay what_is_left a_static a_heap_on_pages it_begins a_broken beside_locked::sweeping
        beside_locked::the_nth all_of_them::sweeping)
    run "backends and wrappers; tree borrows" "-Zmiri-tree-borrows" "${each[@]}" -p archipelago-alloc-slab --test suite -- "${quick[@]}" \
        a_long where_memory small::serves small::the_nth small::lies small::moves small::dropping
    run "backends and wrappers; 32 bits" "" "${bits32[@]}" "${each[@]}" --test suite -- "${quick[@]}"
    run "memory and containers; 32 bits" "" "${bits32[@]}" "${tests[@]}" --test conformance -- \
        bare_host::memory bare_host::limits bare_host::accounts bare_host::containers
    run "out of memory; 32 bits" "" "${bits32[@]}" "${tests[@]}" --test oom
    # Of the kernel's, for this lane is the shorter one.
    run "lying hosts, traps" "" "${tests[@]}" --test lying --test traps
    run "statics, wrapped domains, one heap for all" "" "${tests[@]}" --test statics --test wrapped --test wrong_interpreter --test one_heap
}

kernel() {
    run "out of memory, the model" "" "${tests[@]}" --test oom --test model
    # The bare host's region is one allocation, in which tree borrows are slow.
    run "conformance on the bare host" "" "${tests[@]}" --test conformance bare_host
    run "conformance on the std host; tree borrows" "-Zmiri-tree-borrows" "${tests[@]}" --test conformance std_host
}

# Miri runs a program on one core: two lanes.
mkdir -p "$CARGO_TARGET_DIR"
log=$CARGO_TARGET_DIR/backends.log
(backends) >"$log" 2>&1 &
lane=$!
trap 'kill $lane 2>/dev/null || :' EXIT
kernel
ended=0
wait $lane || ended=$?
trap - EXIT
cat "$log"
exit $ended
