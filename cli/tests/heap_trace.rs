//! `--heap-trace`: memory by call site and interpreter.

mod common;

use common::*;
use std::{fs, path::Path};

/// The path of a trace that no other test writes, and which is not there.
fn trace(name: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // An earlier run may have left it.
    let _gone = fs::remove_file(&path);
    path.into_os_string().into_string().unwrap()
}

/// The lines of a trace: what stands before the count, and the count.
fn lines(path: &str) -> Vec<(String, usize)> {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let (stack, count) = line.rsplit_once(' ').expect("a stack and a count");
        assert!(stack.split(';').count() >= 3, "an interpreter, a domain and a site: {line}");
        (stack.to_owned(), count.parse().expect("a number of bytes"))
    };
    text.lines().map(line).collect()
}

/// The bytes of one site.
#[track_caller]
fn bytes(lines: &[(String, usize)], stack: &str) -> usize {
    let found: Vec<_> = lines.iter().filter(|(name, _)| name == stack).collect();
    assert_eq!(found.len(), 1, "{stack} in {lines:?}");
    found[0].1
}

/// SPEC: M8
#[test]
fn growth_is_apart_from_what_a_program_begins_with() {
    let grows = file(
        "trace-grows.wat",
        r#"(module (memory 3) (table $t 8 20 funcref) (func (export "_start")
            (drop (memory.grow (i32.const 2))) (drop (memory.grow (i32.const 5)))
            (drop (table.grow $t (ref.null func) (i32.const 4)))))"#,
    );
    let path = trace("grows.folded");
    let ran = run(&["run", &grows, "--heap-trace", &path]);
    assert_eq!((ran.status, &*ran.stdout, &*ran.stderr), (0, "", ""));
    let lines = lines(&path);
    let site = |rest: &str| bytes(&lines, &format!("[1] {grows};{rest}"));
    assert_eq!(site("raw;load;memory"), 3 << 16);
    assert_eq!(site("raw;load;table"), 8 * 4);
    assert_eq!(site("raw;run;memory.grow"), 7 << 16);
    assert_eq!(site("raw;run;table.grow"), 4 * 4);
    assert!(site("raw;create;kernel") > 0);
    assert!(lines.iter().any(|(stack, _)| stack.contains(";mem;")), "the heap is traced too: {lines:?}");
}

