//! Group b: the end of an interpreter, and of the runtime, against everybody else.

use core::time::Duration;

use archipelago_kernel::{
    config::InterpreterConfig,
    error::{AttachError, CreateError, EndError, Interrupt, RuntimeError},
    runtime::RuntimePhase,
};
use archipelago_loom_tests::{Guarded, LoomRuntime, is_gone, model, own_gil, passes_by, second, shared_gil};
use loom::thread;

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Model 4: an attach that comes in is seen out; one that does not is told why.
#[test]
fn end_against_attach() {
    model("end::end_against_attach", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (other, number) = (second(&state), Guarded::new());
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            let came = other.take().attach(|cx| {
                let object = cx.alloc_plain(theirs.bump()).ok().unwrap();
                assert_eq!(*object.get(cx), 0, "the heap is there while the token is");
            });
            assert!(matches!(came, Ok(()) | Err(AttachError::Finalizing | AttachError::Ended)));
            usize::from(came.is_ok())
        });
        let ledger = rt.end(state.interpreter(), None).unwrap();
        // Read without the GIL: whoever was inside left before the end was answered.
        let seen = number.get();
        assert!(ledger.is_clean());
        assert!(is_gone(rt, state.interpreter()));
        assert_eq!(thread.join().unwrap(), seen);
    });
}

/// Model 4: a stale thread state never gets into the slot's next interpreter.
#[test]
fn stale_thread_state() {
    model("end::stale_thread_state", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (other, id) = (second(&state), state.interpreter());
        let thread = thread::spawn(move || {
            let mut other = other.take();
            match other.attach(|cx| cx.id()) {
                Ok(inside) => assert_eq!(inside, id),
                Err(error) => assert!(matches!(error, AttachError::Finalizing | AttachError::Ended)),
            }
        });
        rt.end(id, None).unwrap();
        // It gets the slot that became free; a stray count does not keep it from anything.
        let mut next = own_gil(rt);
        assert_eq!(next.attach(|cx| cx.id()), Ok(next.interpreter()));
        thread.join().unwrap();
        rt.end(next.interpreter(), None).unwrap();
        assert_eq!(rt.count(), Ok(1));
    });
}

/// Model 4: entering by a stale thread state, while the slot and its choice of a GIL get their next interpreter.
#[test]
fn stale_enter() {
    model("end::stale_enter", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let state = shared_gil(rt);
        let other = second(&state);
        rt.end(state.interpreter(), None).unwrap();
        let thread = thread::spawn(move || {
            let mut main = rt.thread_state(main).unwrap();
            let mut other = other.take();
            main.attach(|cx| {
                assert_eq!(cx.enter(&mut other, |_| ()), Err(AttachError::Ended));
                drop(cx.alloc_plain(1u8));
            })
            .unwrap();
        });
        let next = own_gil(rt);
        let ended = rt.end(next.interpreter(), NOW);
        assert!(matches!(ended, Ok(_) | Err(EndError::StillActive)));
        thread.join().unwrap();
        assert!(is_gone(rt, next.interpreter()));
    });
}

/// Model 4: a stray count in the slot's next interpreter may complete its end, but does not lose it.
#[test]
fn stale_thread_state_against_the_next_end() {
    model("end::stale_thread_state_against_the_next_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        rt.end(state.interpreter(), None).unwrap();
        let next = own_gil(rt);
        let thread = thread::spawn(move || {
            assert_eq!(other.take().attach(|_| ()), Err(AttachError::Ended));
        });
        let ended = rt.end(next.interpreter(), NOW);
        assert!(matches!(ended, Ok(_) | Err(EndError::StillActive)));
        thread.join().unwrap();
        assert!(is_gone(rt, next.interpreter()));
    });
}

/// Model 4: without patience the last one out completes the end.
#[test]
fn last_one_out() {
    model("end::last_one_out", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let thread = passes_by(&state);
        let ended = rt.end(state.interpreter(), NOW);
        assert!(matches!(ended, Ok(_) | Err(EndError::StillActive)));
        thread.join().unwrap();
        assert!(is_gone(rt, state.interpreter()), "somebody completed the end");
        assert_eq!(rt.count(), Ok(1));
    });
}

/// Model 4: the last two out, and an end that takes over.
#[test]
fn end_taken_over() {
    model("end::end_taken_over", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let thread = thread::spawn(move || {
            let _ = other.take().attach(|_| ());
        });
        let id = state.interpreter();
        if rt.end(id, NOW) == Err(EndError::StillActive) {
            let again = rt.end(id, None);
            // The last one out is at it, was faster, or leaves it to this thread.
            assert!(matches!(again, Ok(_) | Err(EndError::InProgress | EndError::NotFound)), "{again:?}");
        }
        thread.join().unwrap();
        assert!(is_gone(rt, id));
    });
}

/// Model 4: the last one out under a GIL that others use too.
#[test]
fn last_one_out_under_a_shared_gil() {
    model("end::last_one_out_under_a_shared_gil", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let state = shared_gil(rt);
        let other = second(&state);
        let id = state.interpreter();
        let thread = thread::spawn(move || {
            let mut main = rt.thread_state(main).unwrap();
            main.attach(|cx| {
                let mut other = other.take();
                let came = cx.enter(&mut other, |cx| drop(cx.alloc_plain(1u8)));
                assert!(matches!(came, Ok(()) | Err(AttachError::Finalizing | AttachError::Ended)));
                // This frame has main's GIL as before, and main's heap.
                cx.alloc_plain(1u8).unwrap().release(cx);
            })
            .unwrap();
        });
        let ended = rt.end(id, NOW);
        assert!(matches!(ended, Ok(_) | Err(EndError::StillActive)));
        thread.join().unwrap();
        assert!(is_gone(rt, id));
    });
}

