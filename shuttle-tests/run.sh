#!/bin/sh
# Runs the models on so many schedules of each kind (10,000): shuttle-tests/run.sh [SCHEDULES [FILTER]]. What fails can be
# run again: see the README.
set -eu
cd "$(dirname "$0")/.."
ARCHIPELAGO_SHUTTLE_SCHEDULES=${1:-10000} RUSTFLAGS="--cfg archipelago_shuttle" RUST_BACKTRACE=0 \
    cargo test -p archipelago-shuttle-tests --release --test models --target-dir "${CARGO_TARGET_DIR:-target}/shuttle" \
    -- --nocapture "${2:-}"
