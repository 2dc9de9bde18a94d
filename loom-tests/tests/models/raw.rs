//! Group f: the raw layer, whose thread states any thread may name.
#![allow(unsafe_code)]

use archipelago_kernel::{
    error::{AttachError, EndError, ThreadError},
    raw,
};
use archipelago_loom_tests::{Guarded, LoomRuntime, model, own_gil};
use loom::thread;

type State = raw::RawThreadState<archipelago_loom_tests::LoomHost>;

fn new(rt: LoomRuntime) -> State {
    let id = own_gil(rt).interpreter();
    // SAFETY: [R1] for all of this file: one runtime, and attaches close in order.
    unsafe { raw::thread_new(rt, id) }.unwrap()
}

/// Model 1: one thread state, two threads: in turn or refused, never both.
#[test]
fn one_state_two_threads() {
    model("raw::one_state_two_threads", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (state, number) = (new(rt), Guarded::new());
        let run = move |number: &Guarded| {
            // SAFETY: as in `new`.
            unsafe {
                match raw::attach(rt, state) {
                    Ok(()) => {
                        number.bump();
                        // Suspended meanwhile, with its record open.
                        raw::with_token(rt, |cx| cx.detach(|| ())).unwrap();
                        assert!(raw::detach(rt) == Ok(state));
                        1
                    }
                    Err(error) => {
                        assert_eq!(error, AttachError::AlreadyAttached);
                        0
                    }
                }
            }
        };
        let theirs = number.clone();
        let thread = thread::spawn(move || run(&theirs));
        let mine = run(&number);
        let ran = mine + thread.join().unwrap();
        assert!(ran > 0);
        assert_eq!(number.get(), ran);
    });
}

/// Model 6: a thread state is attached or deleted, not both.
#[test]
fn attach_against_delete() {
    model("raw::attach_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = new(rt);
        // SAFETY: as in `new`.
        unsafe {
            raw::attach(rt, state).unwrap();
            raw::thread_clear(rt, state).unwrap();
            raw::detach(rt).unwrap();
        }
        let thread = thread::spawn(move || {
            // SAFETY: as in `new`.
            match unsafe { raw::attach(rt, state) } {
                Ok(()) => {
                    // SAFETY: as in `new`.
                    unsafe {
                        assert!(state.id(rt).is_ok(), "it is not deleted while it is attached");
                        assert!(raw::detach(rt) == Ok(state));
                    }
                    true
                }
                Err(error) => {
                    assert!(matches!(error, AttachError::AlreadyAttached | AttachError::Ended));
                    false
                }
            }
        });
        // SAFETY: as in `new`.
        let deleted = unsafe { raw::thread_delete(rt, state) };
        assert!(matches!(deleted, Ok(()) | Err(ThreadError::InUse)));
        assert!(thread.join().unwrap() || deleted.is_ok());
    });
}

/// Model 3: two threads swap crosswise between two GILs.
#[test]
fn swapping_crosswise() {
    model("raw::swapping_crosswise", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (a, b) = (new(rt), new(rt));
        let number = [Guarded::new(), Guarded::new()];
        // SAFETY: as in `new`.
        let (a2, b2) = unsafe {
            let id = |state: State| state.interpreter(rt).unwrap();
            (raw::thread_new(rt, id(a)).unwrap(), raw::thread_new(rt, id(b)).unwrap())
        };
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            // SAFETY: as in `new`.
            unsafe {
                raw::attach(rt, b2).unwrap();
                theirs[1].bump();
                assert!(raw::swap(rt, Some(a2)) == Ok(Some(b2)));
                theirs[0].bump();
                raw::detach(rt).unwrap();
            }
        });
        // SAFETY: as in `new`.
        unsafe {
            raw::attach(rt, a).unwrap();
            number[0].bump();
            assert!(raw::swap(rt, Some(b)) == Ok(Some(a)));
            number[1].bump();
            raw::detach(rt).unwrap();
        }
        thread.join().unwrap();
        assert_eq!(number.map(|number| number.get()), [2, 2]);
    });
}

