//! Group p: a reset against everybody else.

use core::{sync::atomic::Ordering::Relaxed, time::Duration};

use archipelago_kernel::{
    ThreadState,
    config::InterpreterConfig,
    error::{AttachError, EndError, PendingError, ResetError, RuntimeError},
};
use archipelago_loom_tests::{Guarded, LoomHost, LoomRuntime, model, passes_by, port, second};
use loom::thread;

use crate::pending::call;

const NOW: Option<Duration> = Some(Duration::ZERO);
const INTERVAL: Duration = Duration::from_millis(7);

/// An interpreter whose fuel tells the program of before a reset, which spent of it, from the one after it.
fn fuelled(rt: LoomRuntime) -> ThreadState<'static, LoomHost> {
    let config = InterpreterConfig::isolated().with_fuel(Some(10)).with_switch_interval(Some(INTERVAL));
    let mut state = rt.create(&config, None).unwrap();
    state.attach(|cx| assert_eq!(cx.spend(1), Ok(()))).unwrap();
    state
}

const OLD: Option<u64> = Some(9);
const NEW: Option<u64> = Some(10);

/// Model 13: a thread state of before gets in before or not at all.
#[test]
fn attach_against_reset() {
    model("reset::attach_against_reset", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = fuelled(rt);
        let (other, number) = (second(&state), Guarded::new());
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            let came = other.take().attach(|cx| {
                theirs.bump();
                cx.fuel()
            });
            match came {
                Ok(fuel) => assert_eq!(fuel, OLD),
                Err(error) => assert!(matches!(error, AttachError::Finalizing | AttachError::Ended)),
            }
            usize::from(came.is_ok())
        });
        assert!(state.reset(None).unwrap().is_clean());
        // Read without the GIL: whoever was inside left before.
        let seen = number.get();
        assert_eq!(state.attach(|cx| cx.fuel()), Ok(NEW));
        assert_eq!(thread.join().unwrap(), seen);
        assert_eq!(rt.interpreter(state.interpreter()).unwrap().threads(), Ok(1));
        rt.end(state.interpreter(), None).unwrap();
    });
}

/// Model 13: who makes a thread state meanwhile finds the program of before or the whole one after it.
#[test]
fn ensure_against_reset() {
    model("reset::ensure_against_reset", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = fuelled(rt);
        let id = state.interpreter();
        let thread = thread::spawn(move || match rt.ensure(id, |cx| (cx.fuel(), cx.switch_interval())) {
            Ok(inside) => assert!([(OLD, INTERVAL), (NEW, INTERVAL)].contains(&inside), "{inside:?}"),
            Err(error) => assert!(
                matches!(error, AttachError::Finalizing | AttachError::NotReady | AttachError::Ended),
                "{error}"
            ),
        });
        state.reset(None).unwrap();
        thread.join().unwrap();
        rt.end(id, None).unwrap();
    });
}

/// Model 13: an end and a reset: what was ended stays so.
#[test]
fn end_against_reset() {
    model("reset::end_against_reset", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = fuelled(rt);
        let id = state.interpreter();
        let thread = thread::spawn(move || rt.end(id, None).map(drop));
        let reset = state.reset(None).map(drop);
        let ended = thread.join().unwrap();
        match (reset, ended) {
            (_, Ok(())) => assert!(rt.interpreter(id).is_err()),
            (Ok(()), Err(EndError::InProgress)) => assert_eq!(state.attach(|cx| cx.fuel()), Ok(NEW)),
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            reset,
            Ok(()) | Err(ResetError::ThreadEnded | ResetError::End(EndError::InProgress))
        ));
    });
}

/// Model 13: of two that reset it one does.
#[test]
fn two_resets() {
    model("reset::two_resets", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = fuelled(rt);
        let (id, other) = (state.interpreter(), second(&state));
        let thread = thread::spawn(move || {
            let mut other = other.take();
            let answer = other.reset(None).map(drop);
            if answer.is_ok() {
                assert_eq!(other.attach(|cx| cx.fuel()), Ok(NEW));
            }
            answer
        });
        let answers = [state.reset(None).map(drop), thread.join().unwrap()];
        let refused = [Err(ResetError::ThreadEnded), Err(EndError::InProgress.into())];
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(answers.iter().any(|answer| refused.contains(answer)), "{answers:?}");
        rt.end(id, None).unwrap();
        assert_eq!(rt.count(), Ok(1));
    });
}

/// Model 13: a call that was taken runs once, before the reset or after it.
#[test]
fn pending_against_reset() {
    model("reset::pending_against_reset", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = fuelled(rt);
        let port = port(&state);
        let (call, ran) = call();
        let thread = thread::spawn(move || port.add(call));
        state.reset(None).unwrap();
        let added = thread.join().unwrap();
        state.attach(|cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
        match added {
            Ok(()) => assert_eq!(ran.load(Relaxed), 1),
            Err(error) => assert_eq!((error, ran.load(Relaxed)), (PendingError::Ended, 0)),
        }
        rt.end(state.interpreter(), None).unwrap();
    });
}

/// Model 13: a runtime that finalizes waits for the reset and ends what came of it.
#[test]
fn finalize_against_reset() {
    model("reset::finalize_against_reset", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = fuelled(rt);
        let other = second(&state);
        let thread = thread::spawn(move || {
            let answer = other.take().reset(None).map(drop);
            assert!(
                matches!(
                    answer,
                    Ok(()) | Err(ResetError::ThreadEnded | ResetError::End(EndError::InProgress))
                ),
                "{answer:?}"
            );
        });
        let ledger = rt.finalize(None);
        assert!(matches!(ledger, Ok(ledger) if ledger.left_over == 1), "{ledger:?}");
        thread.join().unwrap();
        assert_eq!(rt.finalize(None), Err(RuntimeError::NotRunning));
    });
}

/// Model 13: without patience it is done at once, or the last one out completes the end that it has become.
#[test]
fn reset_without_patience() {
    model("reset::reset_without_patience", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = fuelled(rt);
        let thread = passes_by(&state);
        let reset = state.reset(NOW).map(drop);
        thread.join().unwrap();
        match reset {
            Ok(()) => assert_eq!(state.attach(|cx| cx.fuel()), Ok(NEW)),
            Err(error) => {
                assert_eq!(error, EndError::StillActive.into());
                assert!(rt.interpreter(state.interpreter()).is_err(), "somebody completed the end");
            }
        }
    });
}

/// Model 13: an end that gave up waiting is not taken back.
#[test]
fn reset_after_an_end_that_gave_up() {
    model("reset::reset_after_an_end_that_gave_up", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = fuelled(rt);
        let thread = passes_by(&state);
        let _ = rt.end(state.interpreter(), NOW);
        let reset = state.reset(None).map(drop);
        assert!(
            matches!(reset, Err(ResetError::ThreadEnded | ResetError::End(EndError::InProgress))),
            "{reset:?}"
        );
        thread.join().unwrap();
        assert!(rt.interpreter(state.interpreter()).is_err());
    });
}
