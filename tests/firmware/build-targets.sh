#!/usr/bin/env bash
# Builds what an image without an operating system links, for targets of every kind (SPEC F1).
set -uo pipefail
cd "$(dirname "$0")/../.."
passed=0 failed=0

check() { # check WHAT COMMAND...
    local what="$1"
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok: $what"
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
    fi
}

# The crates that stand on nothing but `core`, and the features that images choose.
crates=(
    archipelago-kernel
    archipelago-alloc-slab
    archipelago-alloc-linked-list
    archipelago-alloc-pool
    archipelago-alloc-hooks
    archipelago-alloc-shared
    "archipelago-locks --features spin,critical-section,lock-api-04,lock-api-05"
    "archipelago-toy-guest --no-default-features"
    archipelago-toy-guest
)

for target in thumbv7m-none-eabi thumbv7em-none-eabihf riscv32imac-unknown-none-elf x86_64-unknown-none; do
    for crate in "${crates[@]}"; do
        # shellcheck disable=SC2086 # options of a crate are words of their own
        check "$target: $crate" cargo build --quiet --locked --release --target "$target" -p $crate
    done
done

# No compare-and-swap: the image says where it comes from (`run.sh` runs one with critical sections). A library that
# is built alone has to say it too.
for crate in archipelago-kernel archipelago-alloc-slab archipelago-alloc-linked-list archipelago-alloc-pool \
    archipelago-alloc-hooks archipelago-alloc-shared \
    "archipelago-locks --features spin,critical-section,lock-api-04,lock-api-05,portable-atomic" \
    archipelago-toy-guest; do
    # shellcheck disable=SC2086
    RUSTFLAGS="--cfg portable_atomic_unsafe_assume_single_core" check "thumbv6m-none-eabi: $crate" \
        cargo build --quiet --locked --release --target thumbv6m-none-eabi \
        --features archipelago-kernel/portable-atomic -p $crate
done

# A host on pools, linked: a library that builds may still ask the linker for what the target lacks.
BOARD=microbit check "thumbv6m-none-eabi: an image of kernel, size classes and pools" \
    cargo build --quiet --locked --release --target thumbv6m-none-eabi --features no-cas,pools \
    --manifest-path tests/firmware/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-$PWD/tests/firmware/target}/images"

# One `extern crate alloc` would ask every image for a global allocator. The kernel has no dependency at all.
graph="$(cargo tree --locked -p archipelago-kernel -e normal --prefix none --target thumbv7m-none-eabi | sort -u)"
check "the kernel depends on nothing by default" [ "$(wc -l <<<"$graph")" = 1 ]
# Found nowhere: grep answers 1 then, and 2 where a folder is missing.
nowhere() { # pattern, folders
    local found
    found=$(grep -rnE "$1" --include=*.rs "${@:2}") || [ $? = 1 ] || return
    [ -z "$found" ] || { echo "$found" && false; }
}
check "nothing below the hosts says extern crate alloc" \
    nowhere "extern crate alloc" kernel/src alloc-backends/*/src lock-backends/src tests/toy-guest/src
check "no 64-bit atomics" \
    nowhere "Atomic[IU]64" kernel/src alloc-backends/{slab,shared,pool,hooks,linked-list}/src lock-backends/src

echo "build-targets: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