/// Model 7: a swap in one interpreter hands its activation over, and of two that want one thread state one gets it.
#[test]
fn swap_against_attach() {
    model("raw::swap_against_attach", |rt| {
        let _ = rt.initialize(None).unwrap();
        let a = new(rt);
        // SAFETY: as in `new`.
        let id = unsafe { a.interpreter(rt) }.unwrap();
        // SAFETY: as in `new`.
        let b = unsafe { raw::thread_new(rt, id) }.unwrap();
        let number = Guarded::new();
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            // SAFETY: as in `new`.
            unsafe {
                match raw::attach(rt, b) {
                    Ok(()) => {
                        theirs.bump();
                        assert!(raw::detach(rt) == Ok(b));
                        1
                    }
                    Err(error) => {
                        assert_eq!(error, AttachError::AlreadyAttached);
                        0
                    }
                }
            }
        });
        // SAFETY: as in `new`.
        let mine = unsafe {
            raw::attach(rt, a).unwrap();
            let swapped = raw::swap(rt, Some(b));
            number.bump();
            assert!(matches!(swapped, Ok(_) | Err(AttachError::AlreadyAttached)));
            assert!(raw::detach(rt) == Ok(if swapped.is_ok() { b } else { a }));
            swapped.is_ok()
        };
        let ran = thread.join().unwrap();
        assert!(mine || ran > 0);
        assert_eq!(number.get(), 1 + ran);
        assert_eq!(rt.interpreter(id).unwrap().stats().unwrap().activations, 0);
    });
}

/// Model 8: the end waits for the activation that a swap handed over.
#[test]
fn swap_against_end() {
    model("raw::swap_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let a = new(rt);
        // SAFETY: as in `new`.
        let id = unsafe { a.interpreter(rt) }.unwrap();
        // SAFETY: as in `new`.
        unsafe {
            let b = raw::thread_new(rt, id).unwrap();
            raw::attach(rt, a).unwrap();
            let thread = thread::spawn(move || assert!(rt.end(id, None).is_ok()));
            match raw::swap(rt, Some(b)) {
                Ok(_) => {
                    assert!(b.id(rt).is_ok(), "it lives while it is attached");
                    assert!(raw::detach(rt) == Ok(b));
                }
                Err(error) => {
                    assert_eq!(error, AttachError::Finalizing);
                    assert!(raw::detach(rt) == Ok(a));
                }
            }
            thread.join().unwrap();
        }
    });
}

/// Model 4: the end from inside, against an attach.
#[test]
fn end_from_inside() {
    model("raw::end_from_inside", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = new(rt);
        // SAFETY: as in `new`.
        let other = unsafe { raw::thread_new(rt, state.interpreter(rt).unwrap()) }.unwrap();
        let thread = thread::spawn(move || {
            // SAFETY: as in `new`.
            unsafe {
                match raw::attach(rt, other) {
                    Ok(()) => drop(raw::detach(rt).unwrap()),
                    Err(error) => assert!(matches!(error, AttachError::Finalizing | AttachError::Ended)),
                }
            }
        });
        // SAFETY: as in `new`.
        unsafe {
            raw::attach(rt, state).unwrap();
            raw::end_interpreter(rt, state, None).unwrap();
            assert!(raw::current(rt).is_none());
        }
        thread.join().unwrap();
        assert_eq!(rt.count(), Ok(1));
    });
}

/// Model 9: finalization takes away what was cleared and left at that.
#[test]
fn finalize_against_clear() {
    model("raw::finalize_against_clear", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = new(rt);
        let thread = thread::spawn(move || {
            // SAFETY: as in `new`.
            unsafe {
                if raw::attach(rt, state).is_ok() {
                    match raw::interpreter_clear(rt, state, None) {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error, EndError::InProgress),
                    }
                    raw::detach(rt).unwrap();
                }
            }
        });
        rt.finalize(None).unwrap();
        thread.join().unwrap();
        assert_eq!(rt.count(), Ok(0));
    });
}
