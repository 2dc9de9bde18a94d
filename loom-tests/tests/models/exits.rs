//! Group r: what is registered and joined before an end, while the end begins.
#![allow(unsafe_code)]

use core::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use archipelago_kernel::{
    Attached,
    error::{AttachError, EndError, GuardError, ThreadError},
    interpreter::ExitFailed,
    memory::AllocCause,
};
use archipelago_loom_tests::{Guarded, LoomHost, is_gone, model, own_gil, second};
use loom::thread;

const NOW: Option<Duration> = Some(Duration::ZERO);

type Ran = &'static AtomicUsize;

fn ran() -> (Ran, usize) {
    let ran: Ran = Box::leak(Box::new(AtomicUsize::new(0)));
    (ran, core::ptr::from_ref(ran).expose_provenance())
}

/// Counts that it ran. Model-level bookkeeping, which loom need not see.
fn count(_: &mut Attached<'_, LoomHost>, argument: usize) -> Result<(), ExitFailed> {
    // SAFETY: `ran` made the argument from a counter that lives for ever.
    unsafe { &*core::ptr::with_exposed_provenance::<AtomicUsize>(argument) }.fetch_add(1, Relaxed);
    Ok(())
}

/// Model 15: a callback is run or refused.
#[test]
fn registering_against_end() {
    model("exits::registering_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let (ran, argument) = ran();
        let thread = thread::spawn(move || {
            let registered =
                other.take().attach(|cx| cx.at_exit(count, argument).map_err(|error| error.cause));
            match registered {
                Ok(Ok(_)) => 1,
                Ok(Err(AllocCause::Finalizing)) | Err(AttachError::Finalizing | AttachError::Ended) => 0,
                other => panic!("{other:?}"),
            }
        });
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert!(ledger.is_clean(), "{ledger:?}");
        assert_eq!(thread.join().unwrap(), ran.load(Relaxed));
        assert!(is_gone(rt, state.interpreter()));
    });
}

/// Model 15: a thread that has a ticket is waited for, with all that it does; one that gets none is told.
#[test]
fn ticket_against_end() {
    model("exits::ticket_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let interpreter = rt.interpreter(id).unwrap();
        let number = Guarded::new();
        let theirs = number.clone();
        let thread = thread::spawn(move || match interpreter.join_ticket() {
            Ok(ticket) => {
                assert_eq!(rt.ensure(id, |cx| cx.safepoint()), Ok(Ok(())), "nothing is refused");
                theirs.bump();
                drop(ticket);
                1
            }
            Err(error) => {
                assert!(matches!(error, ThreadError::Finalizing | ThreadError::NotFound), "{error}");
                0
            }
        });
        rt.end(id, None).unwrap();
        // Read without a GIL: the join is the order.
        let seen = number.get();
        assert_eq!(thread.join().unwrap(), seen);
    });
}

/// Model 15: the holder of a guard registers while the end waits for it; the end goes back to it.
#[test]
fn guard_holder_registers() {
    model("exits::guard_holder_registers", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let guard = rt.interpreter(id).unwrap().guard().unwrap();
        let (ran, argument) = ran();
        let thread = thread::spawn(move || {
            assert_eq!(guard.ensure(|cx| cx.at_exit(count, argument).is_ok()), Ok(true));
            drop(guard);
        });
        assert!(rt.end(id, None).unwrap().is_clean());
        assert_eq!(ran.load(Relaxed), 1);
        thread.join().unwrap();
    });
}

/// Model 15: a ticket is taken by a guard's holder while the end waits for guards.
#[test]
fn ticket_while_guarded() {
    model("exits::ticket_while_guarded", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let guard = rt.interpreter(id).unwrap().guard().unwrap();
        let number = Guarded::new();
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            let ticket = guard.view().interpreter().join_ticket().unwrap();
            drop(guard);
            theirs.bump();
            drop(ticket);
        });
        rt.end(id, None).unwrap();
        assert_eq!(number.get(), 1);
        thread.join().unwrap();
    });
}

/// Model 15: of two enders one runs what is registered, once.
#[test]
fn two_enders() {
    model("exits::two_enders", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let id = state.interpreter();
        let (ran, argument) = ran();
        state.attach(|cx| cx.at_exit(count, argument).map(drop)).unwrap().unwrap();
        let thread = thread::spawn(move || rt.end(id, None).map(drop));
        let answers = [rt.end(id, None).map(drop), thread.join().unwrap()];
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(
            answers.iter().any(|answer| matches!(answer, Err(EndError::InProgress | EndError::NotFound))),
            "{answers:?}"
        );
        assert_eq!(ran.load(Relaxed), 1);
    });
}

/// Model 15: an end that gives up waiting for a ticket goes back while somebody enters and another takes a guard.
#[test]
fn giving_up_against_a_guard() {
    model("exits::giving_up_against_a_guard", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = own_gil(rt).interpreter();
        let interpreter = rt.interpreter(id).unwrap();
        let ticket = interpreter.join_ticket().unwrap();
        let thread = thread::spawn(move || {
            let guard = interpreter.guard().expect("the end does not come so far");
            assert_eq!(guard.ensure(|cx| cx.safepoint()), Ok(Ok(())));
        });
        assert_eq!(rt.end(id, NOW), Err(EndError::StillRunning));
        thread.join().unwrap();
        drop(ticket);
        assert!(rt.end(id, NOW).is_ok());
        assert_eq!(interpreter.guard().err(), Some(GuardError::Ended));
    });
}
