//! Thousands of interpreters, and two that compute under one GIL.

mod common;

use common::*;

#[test]
fn thousands_of_interpreters_leave_nothing_behind() {
    let count = 10_000;
    let ran = run(&["run", &sample("hello"), "--repeat", &count.to_string(), "--jobs", "2", "--stats"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), count);
    assert!(ran.stderr.contains(&format!("total: {count} interpreters, {count} ok;")), "{}", ran.stderr);
    assert!(ran.stderr.contains("ledgers: all clean"));
    // A line for each of the first hundred, one for the rest, one above and three below.
    assert_eq!(ran.stderr.lines().count(), 105);
    let (before, after) = (ran.number("memory: resident"), ran.number(" KiB before,"));
    assert!(after < before + (8 << 10), "{before} KiB before, {after} KiB after");
}

#[test]
fn two_computing_programs_share_a_gil() {
    let ran = run(&[
        "run",
        "--gil",
        "shared",
        "--switch-interval",
        "10ms",
        &sample("busy"),
        &sample("busy"),
        "--timeout",
        "2s",
        "--stats",
    ]);
    let wall = ran.number("wall");
    let switches = ran.number("switches ");
    // Each switch needs the waiter's request, 10 ms after it began to wait, and the holder's next safepoint. Other
    // processes delay both as they like: how many switches there are is a figure of the scoreboard, on an idle machine.
    assert!(switches >= 3, "{switches} switches in {wall} ms\n{}", ran.stderr);
    assert!(switches <= wall / 10 * 2 + 10, "{switches} switches in {wall} ms\n{}", ran.stderr);
    assert!(ran.number("waits ") >= switches / 2);
    let rows: Vec<_> = ran.stderr.lines().filter(|line| line.ends_with("busy.wat")).collect();
    let fuel = rows.iter().filter_map(|row| row.split_whitespace().nth(5)?.parse::<u64>().ok());
    assert_eq!(fuel.filter(|fuel| *fuel > 0).count(), 2, "both computed\n{}", ran.stderr);
}

#[test]
fn interpreters_have_a_line_each_in_the_statistics() {
    let ran = run(&["run", &sample("hello"), &sample("trap"), "--stats", "--jobs", "1"]);
    let rows: Vec<_> = ran.stderr.lines().filter(|line| line.ends_with(".wat")).collect();
    assert_eq!(rows.len(), 2, "{}", ran.stderr);
    assert!(rows[0].trim_start().starts_with("1 ") && rows[0].contains(" ok "));
    assert!(rows[1].trim_start().starts_with("2 ") && rows[1].contains(" trap "));
    assert!(ran.stderr.contains("total: 2 interpreters, 1 ok, 1 trap; "));
    let cells: Vec<_> = rows[0].split_whitespace().collect();
    let [peak, raw, mem, object] = [6, 7, 8, 9].map(|n: usize| cells[n].parse::<usize>().expect("bytes"));
    assert!(raw > 0 && mem > 0 && peak >= raw.max(mem).max(object), "the peak of each domain: {}", rows[0]);
    assert!(peak <= raw + mem + object + 4096, "{}", rows[0]);
    let alone = run(&["run", &sample("hello"), "--stats"]);
    assert!(alone.stderr.contains("total: 1 interpreters, 1 ok; "));
}
