#!/bin/sh
# Plants each bug of planted/*.patch in a copy of the workspace and runs the models that have to reject it, each by
# itself. A bug that is not rejected, a patch that no longer applies where it was made for, and one that does not compile
# are failures.
#
#   loom-tests/planted.sh            all of them, in about ten minutes on two cores
#   loom-tests/planted.sh kick-      those whose names begin so
#   CHECKER=shuttle …                those that Shuttle's models have to reject too, by those
set -eu
cd "$(dirname "$0")/.."

checker=${CHECKER:-loom}
case $checker in
loom) by="Rejected by" ;;
shuttle) by="Rejected by Shuttle" ;;
*) echo "loom or shuttle, not $checker" >&2 && exit 2 ;;
esac
models=archipelago-$checker-tests

target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
copy=$target/planted
export CARGO_TARGET_DIR="$target/planted-$checker"
export RUSTFLAGS="--cfg archipelago_$checker" RUST_BACKTRACE=0
# What is compiled once and run for a second need not be the best code.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0
export CARGO_PROFILE_RELEASE_INCREMENTAL=true

failed=0
fail() {
    echo "$1"
    failed=1
}
for patch in "$PWD"/loom-tests/planted/"${1:-}"*.patch; do
    grep -q "^$by: " "$patch" || continue
    name=$(basename "$patch" .patch)
    # A bug may take a deeper bound than CI's.
    LOOM_MAX_PREEMPTIONS=$(sed -n 's/^Preemptions: //p' "$patch")
    export LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-2}
    rm -rf "$copy"
    mkdir -p "$copy"
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
    log=$target/planted-$name.log
    # Without fuzz: a hunk that only looks like its place would plant another bug, or none.
    if ! (cd "$copy" && patch -s -p1 --fuzz=0 <"$patch") >"$log" 2>&1; then
        fail "$name: the patch no longer applies (see $log)"
        continue
    elif ! (cd "$copy" && cargo test -q -p "$models" --release --no-run) >"$log" 2>&1; then
        fail "$name: does not compile (see $log)"
        continue
    fi
    for model in $(sed -n "s/^$by: //p" "$patch"); do
        code=0
        (cd "$copy" && timeout 120 cargo test -q -p "$models" --release --test models -- --exact "$model") \
            >"$log" 2>&1 || code=$?
        if [ "$code" = 0 ]; then
            # With a filter that names no model, nothing ran.
            grep -q '^running 1 test' "$log" && fail "$name: NOT REJECTED by $model" || fail "$name: there is no model $model"
        elif [ "$code" = 124 ]; then
            fail "$name: neither rejected nor accepted by $model within 120 s"
        elif grep -q '^running 1 test' "$log"; then
            echo "$name: rejected by $model"
            rm -f "$log"
        else
            fail "$name: $model did not run (see $log)"
        fi
    done
done
exit $failed
