#!/bin/sh
# Plants each bug of planted/*.patch in a copy of the workspace and runs the model that has to reject it.
# A bug that is not rejected, a patch that no longer applies and one that does not compile are failures.
#
#   loom-tests/planted.sh            all of them
#   loom-tests/planted.sh kick-      those whose names begin so
set -eu
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
copy=$target/planted
export CARGO_TARGET_DIR="$target/planted-build"
export RUSTFLAGS="--cfg archipelago_loom" RUST_BACKTRACE=0
# What is compiled once and run for a second need not be the best code.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0

failed=0
for patch in "$PWD"/loom-tests/planted/"${1:-}"*.patch; do
    name=$(basename "$patch" .patch)
    model=$(sed -n 's/^Rejected by: //p' "$patch")
    rm -rf "$copy"
    mkdir -p "$copy"
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
    log=$target/planted-$name.log
    if ! (cd "$copy" && patch -s -p1 <"$patch") >"$log" 2>&1; then
        echo "$name: the patch no longer applies (see $log)"
        failed=1
    elif ! (cd "$copy" && cargo test -q -p archipelago-loom-tests --release --no-run) >"$log" 2>&1; then
        echo "$name: does not compile (see $log)"
        failed=1
    elif (cd "$copy" && timeout 120 cargo test -q -p archipelago-loom-tests --release --test models -- --exact "$model") \
        >"$log" 2>&1; then
        echo "$name: NOT REJECTED by $model"
        failed=1
    elif grep -q '^running 1 test' "$log"; then
        echo "$name: rejected by $model"
        rm -f "$log"
    else
        echo "$name: there is no model $model (see $log)"
        failed=1
    fi
done
exit $failed
