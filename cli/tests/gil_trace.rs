//! `--trace` and `--timeline`: when threads waited for GILs and held them.

mod common;

use common::*;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

/// The path of a file that no other test writes, and which is not there.
fn path(name: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // An earlier run may have left it.
    let _gone = fs::remove_file(&path);
    path.into_os_string().into_string().unwrap()
}

/// The events of a trace, each begin before its end, one after the other on each thread.
#[track_caller]
fn events(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(trace["otherData"]["lost"], 0);
    let events = trace["traceEvents"].as_array().unwrap().clone();
    let mut open: HashMap<u64, f64> = HashMap::new();
    let mut last: HashMap<u64, f64> = HashMap::new();
    for event in &events {
        let tid = event["tid"].as_u64().unwrap_or(0);
        let at = event["ts"].as_f64().unwrap_or(0.0);
        match event["ph"].as_str().unwrap() {
            "B" => {
                assert!(at >= last.get(&tid).copied().unwrap_or(0.0), "{event} is over another one");
                assert_eq!(open.insert(tid, at), None, "{event} begins inside another one");
            }
            "E" => {
                assert!(at >= open.remove(&tid).expect("its begin"), "{event}");
                last.insert(tid, at);
            }
            "M" | "i" => {}
            _ => panic!("{event}"),
        }
    }
    assert!(open.is_empty(), "all ended");
    events
}

fn of<'a>(events: &'a [Value], phase: &str, category: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["ph"] == phase && event["cat"] == category).collect()
}

/// SPEC: G5
#[test]
fn it_agrees_with_the_statistics() {
    for gil in ["own", "shared"] {
        let trace = path(&format!("agrees-{gil}.json"));
        let text =
            program("gil-trace-text.wat", "(call $print (i32.const 1) (i32.const 1024) (i32.const 4))");
        let ran = run(&["run", &text, "--repeat", "3", "--gil", gil, "--trace", &trace, "--stats"]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let events = events(&trace);
        let switches = of(&events, "i", "switch");
        // The statistics are taken before the end, which attaches once more for each; and so does the drop of its thread
        // state, to which the GIL has to come back where another interpreter had it meanwhile.
        let interpreters = 3;
        let ours = |event: &&&Value| event["args"]["interpreter"] != 0;
        let counted = switches.iter().filter(ours).count() as u64;
        let after = counted.checked_sub(ran.number("switches"));
        let back = if gil == "shared" { interpreters } else { 0 };
        assert!(
            after.is_some_and(|after| (interpreters..=interpreters + back).contains(&after)),
            "--gil {gil}: {counted} in the trace, {}",
            ran.stderr
        );
        let held = of(&events, "B", "hold");
        let gils: HashSet<_> = held.iter().filter(ours).map(|event| event["args"]["gil"].as_u64()).collect();
        assert!(if gil == "shared" { gils.len() == 1 } else { !gils.is_empty() }, "{gils:?}");
        for number in 1..=3 {
            let name = format!("[{number}] {text}");
            assert!(held.iter().any(|event| event["name"] == *name), "{name}");
        }
        // A thread of the system has a row, and every thread state was on one.
        let rows: HashSet<_> =
            events.iter().filter(|e| e["name"] == "thread_name").map(|e| &e["tid"]).collect();
        assert!(held.iter().all(|event| rows.contains(&event["tid"])));
    }
}

/// SPEC: G5
#[test]
fn those_who_wait_are_seen() {
    let trace = path("waits.json");
    // Each computes for some intervals while the others wait.
    let body =
        "(local $n i32) (loop $l (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
        (i32.const 20000000))))";
    let busy = program("gil-trace-busy.wat", body);
    let words = ["run", &busy, "--repeat", "2", "--jobs", "2", "--gil", "shared", "--switch-interval", "1ms"];
    let ran = run(&[&words[..], &["--trace", &trace, "--stats"]].concat());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let events = events(&trace);
    let waits = of(&events, "B", "wait");
    // Creations wait untold, each once at most; an end is told and comes after the statistics.
    assert!(waits.len() as u64 + 2 >= ran.number("waits"), "{} of {}", waits.len(), ran.stderr);
    assert!(!waits.is_empty());
}

/// SPEC: G5
#[test]
fn the_timeline_is_a_picture() {
    let (trace, timeline) = (path("both.json"), path("both.svg"));
    let odd = program("gil<&>trace.wat", "(nop)");
    let ran = run(&["run", &odd, &sample("hello"), "--timeline", &timeline, "--trace", &trace]);
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    let picture = fs::read_to_string(&timeline).unwrap();
    assert!(
        picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && picture.ends_with("</svg>\n")
    );
    assert!(picture.contains("gil&lt;&amp;&gt;trace.wat"), "{picture}");
    for element in ["rect", "text", "title"] {
        let begun = picture.matches(&format!("<{element}")).count();
        let ended = picture.matches(&format!("</{element}>")).count();
        assert!(begun > 0 && (element == "rect" || begun == ended), "{element}: {begun} and {ended}");
    }
    assert!(!of(&events(&trace), "B", "hold").is_empty());
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_runs() {
    for (option, what) in [("--trace", "the trace"), ("--timeline", "the timeline")] {
        let ran = run(&["run", &sample("hello"), option, "no/such/folder/file"]);
        assert_eq!((ran.status, &*ran.stdout), (12, ""), "{}", ran.stderr);
        assert!(
            ran.report().starts_with(&format!("no/such/folder/file: output: {what} cannot be written: "))
        );
        assert!(ran.report().ends_with(": check where it leads"), "{}", ran.stderr);
        let ran = run(&["run", &sample("hello"), option, "/dev/full"]);
        assert_eq!((ran.status, &*ran.stdout), (12, "hello from an interpreter\n"));
        assert!(ran.report().ends_with(": free some space"), "{}", ran.stderr);
        assert_eq!(run(&["run", &sample("hello"), option]).status, 2);
        let kept = file("gil-trace-kept.wat", "(module)");
        let ran = run(&["run", option, &kept, &sample("hello")]);
        assert!(
            ran.report().starts_with(&format!("{option} wants a file to be written, not '")),
            "{}",
            ran.stderr
        );
        assert_eq!(fs::read_to_string(&kept).unwrap(), "(module)");
    }
}
