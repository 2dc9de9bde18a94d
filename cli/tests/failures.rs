//! Everything that goes wrong: one line that says what, where and what to do, and a status of its own.

mod common;

use common::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::{
    fs, io,
    process::{Command, Stdio},
};

/// Runs one program, and checks its status and that its report has these words.
#[track_caller]
fn fails(words: &[&str], status: i32, said: &[&str]) {
    let ran = run(words);
    assert_eq!(ran.status, status, "{}", ran.stderr);
    for part in said {
        assert!(ran.report().contains(part), "{part:?} is missing in {:?}", ran.report());
    }
}

#[test]
fn the_command_line_is_wrong() {
    let hello = &sample("hello");
    let cases: &[(&[&str], &str)] = &[
        (&[], "nothing to do"),
        (&["walk"], "there is no command 'walk'"),
        (&["--fast"], "unknown option '--fast'"),
        (&["run"], "no program to run"),
        (&["run", "--", "x"], "no program to run"),
        (&["run", "", hello], "a program has an empty name"),
        (&["run", hello, "--fast"], "unknown option '--fast'"),
        (&["run", hello, "-q"], "unknown option '-q'"),
        (&["run", hello, "--gil", "none"], "--gil wants 'own' or 'shared', not 'none'"),
        (&["run", hello, "--gil", "default"], "--gil wants"),
        (&["run", hello, "--memory-limit", "a lot"], "--memory-limit wants a size"),
        (&["run", hello, "--timeout", "10"], "--timeout wants a time above zero with its unit"),
        (&["run", hello, "--timeout", "0s"], "--timeout wants a time above zero"),
        (&["run", hello, "--memory-limit", "0"], "--memory-limit wants a size above zero"),
        (
            &["run", hello, "--memory-limit", "99999999999GiB"],
            "'99999999999GiB' is too large (at most 18446744073709551615 bytes)",
        ),
        (&["run", hello, "--timeout", "9000000h"], "--timeout is longer than 100 years"),
        (
            &["run", hello, hello, "--switch-interval", "9000000h"],
            "--switch-interval is longer than 100 years",
        ),
        (&["run", hello, "--fuel", "-1"], "--fuel wants a number above zero"),
        (&["run", hello, "--fuel", "0"], "--fuel wants a number above zero"),
        (&["run", hello, "--fuel", "18446744073709551616"], "is too large (at most 18446744073709551615)"),
        (&["run", hello, "--switch-interval", "0s"], "--switch-interval wants"),
        (&["run", hello, "--repeat", "0"], "--repeat wants a number above zero"),
        (&["run", hello, "--repeat", "99999999999999999999"], "is too large (at most 18446744073709551615)"),
        (&["run", hello, "--jobs", "0"], "--jobs wants a number above zero"),
        (&["run", hello, "--jobs", "99999999999999999999"], "--jobs: '99999999999999999999' is too large"),
        (&["run", hello, "--dir", ""], "--dir wants HOST or HOST::GUEST, none of them empty, not ''"),
        (&["run", hello, "--dir", "::/data"], "--dir wants HOST"),
        (&["run", hello, "--dir", "samples::"], "--dir wants HOST"),
        (&["run", hello, "--env", "PATH"], "--env wants NAME=VALUE"),
        (&["run", hello, "--env", "=x"], "--env wants NAME=VALUE"),
        (&["run", hello, "--timeout"], "--timeout wants a value"),
        (&["run", hello, "--stats=yes"], "unexpected argument"),
        (&["run", hello, hello, "--repeat", "18446744073709551615"], "--repeat is too large"),
    ];
    for (words, said) in cases {
        fails(words, 2, &[said]);
    }
}

