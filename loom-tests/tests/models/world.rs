//! Group r: stop-the-world, of one interpreter and of the runtime.
#![allow(unsafe_code)]

use core::time::Duration;

use archipelago_kernel::{
    Attached, ThreadState,
    error::{AttachError, EndError},
    interpreter::ExitFailed,
};
use archipelago_loom_tests::{
    Carry, Guarded, LoomHost, bumps_once, is_gone, model, own_gil, passes_by, second, shared_gil, timed_model,
};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Model 15: nobody comes in between, whether somebody asks at a safepoint or could come in a detach.
#[test]
fn kept_against_attach() {
    model("world::kept_against_attach", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (number, thread) = bumps_once(&state);
        state
            .attach(|cx| {
                cx.stop(|cx| {
                    let before = number.bump();
                    cx.safepoint().unwrap();
                    cx.detach(|| ());
                    assert_eq!(number.bump(), before + 1, "nobody was in");
                });
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 15: what was asked meanwhile is answered afterwards.
#[test]
fn asked_while_kept() {
    model("world::asked_while_kept", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let other = second(&state);
        let had = Arc::new(AtomicBool::new(false));
        let (theirs, number) = (Arc::clone(&had), Guarded::new());
        let bumped = number.clone();
        let thread = thread::spawn(move || {
            other.take().attach(|_| bumped.bump()).unwrap();
            theirs.store(true, Ordering::Release);
        });
        state
            .attach(|cx| {
                cx.stop(|cx| {
                    let before = number.get();
                    cx.safepoint().unwrap();
                    assert_eq!(number.get(), before);
                });
                while !had.load(Ordering::Acquire) {
                    cx.safepoint().unwrap();
                    thread::yield_now();
                }
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// What nobody touches but who runs an interpreter, or who stopped the world: `here` twice, with a step between that others
/// could use.
fn alone(number: &Guarded, between: impl FnOnce()) {
    let before = number.bump();
    between();
    assert_eq!(number.bump(), before + 1, "nobody ran");
}

/// Bumps twice in a run of its own, with a safepoint before each.
fn runs(mut state: ThreadState<'static, LoomHost>, number: &Guarded) {
    state
        .attach(|cx| {
            for _ in 0..2 {
                cx.safepoint().unwrap();
                number.bump();
            }
        })
        .unwrap();
}

/// Model 15: who attaches and looks at its breaker runs before the stop or after it.
#[test]
fn stop_against_attach() {
    model("world::stop_against_attach", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (other, number) = (second(&state), Guarded::new());
        let theirs = number.clone();
        let thread = thread::spawn(move || runs(other.take(), &theirs));
        rt.stop_all(|| alone(&number, thread::yield_now)).unwrap();
        thread.join().unwrap();
        assert_eq!(number.get(), 4);
    });
}

/// Model 15: the same under the policy that asks again and again.
#[test]
fn stop_against_attach_with_time() {
    timed_model("world::stop_against_attach_with_time", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (number, thread) = bumps_once(&state);
        rt.stop_all(|| alone(&number, thread::yield_now)).unwrap();
        thread.join().unwrap();
        assert_eq!(number.get(), 3);
    });
}

/// Model 15: who detaches comes back before the stop or after it.
#[test]
fn stop_against_return_from_detach() {
    model("world::stop_against_return_from_detach", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut mine, state) = (own_gil(rt), own_gil(rt));
        let (other, number) = (second(&state), Guarded::new());
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            other
                .take()
                .attach(|cx| {
                    cx.detach(|| ());
                    theirs.bump()
                })
                .unwrap();
        });
        let stopped = mine.attach(|cx| cx.stop_all(|cx| alone(&number, || cx.detach(|| ())))).unwrap();
        assert_eq!(stopped, Ok(()));
        thread.join().unwrap();
        assert_eq!(number.get(), 3);
    });
}

/// Model 15: an interpreter in a new slot is listed before the stop, and stopped, or after it.
#[test]
fn stop_against_create() {
    model("world::stop_against_create", |rt| {
        let _ = rt.initialize(None).unwrap();
        let number = Guarded::new();
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            own_gil(rt).attach(|_| theirs.bump()).unwrap();
        });
        rt.stop_all(|| alone(&number, || ())).unwrap();
        thread.join().unwrap();
        assert_eq!(number.get(), 3);
    });
}

/// An at-exit callback that bumps the number of a model.
fn bumps(_: &mut Attached<'_, LoomHost>, number: usize) -> Result<(), ExitFailed> {
    let number = core::ptr::with_exposed_provenance::<Guarded>(number);
    // SAFETY: the model frees it after the interpreter has ended.
    unsafe { &*number }.bump();
    Ok(())
}