/// SPEC: M8
#[test]
fn the_sites_of_an_interpreter_are_all_it_held() {
    let path = trace("sum.folded");
    let ran = run(&["run", &sample("grow"), "--memory-limit", "2MiB", "--heap-trace", &path, "--stats"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    // Nothing of this program is given back before its end, so every other site has its peak at the same time.
    let lines = lines(&path).into_iter().filter(|(stack, _)| !stack.ends_with(";end"));
    let sum: usize = lines.map(|(_, bytes)| bytes).sum();
    assert_eq!(sum as u64, ran.number("highest peak"), "{}", ran.stderr);
}

#[test]
fn every_interpreter_has_lines_under_its_number() {
    let path = trace("several.folded");
    let (hello, grow) = (sample("hello"), sample("grow"));
    for more in [&["--repeat", "2"][..], &["--jobs", "1", "--gil", "shared", "--repeat", "2"]] {
        let words =
            [&["run", &hello, &grow, "--memory-limit", "1MiB", "--heap-trace", &path][..], more].concat();
        let ran = run(&words);
        assert_eq!((ran.status, &*ran.stderr), (0, ""));
        let lines = lines(&path);
        for (number, program) in [(1, &hello), (2, &grow), (3, &hello), (4, &grow)] {
            assert_eq!(bytes(&lines, &format!("[{number}] {program};raw;load;memory")), 1 << 16);
            let grown =
                lines.iter().find(|(name, _)| *name == format!("[{number}] {program};raw;run;memory.grow"));
            assert_eq!(grown.map(|(_, bytes)| *bytes), (number % 2 == 0).then_some(14 << 16));
        }
    }
}

/// What the kernel needs beside a block, where the heap is main's, is not the program's.
///
/// SPEC: M8
#[test]
fn a_heap_of_main_counts_what_was_asked_for() {
    let grow = sample("grow");
    let [own, main] = ["own", "shared"].map(|gil| {
        let path = trace(&format!("asked-{gil}.folded"));
        let ran = run(&["run", &grow, "--memory-limit", "1MiB", "--gil", gil, "--heap-trace", &path]);
        assert_eq!((ran.status, &*ran.stderr), (0, ""));
        lines(&path).into_iter().filter(|(stack, _)| stack.starts_with("[1]")).collect::<Vec<_>>()
    });
    assert!(own.iter().any(|(stack, _)| stack.contains(";mem;")), "{own:?}");
    assert_eq!(own, main);
}

#[test]
fn with_statistics_there_is_a_table_too() {
    let path = trace("table.folded");
    let ran = run(&["run", &sample("grow"), "--memory-limit", "1MiB", "--heap-trace", &path, "--stats"]);
    assert_eq!((ran.status, &*ran.stdout), (0, "15 pages, then refused\n"));
    let (stats, table) = ran.stderr.split_once("ledgers: all clean\n").expect("statistics");
    assert!(stats.contains("total: 1 interpreters, 1 ok;"));
    let rows: Vec<Vec<_>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["peak", "bytes", "domain", "site", "interpreter"]);
    assert_eq!(rows[1], ["917504", "raw", "run", ">", "memory.grow", "[1]", "samples/grow.wat"]);
    assert_eq!(rows[2], ["65536", "raw", "load", ">", "memory", "[1]", "samples/grow.wat"]);
    assert_eq!(rows.len(), 1 + lines(&path).len());
}

#[test]
fn the_trace_tells_of_a_program_that_failed() {
    let path = trace("failed.folded");
    let body = "(drop (memory.grow (i32.const 9))) (loop $l (br $l))";
    let busy = program("trace-busy.wat", body);
    let ran = run(&["run", &busy, "--fuel", "100000", "--heap-trace", &path]);
    assert_eq!(ran.status, 9);
    assert!(ran.report().contains("out of fuel"), "{}", ran.stderr);
    assert_eq!(bytes(&lines(&path), &format!("[1] {busy};raw;run;memory.grow")), 9 << 16);
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_runs() {
    for path in ["no/such/folder/heap.folded", "samples"] {
        let ran = run(&["run", &sample("hello"), "--heap-trace", path]);
        assert_eq!((ran.status, &*ran.stdout), (12, ""), "{}", ran.stderr);
        assert!(ran.report().starts_with(&format!("{path}: output: the heap trace cannot be written: ")));
        assert!(ran.report().ends_with(": check where it leads"), "{}", ran.stderr);
    }
}

#[test]
fn a_trace_that_is_lost_is_the_least_of_failures() {
    let ran = run(&["run", &sample("hello"), "--heap-trace", "/dev/full"]);
    assert_eq!((ran.status, &*ran.stdout), (12, "hello from an interpreter\n"));
    assert!(ran.report().starts_with("/dev/full: output: the heap trace cannot be written: "));
    assert!(ran.report().ends_with(": free some space"), "{}", ran.stderr);
    let ran = run(&["run", &sample("trap"), "--heap-trace", "/dev/full"]);
    assert_eq!((ran.status, ran.stderr.lines().count()), (6, 2), "{}", ran.stderr);
}

#[test]
fn a_program_is_not_overwritten_where_the_file_was_forgotten() {
    let kept = file("trace-kept.wat", "(module)");
    let ran = run(&["run", "--heap-trace", &kept, &sample("hello")]);
    assert_eq!(ran.status, 2);
    assert!(ran.report().starts_with("--heap-trace wants a file to be written, not '"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "(module)");
    assert_eq!(run(&["run", &sample("hello"), "--heap-trace", ""]).status, 2);
    assert_eq!(run(&["run", &sample("hello"), "--heap-trace"]).status, 2);
}
