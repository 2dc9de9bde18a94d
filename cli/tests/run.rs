//! Programs that do well: output, streams, arguments, directories.

mod common;

use common::*;
use std::{fs, io::Write, process::Stdio};

#[test]
fn one_program_writes_as_it_is() {
    let ran = run(&["run", &sample("hello")]);
    assert_eq!((ran.status, &*ran.stdout, &*ran.stderr), (0, "hello from an interpreter\n", ""));
}

#[test]
fn lines_of_several_programs_have_numbers() {
    let ran = run(&["run", &sample("hello"), &sample("hello"), "--repeat", "2"]);
    let lines: Vec<_> = (1..=4).map(|number| format!("[{number}] hello from an interpreter")).collect();
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    assert_eq!(ran.sorted(), lines);
}

#[test]
fn the_last_line_needs_no_end() {
    let open = program("open-line.wat", "(call $print (i32.const 1) (i32.const 1024) (i32.const 19))");
    assert_eq!(run(&["run", &open]).stdout, "text without an end");
    let ran = run(&["run", &open, &sample("hello")]);
    assert_eq!(ran.sorted(), ["[1] text without an end", "[2] hello from an interpreter"]);
    let error = program("open-error.wat", "(call $print (i32.const 2) (i32.const 1024) (i32.const 19))");
    assert_eq!(run(&["run", &error, &sample("hello")]).stderr, "[1] text without an end\n");
}

#[test]
fn an_endless_line_is_broken_and_all_of_it_written() {
    let body = "(local $n i32) (loop $l (call $print (i32.const 1) (i32.const 2048) (i32.const 60000))
        (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_u (local.get $n) (i32.const 40))))";
    let ran = run(&["run", &program("endless-line.wat", body), &sample("hello")]);
    let length: usize = ran.stdout.lines().filter_map(|line| line.strip_prefix("[1] ")).map(str::len).sum();
    assert_eq!((ran.status, length), (0, 40 * 60000));
}

#[test]
fn lines_are_never_mixed() {
    let body = "(local $n i32) (i32.store8 offset=1043 (i32.const 0) (i32.const 10))
        (loop $l (call $print (i32.const 1) (i32.const 1024) (i32.const 20))
            (call $print (i32.const 1) (i32.const 1024) (i32.const 7))
            (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_u (local.get $n) (i32.const 2000))))";
    let writer = program("writer.wat", body);
    let ran = run(&["run", &writer, &writer, &writer, "--gil", "shared"]);
    assert_eq!(ran.status, 0);
    for number in 1..=3 {
        let prefix = format!("[{number}] ");
        let lines: Vec<_> = ran.stdout.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        assert_eq!(lines.len(), 2001);
        assert_eq!((lines[0], lines[2000]), ("text without an end", "text wi"));
        assert!(lines[1..2000].iter().all(|line| *line == "text witext without an end"));
    }
    assert_eq!(ran.stdout.lines().count(), 3 * 2001);
}

#[test]
fn standard_input_is_the_first_programs() {
    for (programs, expected) in
        [(vec![sample("echo")], "one\ntwo"), (vec![sample("echo"), sample("echo")], "[1] one\n[1] two\n")]
    {
        let mut words = vec!["run"];
        words.extend(programs.iter().map(String::as_str));
        let mut running = start(command(&words).stdin(Stdio::piped()));
        running.child.stdin.take().unwrap().write_all(b"one\ntwo").unwrap();
        let ran = running.finish();
        assert_eq!((ran.status, &*ran.stdout), (0, expected));
    }
}