/// Model 15: an end runs its callbacks and clears before the stop or after it, and its slot is let off all the same.
#[test]
fn stop_against_end() {
    model("world::stop_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (id, number) = (state.interpreter(), Box::new(Guarded::new()));
        let argument = core::ptr::from_ref::<Guarded>(&number).expose_provenance();
        state.attach(|cx| cx.at_exit(bumps, argument).map(drop)).unwrap().unwrap();
        let thread = thread::spawn(move || rt.end(id, None).map(drop));
        rt.stop_all(|| alone(&number, || ())).unwrap();
        assert_eq!(thread.join().unwrap(), Ok(()));
        assert!(is_gone(rt, id));
        // The next interpreter in the slot has a GIL that is free.
        own_gil(rt).attach(|_| ()).unwrap();
    });
}

/// Model 15: the last one out clears before the stop or after it.
#[test]
fn stop_against_last_one_out() {
    model("world::stop_against_last_one_out", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let id = state.interpreter();
        let thread = passes_by(&state);
        let ended = rt.end(id, Some(Duration::ZERO));
        assert!(matches!(ended, Ok(_) | Err(EndError::StillActive)));
        rt.stop_all(|| ()).unwrap();
        thread.join().unwrap();
        assert!(is_gone(rt, id));
        own_gil(rt).attach(|_| ()).unwrap();
    });
}

/// Model 15: of two that stop the world one is first, and the other has let its GIL go meanwhile.
#[test]
fn two_stoppers() {
    model("world::two_stoppers", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut mine, other) = (own_gil(rt), own_gil(rt));
        let (other, number) = (Carry::new(other), Guarded::new());
        let theirs = number.clone();
        let stop = |state: &mut ThreadState<'static, LoomHost>, number: &Guarded| {
            state.attach(|cx| cx.stop_all(|_| alone(number, || ()))).unwrap().unwrap();
        };
        let thread = thread::spawn(move || stop(&mut other.take(), &theirs));
        stop(&mut mine, &number);
        thread.join().unwrap();
        assert_eq!(number.get(), 4);
    });
}

/// Model 15: a stop of one interpreter is over before the world's begins, and the other way round.
#[test]
fn kept_against_stop_all() {
    model("world::kept_against_stop_all", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (other, number) = (second(&state), Guarded::new());
        let theirs = number.clone();
        let done = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&done);
        let thread = thread::spawn(move || {
            other
                .take()
                .attach(|cx| {
                    cx.stop(|cx| alone(&theirs, || cx.safepoint().unwrap()));
                    while !stopped.load(Ordering::Acquire) {
                        cx.safepoint().unwrap();
                        thread::yield_now();
                    }
                })
                .unwrap();
        });
        rt.stop_all(|| {
            alone(&number, || ());
            done.store(true, Ordering::Release);
        })
        .unwrap();
        thread.join().unwrap();
        assert_eq!(number.get(), 4);
    });
}

/// Model 15: a thread state that is born when the others were told already.
#[test]
fn stop_against_new_thread_state() {
    model("world::stop_against_new_thread_state", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (id, number, done) = (state.interpreter(), Guarded::new(), Arc::new(AtomicBool::new(false)));
        let (theirs, stopped) = (number.clone(), Arc::clone(&done));
        let thread = thread::spawn(move || {
            let ran = rt.ensure(id, |cx| {
                theirs.bump();
                while !stopped.load(Ordering::Acquire) {
                    cx.safepoint().unwrap();
                    thread::yield_now();
                }
            });
            assert_eq!(ran, Ok::<_, AttachError>(()));
        });
        rt.stop_all(|| {
            alone(&number, || ());
            done.store(true, Ordering::Release);
        })
        .unwrap();
        thread.join().unwrap();
        assert_eq!(number.get(), 3);
    });
}

/// Model 15: inside a stop, entering by a thread state whose interpreter ends meanwhile, and whose slot gets its next one: it
/// comes in or is told why not, and keeps nobody from anything.
#[test]
fn stale_enter_inside_a_stop() {
    model("world::stale_enter_inside_a_stop", |rt| {
        let mut main = rt.thread_state(rt.initialize(None).unwrap().main()).unwrap();
        let state = shared_gil(rt);
        let (mut other, id) = (second(&state).take(), state.interpreter());
        drop(state);
        let thread = thread::spawn(move || {
            rt.end(id, None).unwrap();
            let next = own_gil(rt).interpreter();
            assert!(rt.end(next, Some(Duration::ZERO)).is_ok(), "nobody counts itself in there by mistake");
        });
        main.attach(|cx| {
            cx.stop(|cx| match cx.enter(&mut other, |cx| cx.id()) {
                Ok(inside) => assert_eq!(inside, id),
                Err(error) => {
                    assert!(matches!(error, AttachError::Finalizing | AttachError::Ended), "{error}")
                }
            })
        })
        .unwrap();
        thread.join().unwrap();
        assert!(is_gone(rt, id));
    });
}
