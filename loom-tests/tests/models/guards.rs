//! Group q: guards and views against the end.

use core::time::Duration;

use archipelago_kernel::error::{AttachError, EndError, GuardError};
use archipelago_loom_tests::{Guarded, model, own_gil, second};
use loom::thread;

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Whoever has a guard gets in.
fn enters(answer: Result<(), AttachError>) {
    assert_eq!(answer, Ok(()));
}

/// Model 14: a guard is given and kept, or refused because of the end.
#[test]
fn guard_against_end() {
    model("guards::guard_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let view = rt.interpreter(id).unwrap().view().unwrap();
        let number = Guarded::new();
        let theirs = number.clone();
        let thread = thread::spawn(move || match view.guard() {
            Ok(guard) => {
                enters(guard.ensure(|_| {
                    theirs.bump();
                }));
                1
            }
            Err(error) => {
                assert!(matches!(error, GuardError::Finalizing | GuardError::Ended), "{error}");
                0
            }
        });
        assert!(rt.end(id, None).unwrap().is_clean());
        // Read without the GIL: whoever had a guard left before.
        let seen = number.get();
        assert_eq!(thread.join().unwrap(), seen);
        assert!(rt.interpreter(id).is_err());
    });
}

/// Model 14: two that give their guards back wake the end.
#[test]
fn two_guards_against_end() {
    model("guards::two_guards_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let view = rt.interpreter(id).unwrap().view().unwrap();
        let threads =
            [view.guard().unwrap(), view.guard().unwrap()].map(|guard| thread::spawn(move || drop(guard)));
        assert!(rt.end(id, None).is_ok());
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Model 14: without patience nothing has changed, or it is done.
#[test]
fn guard_against_an_end_that_does_not_wait() {
    model("guards::guard_against_an_end_that_does_not_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let guard = rt.interpreter(id).unwrap().guard().unwrap();
        let view = guard.view();
        let thread = thread::spawn(move || {
            enters(guard.ensure(|_| ()));
            drop(guard);
            // Of the interpreter as it is after the end that went back.
            view.guard().map(drop)
        });
        let ended = rt.end(id, NOW).map(drop);
        let again = thread.join().unwrap();
        match ended {
            Ok(()) => assert!(matches!(again, Ok(()) | Err(GuardError::Finalizing | GuardError::Ended))),
            Err(error) => {
                assert!(matches!(error, EndError::StillGuarded | EndError::StillActive), "{error}");
                if error == EndError::StillGuarded {
                    assert!(matches!(again, Ok(()) | Err(GuardError::Finalizing)), "{again:?}");
                    enters(view.ensure(|_| ()));
                    assert!(rt.end(id, NOW).is_ok());
                }
            }
        }
        assert!(rt.interpreter(id).is_err(), "nobody is left to keep it");
    });
}

/// Model 14: a view of before gives no guard of the slot's next interpreter.
#[test]
fn stale_view() {
    model("guards::stale_view", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let view = rt.interpreter(id).unwrap().view().unwrap();
        let thread = thread::spawn(move || match view.guard() {
            // Before the end, which waits for it then.
            Ok(guard) => assert_eq!(guard.ensure(|cx| cx.id()), Ok(id)),
            Err(error) => assert!(
                matches!(error, GuardError::Finalizing | GuardError::Ended | GuardError::NotReady),
                "{error}"
            ),
        });
        rt.end(id, None).unwrap();
        let next = own_gil(rt);
        thread.join().unwrap();
        assert!(rt.end(next.interpreter(), NOW).is_ok(), "no count is left in it");
    });
}

/// Model 14: a token by a view, while the interpreter ends.
#[test]
fn ensure_by_view_against_end() {
    model("guards::ensure_by_view_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let view = rt.interpreter(id).unwrap().view().unwrap();
        let thread = thread::spawn(move || match view.ensure(|cx| drop(cx.alloc_plain(1_u8))) {
            Ok(()) | Err(AttachError::Finalizing | AttachError::Ended) => {}
            Err(other) => panic!("{other}"),
        });
        assert!(rt.end(id, None).unwrap().is_clean());
        thread.join().unwrap();
    });
}

/// Model 14: labels come and go while somebody asks for them and the end waits.
#[test]
fn labels_against_end() {
    model("guards::labels_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let interpreter = rt.interpreter(id).unwrap();
        let kept = interpreter.view().unwrap().guard_labelled("kept").unwrap();
        let thread = thread::spawn(move || {
            let second = kept.view().guard_labelled("second");
            let mut labels = [""; 2];
            if let Ok(count) = interpreter.guards(&mut labels) {
                assert!(count.labelled <= count.total);
                assert!(labels.contains(&"kept"), "{labels:?}");
            }
            drop(kept);
            drop(second);
        });
        rt.end(id, None).unwrap();
        thread.join().unwrap();
    });
}

/// Model 14: a nested token, which counts nothing itself, against the end.
#[test]
fn nested_against_end() {
    model("guards::nested_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let id = state.interpreter();
        let view = rt.interpreter(id).unwrap().view().unwrap();
        let (other, number) = (second(&state), Guarded::new());
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            let ran = other.take().attach(|cx| {
                cx.call_out(|| {
                    let nested = view.ensure(|_| theirs.bump());
                    assert!(matches!(nested, Ok(_) | Err(AttachError::Finalizing)));
                });
                theirs.bump();
            });
            assert!(matches!(ran, Ok(()) | Err(AttachError::Finalizing | AttachError::Ended)));
        });
        assert!(rt.end(id, None).unwrap().is_clean());
        // Whoever was inside has left.
        let left = number.get();
        thread.join().unwrap();
        assert_eq!(number.get(), left);
    });
}
