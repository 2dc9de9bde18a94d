#!/bin/sh
# Explores the models deeper than CI does: every bound from 3 up, each model for a limited time.
#
#   loom-tests/deep.sh [BOUND [SECONDS [FILTER]]]     3, 600 s a model, all models
#
# A model that does not end within its time says so and counts as passed as far as it came.
set -eu
cd "$(dirname "$0")/.."
LOOM_MAX_PREEMPTIONS=${1:-3} LOOM_MAX_DURATION=${2:-600} RUSTFLAGS="--cfg archipelago_loom" RUST_BACKTRACE=0 \
    cargo test -p archipelago-loom-tests --release --test models -- --nocapture "${3:-}"
