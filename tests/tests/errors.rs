//! `docs/errors.md` lists every error code of the kernel, once, with its text.

use core::fmt::Write;
use std::{collections::BTreeMap, fs, path::Path};

use archipelago_kernel::{
    error::*,
    memory::{AllocCause, LimitError},
};

/// Operation, then code, name and text of each of its errors.
type Table = Vec<(&'static str, Vec<(u16, &'static str, &'static str)>)>;

macro_rules! table {
    ($($error:ident),+ $(,)?) => {
        vec![$((
            stringify!($error),
            $error::ALL.iter().map(|error| (error.code(), error.name(), error.text())).collect(),
        )),+]
    };
}

fn table() -> Table {
    table![
        ConfigError,
        RuntimeError,
        CreateError,
        ThreadError,
        AttachError,
        EndError,
        StopError,
        ResetError,
        GuardError,
        LookupError,
        Interrupt,
        PermitError,
        GuestError,
        PendingError,
        SignalError,
        HandleError,
        DeadlineError,
        AllocCause,
        LimitError,
    ]
}

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\nEvery error of the kernel has a code, the same in Rust, in C and in the command. The text says \
         what was asked, what was found and what to do. An error that an operation passes on keeps its code.\n",
    );
    for (operation, errors) in table() {
        write!(page, "\n## {operation}\n\n| code | name | text |\n|---|---|---|\n").unwrap();
        let in_order: BTreeMap<_, _> =
            errors.into_iter().map(|(code, name, text)| (code, (name, text))).collect();
        for (code, (name, text)) in in_order {
            writeln!(page, "| `0x{code:04x}` | `{name}` | {text} |").unwrap();
        }
    }
    page
}

#[test]
fn codes_are_unique() {
    let mut seen = BTreeMap::new();
    for (operation, errors) in table() {
        for (code, name, text) in errors {
            assert_eq!(seen.insert(code, (operation, name)), None, "code {code:#06x} is used twice");
            assert!(text.contains(": "), "{operation}::{name} does not say where it comes from: {text}");
        }
    }
}

/// Write the page anew with `UPDATE_DOCS=1 cargo test -p archipelago-tests --test errors`.
#[test]
fn the_page_lists_them_all() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), page(), "docs/errors.md is stale");
}
