//! Loading: what is no program is refused by name.

mod common;

use archipelago_guest_wasm::{Engine, Instance, LoadError, Program, Slice, StartError, Value, WasiSetup};
use common::*;

fn refused(bytes: impl AsRef<[u8]>) -> LoadError {
    load(bytes).expect_err("this is no program")
}

#[test]
fn every_sample_loads() {
    for name in ["hello", "busy", "primes", "echo", "sleep", "grow", "trap", "flood"] {
        assert!(load(sample(name)).is_ok(), "{name}");
    }
}

#[test]
fn other_files_are_no_wasm() {
    for bytes in [&b""[..], b"\x7FELF\x02\x01\x01", b"#!/bin/sh\n", b"\xFF\xFE\x00"] {
        assert_eq!(refused(bytes), LoadError::NotWasm, "{bytes:?}");
    }
}

#[test]
fn a_component_is_named() {
    assert_eq!(refused(b"\0asm\x0D\0\x01\0"), LoadError::Component);
}

#[test]
fn a_module_cut_within_a_section_is_truncated() {
    let whole = wat::parse_bytes(&sample("hello")).unwrap().into_owned();
    assert!(load(&whole).is_ok());
    let mut truncated = 0;
    for length in 1..whole.len() {
        match load(&whole[..length]) {
            Err(LoadError::Truncated { offset }) => {
                assert_eq!(offset, length);
                truncated += 1;
            }
            // Cut between two sections: what is left is complete, but may miss what the others said.
            Ok(_) | Err(LoadError::NoStart { .. } | LoadError::Invalid { .. }) => {}
            Err(other) => panic!("cut at {length}: {other:?}"),
        }
    }
    assert!(truncated > whole.len() * 9 / 10, "{truncated} of {}", whole.len());
}

#[test]
fn an_invalid_module_says_what_and_where() {
    let mut bytes = wat::parse_str("(module (func (export \"_start\")))").unwrap();
    let end = bytes.len() - 1;
    bytes[end] = 0x1A; // `drop` on an empty stack, and no `end`
    match refused(&bytes) {
        LoadError::Invalid { what, offset: Some(offset) } => assert!(offset > 8 && !what.is_empty()),
        other => panic!("{other:?}"),
    }
    match refused("(module (func (export \"_start\") (drop (i32.add (i64.const 1) (i32.const 1)))))") {
        LoadError::Invalid { what, offset: Some(_) } => assert!(what.contains("type mismatch"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_text_has_its_line() {
    match refused("(module\n  (func (export \"_start\")\n    (i32.konst 1)))") {
        LoadError::BadText { what } => assert!(what.ends_with(" in line 3, column 6"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_imports_are_named() {
    let unknown =
        |module: &str, name: &str| LoadError::UnknownImport { module: module.into(), name: name.into() };
    assert_eq!(
        refused(r#"(module (import "env" "print" (func)) (func (export "_start")))"#),
        unknown("env", "print")
    );
    assert_eq!(
        refused(r#"(module (import "wasi_snapshot_preview1" "fly" (func)) (func (export "_start")))"#),
        unknown("wasi_snapshot_preview1", "fly")
    );
    let error = unknown("env", "print").to_string();
    assert!(error.contains("env") && error.contains("print"), "{error}");
}

#[test]
fn imports_of_the_wrong_type_are_named() {
    for import in ["(func (param i64))", "(memory 1)"] {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" {import}) (func (export "_start")))"#
        );
        match refused(text) {
            LoadError::BadImport { name, .. } => assert_eq!(name, "proc_exit"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_program_needs_an_entry_without_arguments() {
    assert_eq!(refused("(module)"), LoadError::NoStart { entry: "_start".into() });
    assert_eq!(
        refused(r#"(module (memory (export "_start") 1))"#),
        LoadError::NoStart { entry: "_start".into() }
    );
    assert_eq!(
        refused(r#"(module (func (export "_start") (param i32 i32)))"#),
        LoadError::StartTakesArguments { entry: "_start".into(), count: 2 }
    );
}

#[test]
fn another_entry_returns_its_results() {
    let text = br#"(module (func (export "answer") (result i32 f64) (i32.const 42) (f64.const 0.5)))"#;
    let program = Program::load_entry(&Engine::new(), "answer", text, "answer").unwrap();
    assert_eq!((program.name(), program.entry()), ("answer", "answer"));
    let mut instance = Instance::new(&program, WasiSetup::new(), PLENTY).unwrap();
    assert_eq!(instance.results().count(), 0);
    assert!(matches!(instance.run(FUEL), Slice::Done(0)));
    assert_eq!(instance.results().collect::<Vec<_>>(), [Value::I32(42), Value::F64(0.5)]);
}

#[test]
fn a_start_section_runs_first_and_in_slices() {
    // With an export section and without one before the start section; both loop for ever in it.
    for export in [
        r#"(func (export "_start"))"#,
        r#"(func (export "_start")) (func (export "archipelago start section"))"#,
    ] {
        let text = format!("(module (func $loop (loop $l (br $l))) (start $loop) {export})");
        let mut instance = instance(text, WasiSetup::new());
        for _ in 0..3 {
            assert!(matches!(instance.run(FUEL), Slice::OutOfFuel));
        }
    }
    let text = r#"(module (global $seen (mut i32) (i32.const 1)) (func $begin (global.set $seen (i32.const 7)))
        (start $begin) (func (export "main") (result i32) (global.get $seen)))"#;
    let program = Program::load_entry(&Engine::new(), "start", text.as_bytes(), "main").unwrap();
    let mut instance = Instance::new(&program, WasiSetup::new(), PLENTY).unwrap();
    assert_eq!(exit_code(&mut instance), 0);
    assert_eq!(instance.results().collect::<Vec<_>>(), [Value::I32(7)]);
}

#[test]
fn a_setup_that_cannot_be_had_is_refused() {
    let program = load(sample("hello")).unwrap();
    let start = |setup| Instance::new(&program, setup, PLENTY).unwrap_err();
    assert!(matches!(
        start(WasiSetup::new().directory("/no/such/directory", "/")),
        StartError::Directory { .. }
    ));
}