#[test]
fn arguments_and_environment_reach_the_program() {
    let words = program(
        "words.wat",
        "(drop (call $args_sizes (i32.const 16) (i32.const 20))) (drop (call $args (i32.const 2048) (i32.const 4096)))
        (call $print (i32.const 1) (i32.const 4096) (i32.load (i32.const 20)))
        (drop (call $env_sizes (i32.const 16) (i32.const 20))) (drop (call $env (i32.const 2048) (i32.const 4096)))
        (call $print (i32.const 1) (i32.const 4096) (i32.load (i32.const 20)))",
    );
    let ran = run(&["run", "--env", "A=1", &words, "--env=B=x=y", "--", "--stats", "-x", "--"]);
    assert_eq!(ran.status, 0);
    assert_eq!(ran.stdout, format!("{words}\0--stats\0-x\0--\0A=1\0B=x=y\0"));
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_directory_is_opened_under_its_name() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("opened");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("note"), "a note in a file").unwrap();
    let reader = file(
        "reader.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 64) "note")
            (func (export "_start")
                (drop (call $name (i32.const 3) (i32.const 1024) (i32.const 5)))
                (drop (call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 4) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)))
                (i32.store (i32.const 0) (i32.const 1029)) (i32.store (i32.const 4) (i32.const 64))
                (drop (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 8)))
                (i32.store (i32.const 0) (i32.const 1024))
                (i32.store (i32.const 4) (i32.add (i32.load (i32.const 8)) (i32.const 5)))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    );
    let opened = format!("{}::/data", directory.display());
    let ran = run(&["run", &reader, "--dir", &opened]);
    assert_eq!((ran.status, &*ran.stdout), (0, "/dataa note in a file"));
}

#[test]
fn help_lists_every_status_and_version_says_one() {
    for words in [&["--help"][..], &["run", "--help"], &["help"], &["-h"], &["run", "x.wat", "-h"]] {
        let ran = run(words);
        assert_eq!((ran.status, &*ran.stderr), (0, ""));
        for code in (0..=13).chain([130, 143]) {
            assert!(ran.stdout.contains(&format!("\n  {code:>3}  ")), "{code}");
        }
        assert!(ran.stdout.lines().all(|line| line.len() <= 120));
    }
    assert_eq!(run(&["--version"]).stdout, format!("archipelago {}\n", env!("CARGO_PKG_VERSION")));
}

/// The engine's dispatch is by tail calls where the build is optimized. One that was not made would cost stack at every
/// turn, and two hundred thousand turns would be more than a thread has.
#[test]
fn no_instruction_costs_native_stack() {
    let loops = file(
        "loops.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1 10) (table $t 10 20 funcref) (elem $e func $nop) (data $d "abc")
            (global $g (mut i64) (i64.const 0)) (type $v (func)) (func $nop)
            (func $two (param i32 i64) (result i64) local.get 1)
            (func (export "_start") (local $n i32)
                (table.set (i32.const 0) (ref.func $nop))
                (loop $l
                    (drop (memory.grow (i32.const 0)))
                    (drop (table.grow $t (ref.null func) (i32.const 0)))
                    (memory.fill (i32.const 64) (i32.const 0) (i32.const 10))
                    (memory.copy (i32.const 64) (i32.const 100) (i32.const 10))
                    (memory.init $d (i32.const 64) (i32.const 0) (i32.const 3))
                    (table.fill $t (i32.const 1) (ref.null func) (i32.const 1))
                    (table.copy (i32.const 1) (i32.const 2) (i32.const 1))
                    (table.init $t $e (i32.const 1) (i32.const 0) (i32.const 1))
                    (drop (table.get $t (i32.const 0))) (drop (table.size $t)) (drop (memory.size))
                    (call_indirect (type $v) (i32.const 0)) (call $nop)
                    (drop (call $two (i32.const 1) (i64.const 2)))
                    (global.set $g (i64.add (global.get $g) (i64.load (i32.const 8))))
                    (drop (f64.sqrt (f64.convert_i64_u (global.get $g))))
                    (drop (i32.trunc_sat_f64_s (f64.const 1e99)))
                    (i64.store (i32.const 16) (i64.div_u (i64.const 100) (i64.const 7)))
                    (block (block (block (br_table 0 1 2 (i32.and (local.get $n) (i32.const 3))))))
                    (if (i32.and (local.get $n) (i32.const 1)) (then (nop)) (else (call $nop)))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (br_if $l (i32.lt_u (local.get $n) (i32.const 200000))))))"#,
    );
    // The second one runs on a thread that was started, which has less stack than the first.
    let ran = run(&["run", &loops, &loops]);
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
}