#[test]
fn the_file_cannot_be_read() {
    fails(&["run", "no/such/file.wat"], 3, &["no/such/file.wat: cannot read: ", "check the path"]);
    let ran = run(&["run", &sample("hello"), "--", "no-such-file"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let ran = run(&["run", &sample("hello"), "no-such-file"]);
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(ran.report().ends_with("check the path (arguments of programs go after `--`)"), "{}", ran.stderr);
    fails(&["run", "samples"], 3, &["samples: cannot read: ", "name a .wasm or .wat file"]);
    fails(&["run", "samples"], 3, &["it is a directory, not a regular file"]);
    fails(&["run", "/dev/zero"], 3, &["it is a device, not a regular file", "name a .wasm or .wat file"]);
}

#[test]
fn a_pipe_is_no_program_and_is_not_waited_for() {
    let pipe = format!("{}.pipe", file("piped.wasm", ""));
    // An earlier run may have left it.
    let _gone = fs::remove_file(&pipe);
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    fails(&["run", &pipe], 3, &["cannot read: it is a pipe, not a regular file", "name a .wasm"]);
}

#[test]
fn the_file_is_no_program() {
    let cases: [(&str, &[u8], &str); 8] = [
        ("empty.wasm", b"", "neither a WebAssembly module"),
        ("text.wasm", b"hello", "neither a WebAssembly module"),
        ("cut.wasm", b"\0asm\x01\0\0\0\x01\x07\x01", "ends in the middle"),
        ("invalid.wasm", b"\0asm\x01\0\0\0\x63\x03\0\0\0", "invalid module at byte"),
        ("component.wasm", b"\0asm\x0d\0\x01\0", "component"),
        ("syntax.wat", b"(module (func", "does not parse: expected `)` in line 1, column 14"),
        ("no-start.wat", b"(module)", "no function \"_start\""),
        ("start-takes.wat", br#"(module (func (export "_start") (param i32)))"#, "takes 1 arguments"),
    ];
    for (name, bytes, said) in cases {
        fails(&["run", &file(name, bytes)], 4, &[name, "not a program: ", said]);
    }
}

#[test]
fn an_import_does_not_exist() {
    let import = |module: &str, name: &str, ty: &str| {
        format!(r#"(module (import "{module}" "{name}" {ty}) (func (export "_start")))"#)
    };
    let cases = [
        ("import-module.wat", import("env", "f", "(func)"), "\"env\" \"f\", which nobody provides"),
        ("import-name.wat", import("wasi_snapshot_preview1", "fd_fly", "(func)"), "\"fd_fly\""),
        (
            "import-type.wat",
            import("wasi_snapshot_preview1", "fd_close", "(func (param i64))"),
            "\"fd_close\" as",
        ),
    ];
    for (name, text, said) in cases {
        fails(&["run", &file(name, text)], 5, &[name, "import: ", said]);
    }
}

#[test]
fn a_program_traps() {
    fails(&["run", &sample("trap")], 6, &["samples/trap.wat: trap: ", "outside its linear memory: repair"]);
    fails(&["run", &program("unreachable.wat", "unreachable")], 6, &["a panic or an abort"]);
    let start = r#"(module (func $s unreachable) (start $s) (func (export "_start")))"#;
    fails(&["run", &file("trap-start.wat", start)], 6, &["unreachable"]);
}

#[test]
fn calls_nest_too_deep() {
    fails(&["run", &program("deep.wat", "(call $again)")], 7, &["stack overflow: ", "recursion"]);
}

#[test]
fn memory_is_limited() {
    let hello = &sample("hello");
    let ran = run(&["run", hello, "--memory-limit", "100"]);
    let (_, least) = ran.report().rsplit_once("give --memory-limit at least ").expect("how much it takes");
    let below = (least.parse::<usize>().unwrap() - 1).to_string();
    let said =
        format!("limit of {below} bytes is less than the {least} bytes an interpreter takes before its");
    fails(&["run", hello, "--memory-limit", &below], 8, &[&said]);
    fails(&["run", hello, "--memory-limit", least], 8, &[" bytes were refused; limit "]);
    let too_large = &["limit 65536 bytes, peak ", ": raise --memory-limit"];
    fails(&["run", hello, "--memory-limit", "64KiB"], 8, too_large);
    // Refused growth is the program's to handle; if it fails afterwards, that is said.
    let ran = run(&["run", &sample("grow"), "--memory-limit", "1MiB"]);
    assert_eq!((ran.status, &*ran.stdout), (0, "15 pages, then refused\n"));
    for (name, end) in [("grow-trap.wat", "unreachable"), ("grow-exit.wat", "(call $exit (i32.const 7))")] {
        let body = format!("(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then {end}))");
        let said = &["memory limit: 6553600 bytes more were refused", "limit 1048576 bytes, peak "];
        fails(&["run", &program(name, &body), "--memory-limit", "1MiB"], 8, said);
    }
}

#[test]
fn the_memory_of_the_machine_is_limited() {
    let module = |has: &str| format!(r#"(module {has} (func (export "_start")))"#);
    let memory = file("machine-memory.wat", module("(memory 65536)"));
    let table = file("machine-table.wat", module("(table 1000000000 funcref)"));
    for (program, more) in [(&memory, ""), (&table, ""), (&memory, "--memory-limit 8GiB")] {
        let line =
            format!("ulimit -v 2000000; exec {} run {program} {more}", env!("CARGO_BIN_EXE_archipelago"));
        let ran = start(Command::new("sh").args(["-c", &line]).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let ran = ran.finish();
        assert_eq!(ran.status, 8, "{}", ran.stderr);
        assert!(ran.report().contains(": memory limit: its memories and tables cannot be had: free memory"));
    }
}

#[test]
fn fuel_and_time_run_out() {
    let busy = &sample("busy");
    fails(&["run", busy, "--fuel", "1000000"], 9, &["used up its 1000000 units of fuel: raise --fuel"]);
    fails(&["run", busy, "--timeout", "50ms"], 10, &["did not end within 50ms: raise --timeout"]);
    fails(&["run", &sample("sleep"), "--timeout", "50ms"], 10, &["samples/sleep.wat: time-out"]);
}

#[test]
fn an_interpreter_cannot_be_set_up() {
    let hello = &sample("hello");
    let missing = &["--dir /no/such/directory cannot be opened: ", ": check the path, or create it"];
    fails(&["run", hello, "--dir", "/no/such/directory"], 11, missing);
    fails(&["run", hello, "--dir", "/no/such/directory", "--repeat", "100"], 11, missing);
    fails(
        &["run", hello, "--dir", hello],
        11,
        &["--dir samples/hello.wat cannot be opened", "name a directory"],
    );
}

#[test]
fn a_time_out_that_nobody_can_watch_is_refused() {
    // No address space has room for such a stack, so no thread can be had but the first.
    let mut command = command(&["run", &sample("sleep"), "--timeout", "1h"]);
    let ran = start(command.env("RUST_MIN_STACK", (1_u64 << 60).to_string())).finish();
    assert_eq!(ran.status, 11, "{}", ran.stderr);
    assert!(ran.report().contains("--timeout cannot be kept, for no thread can be had: "), "{}", ran.stderr);
}

#[test]
fn output_cannot_be_written() {
    for (programs, name) in [(1, "samples/hello.wat"), (2, "[1] samples/hello.wat")] {
        let hello = sample("hello");
        let mut words = vec!["run"; 1];
        words.extend([&*hello; 2].into_iter().take(programs));
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        for (stdout, said) in
            [(Stdio::from(full), "free some space"), (Stdio::from(writer), "nobody reads it")]
        {
            let ran = start(command(&words).stdout(stdout)).finish();
            assert_eq!(ran.status, 12, "{}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), programs);
            assert!(ran.stderr.contains(name) && ran.stderr.contains("output: its output cannot be written"));
            assert!(ran.stderr.lines().all(|line| line.contains(said)), "{}", ran.stderr);
        }
    }
    // A program that looks away has lost its output all the same.
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let ignores = "(drop (call $write (i32.const 1) (i32.const 1016) (i32.const 1) (i32.const 8)))";
    let ran = start(command(&["run", &program("ignores.wat", ignores)]).stdout(writer)).finish();
    assert_eq!(ran.status, 0, "nothing was written, so nothing was lost: {}", ran.stderr);
    let ignores = format!("(i32.store (i32.const 1020) (i32.const 4)) {ignores}");
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let ran = start(command(&["run", &program("ignores.wat", &ignores)]).stdout(writer)).finish();
    assert_eq!(ran.status, 12, "{}", ran.stderr);
}

#[test]
fn help_cannot_be_written() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let ran = start(command(&["--help"]).stdout(writer)).finish();
    assert_eq!(ran.status, 12);
    assert!(ran.report().contains("standard output cannot be written"));
}

#[test]
fn a_program_ends_with_an_exit_code() {
    for code in [1, 3, 255, -1] {
        fails(&["run", &exits(code)], 1, &[&format!("exit: it ended with exit code {code}")]);
    }
}

#[test]
fn the_others_run_on_and_the_lowest_number_gives_the_status() {
    let (hello, trap, three) = (sample("hello"), sample("trap"), exits(3));
    let ran = run(&["run", &hello, "missing.wat", &trap, &three, &hello, "--jobs", "1"]);
    assert_eq!(ran.status, 3);
    assert_eq!(ran.sorted(), ["[1] hello from an interpreter", "[5] hello from an interpreter"]);
    let reports: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(reports.len(), 3, "{}", ran.stderr);
    for (report, begin) in
        reports.iter().zip(["[2] missing.wat: cannot", "[3] samples/trap.wat: trap", "[4] "])
    {
        assert!(report.starts_with(&format!("archipelago: {begin}")), "{report}");
    }
    assert_eq!(run(&["run", &three, &trap]).status, 1);
    assert_eq!(run(&["run", &trap, &three]).status, 6);
}

#[test]
fn as_many_as_there_are_numbers_can_be_stopped() {
    let all = usize::MAX.to_string();
    let mut running = start(&mut command(&["run", &sample("hello"), "--repeat", &all, "--jobs", "1"]));
    running.read("[1] hello".len());
    running.signal("INT");
    let ran = running.finish();
    assert_eq!(ran.status, 130, "{}", ran.stderr);
    let (count, _) = ran.stderr.split_once(" interpreters were not started").expect("what was not done");
    let count: usize = count.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count > usize::MAX / 2, "{}", ran.stderr);
}

#[test]
fn many_failures_are_told_once_or_counted() {
    let ran = run(&["run", "missing.wat", "--repeat", "500"]);
    assert_eq!(ran.status, 3);
    assert!(ran.report().contains("missing.wat: cannot read"));
    let ran = run(&["run", &sample("trap"), "--repeat", "150", "--jobs", "2"]);
    assert_eq!((ran.status, ran.stderr.lines().count()), (6, 101));
    assert!(ran.stderr.ends_with("archipelago: 50 more failures; --stats counts them\n"));
}
