#!/usr/bin/env bash
# Checks of the tree that no compiler makes. Each one says what to do.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0 passed=0

check() { # name, what it found (empty: passed), what to do
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'checks: %s: %s\n%s\n' "$1" "$3" "$2" >&2
    fi
}

# Without the lines that are comments; none is fine too.
code() {
    grep -v '^[^:]*:[0-9]*: *//' || true
}

kernel=kernel/src

check "no global state in the kernel (SPEC R1)" \
    "$(grep -rnE "(^|[^'[:alnum:]_])static\s+(mut\s+)?[\$]?[[:alpha:]_][[:alnum:]_]*\s*:|thread_local!" "$kernel" | code)" \
    "keep it in the Runtime"

check "atomics are named in sync only" \
    "$(grep -rnE '\batomic(::|\s*[;,}]|\s+as\b)|portable_atomic|loom::|shuttle::' "$kernel" | grep -v "^$kernel/sync/" | code)" \
    "use crate::sync"

check "no alloc and no std in the kernel" \
    "$(grep -rnE 'extern crate (alloc|std)|\b(alloc|std)::(vec|boxed|string|sync|rc|collections)\b' "$kernel" || true)" \
    "use the domains"

# One `extern crate alloc` in the default graph would force a global allocator on every image.
graph=$(cargo tree -p archipelago-kernel -e normal --no-default-features --prefix none | sort -u | grep -v '^archipelago-kernel ' || true)
check "the kernel's default dependency graph is empty" "$graph" "a dependency may pull in alloc: put it behind a feature"

# The image of kernel and slab that tests/firmware/run.sh links for thumbv7em. If any crate of it said `extern crate
# alloc`, it would link only with a global allocator; it links, and none has one.
if image=$(python3 tests/firmware/crates.py thumbv7em-none-eabihf 2>&1); then
    allocators=
    for crate in archipelago-kernel archipelago-alloc-slab; do
        grep -q "^$crate"$'\t' <<<"$image" || allocators+="$crate is not in the image"$'\n'
    done
    while IFS=$'\t' read -r _ folder; do
        allocators+=$(grep -rnE --include='*.rs' '^[^/]*#!?\[.*\bglobal_allocator\b' "$folder" || true)
    done <<<"$image"
else
    allocators=${image:-failed}
fi
check "the thumbv7em image has no global allocator" "$allocators" "take it out: no host of the kernel needs one"

# The public API can name no foreign type: of the optional dependencies only sync, which is private, names two, and
# collections/foreign.rs implements a trait of the third, by feature, on a type of its own.
foreign=$(cargo tree -p archipelago-kernel -e normal --all-features --depth 1 --prefix none |
    grep -vE '^(archipelago-kernel|portable-atomic|loom|shuttle|allocator-api2) ' || true)
foreign+=$(grep -rn 'allocator_api2' "$kernel" | grep -v "^$kernel/collections/foreign.rs:" || true)
foreign+=$(grep -nE '^pub mod sync|pub use sync|pub use crate::sync' -r "$kernel" || true)
check "the kernel's public API names no foreign type" "$foreign" "wrap it, in sync or behind a trait of ours"

check "no core::fmt on kernel paths" \
    "$(grep -rnE 'format_args!|write!\(|panic!\(|\.unwrap\(\)|\.expect\(|unreachable!\(|todo!\(|unimplemented!\(' "$kernel" |
        grep -vE "^$kernel/(error|macros)\.rs|: *//" || true)" \
    "answer with an error value"

unsafe_files=$(grep -rl --include='*.rs' 'allow(unsafe_code)' kernel alloc-backends lock-backends std-adapter guests cli | grep -v /tests/ | LC_ALL=C sort)
check "files with unsafe code are listed" \
    "$(diff <(grep -v '^#' docs/soundness/unsafe-files.txt) <(echo "$unsafe_files") || true)" \
    "docs/soundness/unsafe-files.txt is the list; a new file needs a reason in docs/soundness"

defined=$(grep -rhoE '^> \*\*\[[A-Z][0-9]\]' docs/soundness | grep -oE '[A-Z][0-9]' | LC_ALL=C sort)
used=$(grep -rhoE '(^|[^\[])\[[A-Z][0-9]\\?\]' --include='*.rs' kernel/src alloc-backends lock-backends std-adapter guests/wasm/src cli/src |
    grep -oE '[A-Z][0-9]' | LC_ALL=C sort -u)
check "each invariant of docs/soundness has one definition" \
    "$(uniq -d <<<"$defined"; LC_ALL=C comm -13 <(uniq <<<"$defined") <(echo "$used"))" \
    "define each tag once, as '> **[X1]** ...', with a letter of its own"

check "no machine paths" \
    "$(git grep -nIE '(^|[^a-z.])/(work|tmp|root|home)/' -- . ':!*.lock' ':!tests/checks.sh' || true)" \
    "take them out"

if told=$(python3 bench/plots.py --check 2>&1); then told=; else told=${told:-failed}; fi
check "the plots are what the results say" "$told" "python3 bench/plots.py"

if [ -x tests/check-features.sh ]; then
    # Cargo may say more on standard error than what is wrong.
    if told=$(bash tests/check-features.sh 2>&1); then told=; else told=${told:-failed}; fi
    check "docs/features.md is true" "$told" "repair the row or the test it names"
fi

echo "checks: $passed passed, $failed failed"
[ "$failed" = 0 ]
