//! Being told to stop, by a signal or by a time-out, while blocked in every possible way.
//!
//! Nothing here asserts how fast: the bounds are far below an hour, which the programs would take.

mod common;

use common::*;
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Commands that are blocked: reading, sleeping, writing to a full pipe, computing; alone and with another.
fn blocked() -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for name in ["echo", "sleep", "flood", "busy"] {
        commands.push(vec![sample(name)]);
        // The first one reads.
        commands.push(vec![sample(name), sample("sleep")]);
    }
    commands.push(vec![sample("echo"), sample("sleep"), sample("flood"), sample("flood")]);
    commands
}

fn run_blocked(programs: &[String], more: &[&str]) -> Command {
    let mut words = vec!["run"];
    words.extend(programs.iter().map(String::as_str));
    words.extend(more);
    let mut command = command(&words);
    command.stdin(Stdio::piped());
    command
}

#[test]
fn a_time_out_ends_what_is_blocked() {
    for programs in blocked() {
        let mut running = start(&mut run_blocked(&programs, &["--timeout", "100ms"]));
        // Standard input stays open and nobody reads standard output until it is over.
        let status = running.status();
        assert_eq!(status, 10, "{programs:?}");
        let ran = running.finish();
        assert!(ran.stderr.contains("time-out: "), "{programs:?}: {}", ran.stderr);
    }
}

#[test]
fn a_signal_ends_what_is_blocked_and_each_is_reported() {
    for (signal, status, word) in [("INT", 130, "interrupted: "), ("TERM", 143, "terminated: ")] {
        for programs in blocked() {
            let mut all = programs.clone();
            all.push(sample("hello"));
            let mut running = start(&mut run_blocked(&all, &["--stats"]));
            // Signals are watched before the first program runs.
            let mut line = String::new();
            while !line.ends_with("hello") {
                line.push_str(&running.read(1));
            }
            running.signal(signal);
            assert_eq!(running.status(), status, "{programs:?}");
            let ran = running.finish();
            let reports = ran.stderr.lines().filter(|line| line.contains(word)).count();
            // The one that said hello may be met in its last step.
            assert!([programs.len(), all.len()].contains(&reports), "{programs:?}: {}", ran.stderr);
            assert!(ran.stderr.contains("ledgers: all clean"), "{}", ran.stderr);
        }
    }
}

#[test]
fn a_program_alone_is_interrupted_while_it_reads() {
    let mut running = start(&mut run_blocked(&[sample("echo")], &[]));
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(b"here\n").unwrap();
    assert_eq!(running.read(5), "here\n");
    running.signal("INT");
    let ran = running.finish();
    assert_eq!(ran.status, 130);
    assert!(ran.report().contains("samples/echo.wat: interrupted: "));
    drop(stdin);
}

#[test]
fn what_waits_in_the_queue_is_not_started() {
    let mut running =
        start(&mut run_blocked(&[sample("hello"), sample("sleep"), sample("sleep")], &["--jobs", "1"]));
    running.read("[1] hello".len());
    running.signal("INT");
    let ran = running.finish();
    assert_eq!(ran.status, 130);
    assert!(ran.stderr.contains(" interpreters were not started"), "{}", ran.stderr);
}

#[test]
fn standard_error_may_be_full_too() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = run_blocked(&[sample("flood"), sample("flood")], &["--timeout", "100ms"]);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut running = start(&mut command);
    drop(command);
    assert_eq!(running.status(), 10);
    drop(reader);
}

#[test]
fn no_line_is_torn_when_writers_are_stopped() {
    let mut running = start(&mut run_blocked(&[sample("flood"), sample("flood")], &["--timeout", "2s"]));
    // The reader is slow at first, so that writers wait in the middle of a block, and then takes everything.
    running.read(10);
    std::thread::sleep(core::time::Duration::from_millis(100));
    let ran = running.finish();
    assert_eq!(ran.status, 10);
    let whole = |line: &&str| matches!(*line, "[1] flood" | "[2] flood");
    let torn: Vec<_> = ran.stdout.lines().skip(1).filter(|line| !whole(line)).collect();
    assert!(torn.is_empty(), "{torn:?}");
}
