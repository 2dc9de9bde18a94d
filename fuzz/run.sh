#!/usr/bin/env bash
# Fuzzes every target for so many seconds, with the address sanitizer: bash fuzz/run.sh [SECONDS].
# Wants nightly and cargo-fuzz (cargo install cargo-fuzz --locked). The corpus stays in fuzz/cargo-fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
for target in fuzz/cargo-fuzz/fuzz_targets/*.rs; do
    cargo +nightly fuzz run --fuzz-dir fuzz/cargo-fuzz "$(basename "$target" .rs)" -- \
        -max_total_time="$seconds" -max_len=2048 -rss_limit_mb=2048 -print_final_stats=1
done
