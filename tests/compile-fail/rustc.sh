#!/bin/sh
# Cargo's RUSTC_WRAPPER in tests/compile_fail.rs: the compiler with a sysroot that has no source of std.
exec "$@" --sysroot "$ARCHIPELAGO_SYSROOT"
