//! What the compiler refuses (SPEC T6, M1, M5, M10), with what it says, and what it must not refuse.
//!
//! Each program under `compile-fail` is one misuse and fails for the reason its first line says; the expected
//! messages are those of the toolchain in rust-toolchain.toml. `TRYBUILD=overwrite cargo test -p archipelago-tests
//! --test compile_fail` writes them anew: then read them.
#![cfg(not(miri))]

use std::{
    env, fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

const SYSROOT: &str = "ARCHIPELAGO_SYSROOT";

/// SPEC: M1, M5, M10, T6
#[test]
fn misuse_does_not_compile() {
    if env::var_os(SYSROOT).is_none()
        && let Some(sysroot) = without_sources().expect("the toolchain can be looked at")
    {
        // A process of its own, for the environment of this one belongs to all its threads.
        let again = Command::new(env::current_exe().expect("a path"))
            .args(["misuse_does_not_compile", "--exact", "--nocapture"])
            .env(SYSROOT, sysroot)
            .env("RUSTC_WRAPPER", concat!(env!("CARGO_MANIFEST_DIR"), "/compile-fail/rustc.sh"))
            .status();
        assert!(again.expect("this program runs").success(), "see above");
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("compile-fail/*.rs");
    cases.pass("compile-pass/*.rs");
}

/// Where the component rust-src is installed, messages that name std show lines of it. The expected ones show none, so
/// that they do not depend on the component: this is a sysroot without it, if the compiler's own has it.
fn without_sources() -> io::Result<Option<PathBuf>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc).args(["--print", "sysroot"]).output()?.stdout;
    let own = Path::new(str::from_utf8(&printed).map_err(io::Error::other)?.trim()).join("lib/rustlib");
    if !own.join("src").exists() {
        return Ok(None);
    }
    let sysroot = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sysroot");
    let parts = sysroot.join("lib/rustlib");
    if parts.exists() {
        // Links to a toolchain of an earlier run.
        fs::remove_dir_all(&parts)?;
    }
    fs::create_dir_all(&parts)?;
    for part in fs::read_dir(own)? {
        let part = part?;
        if part.file_name() != "src" {
            symlink(part.path(), parts.join(part.file_name()))?;
        }
    }
    Ok(Some(sysroot))
}
