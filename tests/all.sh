#!/usr/bin/env bash
# Everything that must pass, on a fresh machine with rustup: set-up, lints, docs, tests, models, Miri, bare metal, QEMU.
# One step: bash tests/all.sh STEP (setup lint docs checks test loom shuttle miri targets firmware).
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

# Mirrors fail now and then.
again() { # COMMAND...
    local pause
    for pause in 5 20 60; do
        "$@" && return
        echo "failed, once more in $pause s: $*" >&2
        sleep "$pause"
    done
    "$@"
}

# A nightly that is there is used as it is, with or without a date in its name; tests/miri.sh asks likewise.
NIGHTLY=${NIGHTLY:-$(rustup toolchain list 2>/dev/null | grep -o -m 1 '^nightly[^ ]*' || true)}
export NIGHTLY

TARGETS=(thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf riscv32imac-unknown-none-elf x86_64-unknown-none)

setup() {
    say "set-up"
    rustup show active-toolchain >/dev/null 2>&1 || rustup toolchain install --no-self-update
    local have wanted
    have=$(rustup target list --installed)
    for wanted in "${TARGETS[@]}"; do
        grep -qx "$wanted" <<<"$have" || rustup target add "$wanted"
    done
    rustup component add clippy rustfmt
    if [ -z "$NIGHTLY" ]; then
        # In one command: rustup then takes the latest nightly that has them all.
        rustup toolchain install nightly --no-self-update --profile minimal -c miri -c rust-src
        NIGHTLY=nightly
    fi
    have=$(rustup "+$NIGHTLY" component list --installed)
    for wanted in miri rust-src; do
        grep -q "^$wanted" <<<"$have" || rustup "+$NIGHTLY" component add "$wanted"
    done
    local missing=()
    command -v qemu-system-arm >/dev/null || missing+=(qemu-system-arm)
    command -v python3 >/dev/null || missing+=(python3)
    if [ "${#missing[@]}" != 0 ]; then
        local sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        again $sudo apt-get update -qq
        again $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
    fi
}

lint() {
    say "format and lints"
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
}

docs() {
    say "documentation"
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
}

checks() {
    say "checks of the tree"
    bash tests/checks.sh
}

test_() {
    say "tests"
    cargo test --workspace --no-fail-fast
}

# Groups of models that are explored at a bound of 3 within a few seconds each, and in a minute all together.
DEEPER=(announce:: deadline:: end:: exits:: guards:: limits:: objects:: panics:: ports:: registry:: reset:: threads::)

loom() {
    say "loom"
    models() { # bound, models
        LOOM_MAX_PREEMPTIONS=$1 RUSTFLAGS="--cfg archipelago_loom" \
            cargo test --release -p archipelago-loom-tests --target-dir target/loom "${@:2}"
    }
    models "${LOOM_MAX_PREEMPTIONS:-2}"
    [ -n "${LOOM_MAX_PREEMPTIONS:-}" ] || models 3 --test models -- "${DEEPER[@]}"
}

# A hundred schedules of each kind take seconds, building Shuttle half a minute.
shuttle() {
    say "shuttle"
    RUSTFLAGS="--cfg archipelago_shuttle" cargo test -p archipelago-shuttle-tests --target-dir target/shuttle
}

miri() {
    say "Miri"
    bash tests/miri.sh
}

targets() {
    say "bare-metal builds and fuzz targets"
    bash tests/firmware/build-targets.sh
    # The fuzz targets compile; libFuzzer itself is left out.
    CUSTOM_LIBFUZZER_PATH=none/libFuzzer.a cargo check --quiet --locked \
        --manifest-path fuzz/cargo-fuzz/Cargo.toml --target-dir target/fuzz-check
}

firmware() {
    say "firmware in QEMU"
    bash tests/firmware/run.sh
}

case "${1:-all}" in
all) for step in setup lint docs checks test_ loom shuttle miri targets firmware; do "$step"; done ;;
test) test_ ;;
setup | lint | docs | checks | loom | shuttle | miri | targets | firmware) "$1" ;;
*) echo "unknown step: $1 (see the head of this file)" >&2 && exit 2 ;;
esac
say "all passed"
