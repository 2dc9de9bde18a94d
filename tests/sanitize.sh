#!/usr/bin/env bash
# The suites of the std host that use threads, and the stress of all of it, under the thread sanitizer and the address
# sanitizer, with a standard library that is built for them: bash tests/sanitize.sh [thread|address]. Not part of CI:
# what it says once more about the machine's own memory, Miri and loom say about all. Wants nightly with rust-src, on x86-64.
#
# The thread sanitizer knows no fences. A report that only a fence answers gets a suppression in tests/tsan.supp, which
# names the loom model that proves the place; there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
NIGHTLY=${NIGHTLY:-$(rustup toolchain list | grep -o -m 1 '^nightly[^ ]*' || true)}
TARGET=x86_64-unknown-linux-gnu
# The line of a report.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_INCREMENTAL=0
export ARCHIPELAGO_STRESS="${ARCHIPELAGO_STRESS:-600}"
# A size that no allocator has is an answer, not an error.
export TSAN_OPTIONS="allocator_may_return_null=1 history_size=4" ASAN_OPTIONS="allocator_may_return_null=1"

target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac

run() { # sanitizer, what to test
    local sanitizer=$1
    shift
    RUSTFLAGS="-Zsanitizer=$sanitizer" cargo "+${NIGHTLY:-nightly}" test --quiet -Zbuild-std --target "$TARGET" \
        --target-dir "$target/sanitize-$sanitizer" "$@"
}

for sanitizer in ${1:-thread address}; do
    echo "-- $sanitizer: locks, waits and threads of the std host ($SECONDS s)"
    run "$sanitizer" -p archipelago --test parking_gil --test recorder
    run "$sanitizer" -p archipelago-locks --features spin,lock-api-05 --tests
    echo "-- $sanitizer: misuse, lies, failures of others ($SECONDS s)"
    run "$sanitizer" -p archipelago-tests --test traps --test lying --test observed --test one_heap
    echo "-- $sanitizer: conformance on the std host ($SECONDS s)"
    run "$sanitizer" -p archipelago-tests --test conformance std_host
    echo "-- $sanitizer: stress, $ARCHIPELAGO_STRESS rounds ($SECONDS s)"
    run "$sanitizer" -p archipelago-tests --test stress
done
echo "-- nothing reported ($SECONDS s)"
