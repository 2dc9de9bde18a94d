//! Files under a directory: regular ones stay in the engine, others do not block it.

mod common;

use archipelago_guest_wasm::{Instance, StartError, WasiSetup};
use common::*;
use core::sync::atomic::{AtomicBool, Ordering};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use std::{env, fs, path::PathBuf, process};

/// Opens `name` in the first directory and copies 64 bytes of it to standard output; exits with the first errno.
fn reader(name: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const 64) "{name}")
        (func $check (param $errno i32) (if (local.get $errno) (then (call $exit (local.get $errno)))))
        (func (export "_start")
            (call $check (call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const {length}) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)))
            (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 64))
            (call $check (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (call $check (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        length = name.len()
    )
}

/// A directory of this test, removed when it goes.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("archipelago-wasm-{}-{name}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn run(scratch: &Scratch, name: &str) -> (i32, String) {
    let (setup, sink) = collecting();
    let mut instance = instance(reader(name), setup.directory(&scratch.0, "/"));
    (exit_code(&mut instance), text(&sink))
}

#[test]
fn regular_files_are_read() {
    let scratch = Scratch::new("regular");
    fs::create_dir(scratch.0.join("inner")).unwrap();
    fs::write(scratch.0.join("inner/note"), "a note").unwrap();
    assert_eq!(run(&scratch, "inner/note"), (0, "a note".into()));
    let missing = 44;
    assert_eq!(run(&scratch, "missing").0, missing);
}

#[test]
fn a_directory_is_all_a_program_sees() {
    let scratch = Scratch::new("outside");
    let not_permitted = 63;
    assert_eq!(run(&scratch, "../outside").0, not_permitted);
    let program = instance(reader("x"), WasiSetup::new());
    drop(program);
}

#[test]
fn a_named_pipe_cannot_block_the_engine() {
    let scratch = Scratch::new("pipe");
    mknodat(CWD, scratch.0.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let not_supported = 58;
    assert_eq!(run(&scratch, "pipe").0, not_supported);
}

#[test]
fn a_file_that_is_now_a_pipe_and_now_is_not_cannot_block_the_engine() {
    let scratch = Scratch::new("swapped");
    let [name, pipe, file] = ["name", "pipe", "file"].map(|name| scratch.0.join(name));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::write(&file, "a note").unwrap();
    fs::rename(&file, &name).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &name, CWD, &pipe, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let not_supported = 58;
        for _ in 0..300 {
            let seen = run(&scratch, "name");
            assert!(seen == (0, "a note".into()) || seen.0 == not_supported, "{seen:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_pipe_is_no_directory() {
    let scratch = Scratch::new("preopened");
    let pipe = scratch.0.join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let program = load(reader("x")).unwrap();
    let started = Instance::new(&program, WasiSetup::new().directory(pipe, "/"), PLENTY);
    assert!(matches!(started, Err(StartError::Directory { .. })), "{started:?}");
}
