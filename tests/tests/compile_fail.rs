//! What the compiler refuses (SPEC T6, M1, M5, M10), with what it says, and what it must not refuse.
//!
//! Each program under `compile-fail` is one misuse and fails for the reason its first line says; the expected
//! messages are those of the toolchain in rust-toolchain.toml. `TRYBUILD=overwrite cargo test -p archipelago-tests
//! --test compile_fail` writes them anew: then read them.
#![cfg(not(miri))]

/// SPEC: M1, M5, M10, T6
#[test]
fn misuse_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("compile-fail/*.rs");
    cases.pass("compile-pass/*.rs");
}
