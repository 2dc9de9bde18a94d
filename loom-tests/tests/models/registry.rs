//! Group d: the registry.

use archipelago_kernel::{
    config::InterpreterConfig,
    error::{LookupError, ThreadError},
    interpreter::InterpreterId,
};
use archipelago_loom_tests::{LoomRuntime, model, own_gil};
use loom::thread;

fn listed(rt: LoomRuntime) -> Vec<InterpreterId> {
    let mut names = [rt.main().unwrap(); 4];
    let count = rt.list(&mut names);
    names[..count].to_vec()
}

/// Model 7: two creators get different names, and the list has both in the order of their numbers.
#[test]
fn two_creators() {
    model("two_creators", |rt| {
        let _ = rt.initialize(None).unwrap();
        let thread = thread::spawn(move || own_gil(rt).interpreter());
        let (mine, other) = (own_gil(rt).interpreter(), thread.join().unwrap());
        assert_ne!(mine, other);
        let names = listed(rt);
        assert_eq!(names.len(), 3);
        assert!(names.is_sorted());
        assert!(names.contains(&mine) && names.contains(&other));
        assert_eq!(rt.head(), names.last().copied());
    });
}

/// Model 7: lists and look-ups against an end.
#[test]
fn lookup_against_end() {
    model("lookup_against_end", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let (first, last) = (own_gil(rt).interpreter(), own_gil(rt).interpreter());
        let thread = thread::spawn(move || rt.end(first, None).unwrap());
        let names = listed(rt);
        assert!(names == [main, first, last] || names == [main, last], "{names:?}");
        assert!(matches!(rt.next(last), Some(id) if id == first || id == main));
        match rt.interpreter(first) {
            Ok(handle) => assert!(matches!(handle.threads(), Ok(0 | 1) | Err(LookupError::NotFound))),
            Err(error) => assert_eq!(error, LookupError::NotFound),
        }
        thread.join().unwrap();
        assert_eq!(listed(rt), [main, last]);
    });
}

/// Model 7: a number is never given twice, also when a slot is.
#[test]
fn end_against_create() {
    model("end_against_create", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let first = own_gil(rt).interpreter();
        let thread = thread::spawn(move || rt.end(first, None).unwrap());
        let second = rt.create(&InterpreterConfig::legacy(), None).unwrap().interpreter();
        thread.join().unwrap();
        assert!(second > first);
        assert_eq!(listed(rt), [main, second]);
        assert_eq!(rt.interpreter(first).err(), Some(LookupError::NotFound));
    });
}

/// Model 7: a thread state is made in a running interpreter or not at all.
#[test]
fn new_thread_state_against_end() {
    model("new_thread_state_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let thread = thread::spawn(move || rt.end(id, None).unwrap());
        match rt.thread_state(id) {
            Ok(mut state) => {
                let _ = state.attach(|cx| assert_eq!(cx.id(), id));
            }
            Err(error) => assert!(matches!(error, ThreadError::NotFound | ThreadError::Finalizing)),
        }
        thread.join().unwrap();
        assert_eq!(rt.count(), 1);
    });
}

/// Model 7: `ensure` on a foreign thread, against the end.
#[test]
fn ensure_against_end() {
    model("ensure_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let thread = thread::spawn(move || {
            let _ = rt.ensure(id, |cx| assert_eq!(cx.id(), id));
        });
        rt.end(id, None).unwrap();
        thread.join().unwrap();
        assert_eq!(rt.count(), 1);
    });
}
