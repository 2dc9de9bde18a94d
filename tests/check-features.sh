#!/usr/bin/env bash
# docs/features.md names every row and only tests that exist.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --quiet -p archipelago-tests --test features