/// Model 5: a frame that is detached comes back to its objects, whatever happened meanwhile.
#[test]
fn end_against_return_from_detach() {
    model("end::end_against_return_from_detach", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let thread = thread::spawn(move || {
            let _ = other.take().attach(|cx| {
                let Ok(object) = cx.alloc_plain(7u8) else { return };
                cx.detach(|| ());
                assert_eq!(*object.get(cx), 7);
                let told = cx.safepoint();
                assert!(matches!(told, Ok(()) | Err(Interrupt::Finalizing)));
            });
        });
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert!(ledger.is_clean(), "the frame released its object: {ledger:?}");
        thread.join().unwrap();
    });
}

/// Model 5: a holder that looks at its breaker is told, and the end waits for it.
#[test]
fn running_code_is_told() {
    model("end::running_code_is_told", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let thread = thread::spawn(move || {
            let _ = other.take().attach(|cx| {
                while cx.safepoint().is_ok() {
                    thread::yield_now();
                }
                assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing), "as often as it asks");
            });
        });
        rt.end(state.interpreter(), None).unwrap();
        thread.join().unwrap();
    });
}

/// Model 9: an interpreter is created before main ends, or refused; none is left.
#[test]
fn finalize_against_create() {
    model("end::finalize_against_create", |rt| {
        let _ = rt.initialize(None).unwrap();
        let thread = thread::spawn(move || match rt.create(&InterpreterConfig::legacy(), None) {
            Ok(mut state) => {
                let came = state.attach(|cx| drop(cx.alloc_plain(1u8)));
                assert!(matches!(came, Ok(()) | Err(AttachError::Finalizing | AttachError::Ended)));
            }
            Err(error) => assert!(matches!(error, CreateError::NotRunning | CreateError::MainEnding)),
        });
        let ledger = rt.finalize(None).unwrap();
        assert_eq!(rt.phase(), RuntimePhase::Finalized);
        assert_eq!(rt.count(), Ok(0), "nobody is left behind");
        assert!(ledger.main.is_clean());
        thread.join().unwrap();
        assert_eq!(rt.count(), Ok(0));
    });
}

/// Model 9: main goes last, also when another thread is ending an interpreter in its heap.
#[test]
fn finalize_against_end() {
    model("end::finalize_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = shared_gil(rt);
        state.attach(|cx| core::mem::forget(cx.alloc_plain(1u8))).unwrap();
        let id = state.interpreter();
        let thread = thread::spawn(move || match rt.end(id, None) {
            Ok(ledger) => assert_eq!(ledger.objects, 1),
            Err(error) => assert!(matches!(error, EndError::NotFound | EndError::InProgress)),
        });
        let ledger = rt.finalize(None).unwrap();
        assert!(ledger.main.is_clean(), "main's heap was swept when nobody used it: {ledger:?}");
        thread.join().unwrap();
    });
}

/// Model 9: of two finalizations one does it.
#[test]
fn finalize_twice() {
    model("end::finalize_twice", |rt| {
        let _ = rt.initialize(None).unwrap();
        let thread = thread::spawn(move || rt.finalize(None));
        let (mine, other) = (rt.finalize(None), thread.join().unwrap());
        assert!(mine.is_ok() != other.is_ok());
        let refused = mine.err().or(other.err());
        assert!(matches!(refused, Some(RuntimeError::InProgress | RuntimeError::NotRunning)));
        assert_eq!(rt.phase(), RuntimePhase::Finalized);
    });
}

/// Model 9: of two initializations one does it, and the other sees a main that is ready.
#[test]
fn initialize_twice() {
    fn up(rt: LoomRuntime) -> bool {
        match rt.initialize(None) {
            Ok(done) => {
                rt.thread_state(done.main()).unwrap().attach(|_| ()).unwrap();
                matches!(done, archipelago_kernel::runtime::Initialized::Now(_))
            }
            Err(error) => {
                assert_eq!(error, RuntimeError::InProgress);
                false
            }
        }
    }
    model("end::initialize_twice", |rt| {
        let thread = thread::spawn(move || up(rt));
        let (mine, other) = (up(rt), thread.join().unwrap());
        assert!(mine != other, "one of them made main");
        assert_eq!(rt.count(), Ok(1));
    });
}

/// Model 9: a runtime comes up again while a thread still holds a state of the cycle before.
#[test]
fn next_cycle_against_stale_state() {
    model("end::next_cycle_against_stale_state", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let old = archipelago_loom_tests::Carry::new(rt.thread_state(main).unwrap());
        let thread = thread::spawn(move || {
            let came = old.take().attach(|cx| cx.id());
            assert!(matches!(came, Err(AttachError::Finalizing | AttachError::Ended)) || came == Ok(main));
        });
        rt.finalize(None).unwrap();
        let again = rt.initialize(None).unwrap().main();
        assert_eq!((again.number(), again == main), (0, false));
        thread.join().unwrap();
    });
}
