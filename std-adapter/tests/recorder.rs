//! The recorder: what threads did about GILs.

use std::{sync::mpsc::channel, thread};

use archipelago::{
    InterpreterConfig, Recorder, Runtime,
    recorder::{Activity, Timeline},
};

fn attach(runtime: &Runtime, times: usize) {
    let mut state = runtime.thread_state(runtime.main().unwrap()).unwrap();
    (0..times).for_each(|_| state.attach(|_| ()).unwrap());
}

fn held(timeline: &Timeline, thread: usize) -> usize {
    let spans = timeline.spans().iter();
    spans.filter(|span| span.thread == thread && span.activity == Activity::Holds).count()
}

/// SPEC: G5
#[test]
fn each_thread_has_a_row_and_the_oldest_events_are_lost() {
    let runtime = Runtime::new().unwrap();
    let recorder = Recorder::of(&runtime, 10);
    attach(&runtime, 2);
    let named = runtime.clone();
    thread::Builder::new().name("other".into()).spawn(move || attach(&named, 8)).unwrap().join().unwrap();
    let timeline = recorder.timeline();
    assert_eq!(timeline.threads().len(), 2);
    assert_eq!(timeline.threads()[1], "other");
    assert_eq!((held(&timeline, 0), held(&timeline, 1)), (2, 5), "two events each");
    assert_eq!(timeline.lost(), 6);
    for (before, after) in timeline.spans().iter().zip(&timeline.spans()[1..]) {
        assert!(before.from <= before.to && before.to <= timeline.length());
        assert!(before.thread < after.thread || before.to <= after.from);
    }
    let nothing = Recorder::of(&runtime, 0);
    attach(&runtime, 1);
    assert_eq!((nothing.timeline().spans().len(), nothing.timeline().lost()), (0, 2));
    drop(recorder);
    attach(&runtime, 1);
    assert_eq!(nothing.timeline().lost(), 4, "the other one is gone, this one is told");
}

/// SPEC: G5
#[test]
fn what_is_not_over_lasts_until_the_look() {
    let runtime = Runtime::new().unwrap();
    let recorder = Recorder::of(&runtime, 100);
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let (waits, told) = channel();
    let waiter = state.attach(|cx| {
        let theirs = runtime.clone();
        let waiter = thread::spawn(move || {
            waits.send(()).unwrap();
            theirs.ensure(id, |_| ()).unwrap();
        });
        told.recv().unwrap();
        // It is told after it is counted.
        let timeline = loop {
            let timeline = recorder.timeline();
            if timeline.spans().iter().any(|span| span.activity == Activity::Waits) {
                break timeline;
            }
            thread::yield_now();
        };
        let last: Vec<_> = timeline.spans().iter().filter(|span| span.to == timeline.length()).collect();
        assert!(last.iter().any(|span| span.activity == Activity::Waits), "{timeline:?}");
        assert!(last.iter().any(|span| span.of.thread == cx.thread_id() && span.activity == Activity::Holds));
        waiter
    });
    waiter.unwrap().join().unwrap();
    let switches = recorder.timeline().switches().len();
    assert_eq!(switches, runtime.interpreter(id).unwrap().gil().unwrap().switches);
}
