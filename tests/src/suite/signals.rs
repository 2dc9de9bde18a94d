//! Signals: they reach main's main thread, and nobody else.

use core::panic::AssertUnwindSafe;
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{
    Attached, Host, Runtime,
    config::InterpreterConfig,
    error::{Interrupt, PendingError, SignalError},
    eval::{SignalFailed, SignalHandler},
};

use crate::{
    TestHost,
    support::{Gate, Log, create, presets, scaled, throw, until},
};

/// Notes the number of the signal.
fn noting<H: Host>(log: Log) -> SignalHandler<H> {
    fn run<H: Host>(cx: &mut Attached<'_, H>, signal: u32, argument: usize) -> Result<(), SignalFailed> {
        assert!(cx.id().is_main());
        Log::note(argument + signal as usize, cx.id().number());
        Ok(())
    }
    SignalHandler { run, argument: log.argument(0) }
}

/// Notes it, and fails.
fn failing<H: Host>(log: Log) -> SignalHandler<H> {
    fn run<H: Host>(_: &mut Attached<'_, H>, signal: u32, argument: usize) -> Result<(), SignalFailed> {
        Log::note(argument + signal as usize, 0);
        Err(SignalFailed)
    }
    SignalHandler { run, argument: log.argument(0) }
}

/// A runtime whose main notes all of these signals.
fn noting_rt<H: TestHost>(signals: &[u32]) -> (Runtime<H>, Log) {
    let (rt, log) = (H::started(), Log::new());
    rt.ensure(rt.main().unwrap(), |cx| {
        for signal in signals {
            assert!(cx.on_signal(*signal, Some(noting(log))).unwrap().is_none());
        }
    })
    .unwrap();
    (rt, log)
}

fn in_main<R, H: Host>(rt: &Runtime<H>, f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R) -> R {
    rt.ensure(rt.main().unwrap(), f).unwrap()
}

/// SPEC: E4, R7
/// CPython: test_signal.PosixTests.test_issue9324, test_threadsignals.ThreadSignals.test_signals,
/// CPython: test_interpreters.test_api.TestInterpreterExec.test_signals
pub fn signals_reach_mains_thread_in_main_alone<H: TestHost>() {
    let (rt, log) = noting_rt::<H>(&[1, 2, 33, 64]);
    let subs = presets().map(|config| create(&rt, &config));
    for signal in [64, 2, 33, 2, 1] {
        assert_eq!(rt.raise_signal(signal), Ok(()));
    }
    if let Some(raised) = H::in_handler(|| rt.raise_signal(2)) {
        assert_eq!(raised, Ok(()));
    }
    // Not in another interpreter, be it entered from main.
    for id in subs {
        rt.ensure(id, |cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
    }
    let mut state = rt.thread_state(subs[0]).unwrap();
    in_main(&rt, |cx| cx.enter(&mut state, |cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap());
    // Nor on another thread.
    thread::scope(|s| {
        s.spawn(|| {
            in_main(&rt, |cx| {
                for _ in 0..3 {
                    assert_eq!(cx.safepoint(), Ok(()));
                }
                assert_eq!(cx.on_signal(2, None).err(), Some(SignalError::NotMainThread));
            })
        });
    });
    assert_eq!(log.values(), []);
    in_main(&rt, |cx| {
        assert_eq!(cx.safepoint(), Ok(()));
        assert_eq!(log.values(), [1, 2, 33, 64], "once each, lowest first");
        assert_eq!(cx.safepoint(), Ok(()));
        assert_eq!(log.values().len(), 4);
    });
}

/// SPEC: E4, R7
/// CPython: test_signal.GenericTests.test_functions_module_attr, test_signal.PosixTests.test_out_of_range_signal_number_raises_error
pub fn what_is_no_signal_and_who_sets_no_handler<H: TestHost>() {
    let rt = H::fresh();
    assert_eq!(rt.raise_signal(2), Err(SignalError::Ended), "not before there is a main");
    let _ = rt.initialize(None).unwrap();
    let log = Log::new();
    let sub = create(&rt, &InterpreterConfig::isolated());
    let refused = rt.ensure(sub, |cx| cx.on_signal(2, Some(noting(log))).err()).unwrap();
    assert_eq!(refused, Some(SignalError::NotMainThread));
    in_main(&rt, |cx| {
        for signal in [0, 65, u32::MAX] {
            assert_eq!(rt.raise_signal(signal), Err(SignalError::NoSuchSignal));
            assert_eq!(cx.on_signal(signal, None).err(), Some(SignalError::NoSuchSignal));
        }
        // Nobody wants it.
        assert_eq!((rt.raise_signal(3), cx.safepoint()), (Ok(()), Ok(())));
        assert!(cx.on_signal(3, None).unwrap().is_none());
        assert!(cx.on_signal(3, Some(noting(log))).unwrap().is_none());
        assert_eq!((cx.safepoint(), log.values()), (Ok(()), vec![]), "it came before");
        assert_eq!((rt.raise_signal(3), cx.safepoint(), log.values()), (Ok(()), Ok(()), vec![3]));
        let before = cx.on_signal(3, None).unwrap().expect("the one that was set");
        assert_eq!(before.argument, log.argument(0));
        assert_eq!((rt.raise_signal(3), cx.safepoint(), log.values()), (Ok(()), Ok(()), vec![3]));
    });
    rt.finalize(None).unwrap();
    assert_eq!(rt.raise_signal(2), Err(SignalError::Ended));
}

/// SPEC: E4
/// CPython: test_signal.StressTest.test_stress_delivery_simultaneous
pub fn a_handler_that_fails_is_told_and_the_rest_waits<H: TestHost>() {
    let (rt, log) = noting_rt::<H>(&[7, 9]);
    let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
    let raise = || [9, 8, 7].map(|signal| rt.raise_signal(signal).unwrap());
    let answers = state.attach(|cx| {
        let _ = cx.on_signal(8, Some(failing(log))).unwrap();
        raise();
        [cx.safepoint(), cx.safepoint(), cx.safepoint()]
    });
    assert_eq!(answers, Ok([Err(Interrupt::SignalFailed), Ok(()), Ok(())]));
    assert_eq!(log.values(), [7, 8, 9]);
    // The thread state that met it goes.
    raise();
    assert_eq!(state.attach(|cx| cx.safepoint()).unwrap(), Err(Interrupt::SignalFailed));
    drop(state);
    assert_eq!(in_main(&rt, |cx| cx.safepoint()), Ok(()));
    assert_eq!(log.values(), [7, 8, 9, 7, 8, 9]);
    // So where one panics.
    fn panics<H: Host>(_: &mut Attached<'_, H>, _: u32, _: usize) -> Result<(), SignalFailed> {
        throw()
    }
    in_main(&rt, |cx| cx.on_signal(8, Some(SignalHandler { run: panics, argument: 0 })).map(drop)).unwrap();
    raise();
    assert!(catch_unwind(AssertUnwindSafe(|| in_main(&rt, |cx| cx.safepoint()))).is_err());
    assert_eq!(in_main(&rt, |cx| cx.safepoint()), Ok(()));
    assert_eq!(log.values(), [7, 8, 9, 7, 8, 9, 7, 9]);
}

/// SPEC: E4
pub fn a_handler_may_raise_its_own_signal<H: TestHost>() {
    fn again<H: Host>(cx: &mut Attached<'_, H>, signal: u32, argument: usize) -> Result<(), SignalFailed> {
        Log::note(argument, 0);
        assert_eq!(cx.raise_signal(signal), Ok(()));
        Ok(())
    }
    let (rt, log) = noting_rt::<H>(&[1]);
    in_main(&rt, |cx| {
        let _ = cx.on_signal(2, Some(SignalHandler { run: again, argument: log.argument(5) })).unwrap();
        rt.raise_signal(2).unwrap();
        for rounds in 1..4 {
            assert_eq!((cx.safepoint(), log.values().len()), (Ok(()), rounds), "once a safepoint");
        }
        let _ = cx.on_signal(2, None).unwrap();
        assert_eq!((cx.safepoint(), cx.safepoint(), log.values().len()), (Ok(()), Ok(()), 3));
    });
}

/// SPEC: E4
/// CPython: test_threadsignals.ThreadSignals.test_lock_acquire_interruption
pub fn a_signal_ends_a_wait_of_mains_thread_and_no_other<H: TestHost>() {
    let (rt, log) = noting_rt::<H>(&[15]);
    let main = rt.main().unwrap();
    let (other, waits) = (Gate::new(), Gate::new());
    thread::scope(|s| {
        s.spawn(|| {
            let told = rt.ensure(main, |cx| {
                cx.wait(&other, || {
                    waits.open();
                    other.wait();
                })
            });
            assert_eq!(told, Ok(Ok(())));
        });
        waits.wait();
        s.spawn(|| rt.raise_signal(15).unwrap());
        in_main(&rt, |cx| {
            let mine = Gate::new();
            // It may have come before; then the wait handles it and begins anew.
            while log.values().is_empty() {
                let _ = cx.wait(&mine, || {
                    if log.values().is_empty() {
                        mine.wait()
                    }
                });
                assert_eq!(cx.safepoint(), Ok(()));
            }
        });
        assert!(!other.is_open(), "the other one waits on");
        rt.interpreter(main).unwrap().interrupt().unwrap();
        until("it is woken", || other.is_open());
    });
    assert_eq!(log.values(), [15]);
}

/// SPEC: E4, R7
pub fn whoever_claims_to_be_mains_thread_has_the_signals<H: TestHost>() {
    let (rt, log) = noting_rt::<H>(&[4]);
    thread::scope(|s| {
        s.spawn(|| {
            in_main(&rt, |cx| {
                rt.raise_signal(4).unwrap();
                assert_eq!((cx.safepoint(), log.values()), (Ok(()), vec![]), "its bit is spent");
                // A thread state inside says so.
                cx.detach(|| {
                    let mut inner = rt.thread_state(rt.main().unwrap()).unwrap();
                    inner.attach(|cx| assert_eq!(cx.claim_main_thread(), Ok(()))).unwrap();
                });
                assert_eq!((cx.safepoint(), log.values()), (Ok(()), vec![4]));
            });
        });
    });
    in_main(&rt, |cx| {
        rt.raise_signal(4).unwrap();
        assert_eq!((cx.safepoint(), log.values()), (Ok(()), vec![4]), "this one is not any more");
        assert_eq!(cx.on_signal(4, None).err(), Some(SignalError::NotMainThread));
        assert_eq!(cx.claim_main_thread(), Ok::<(), PendingError>(()));
        assert_eq!((cx.safepoint(), log.values()), (Ok(()), vec![4, 4]));
    });
}

/// SPEC: E4, R4
pub fn signals_at_the_end_of_main<H: TestHost>() {
    // Main's thread ends it: nothing is lost.
    let (rt, log) = noting_rt::<H>(&[1, 5]);
    in_main(&rt, |cx| cx.on_signal(3, Some(failing(log))).map(drop)).unwrap();
    for signal in [5, 3, 1] {
        rt.raise_signal(signal).unwrap();
    }
    assert!(rt.finalize(None).unwrap().main.is_clean());
    assert_eq!(log.values(), [1, 3, 5]);
    // The next main has handlers of its own, and no signal of before.
    let _ = rt.initialize(None).unwrap();
    in_main(&rt, |cx| {
        rt.raise_signal(5).unwrap();
        assert_eq!((cx.safepoint(), log.values().len()), (Ok(()), 3));
        assert!(cx.on_signal(5, Some(noting(log))).unwrap().is_none());
    });
    // Another thread does: it is not main's, so it handles nothing.
    rt.raise_signal(5).unwrap();
    thread::scope(|s| s.spawn(|| assert!(rt.finalize(None).unwrap().main.is_clean())).join().unwrap());
    assert_eq!(log.values(), [1, 3, 5]);
    let _ = rt.initialize(None).unwrap();
    in_main(&rt, |cx| {
        assert!(cx.on_signal(5, Some(noting(log))).unwrap().is_none());
        assert_eq!((cx.safepoint(), log.values().len()), (Ok(()), 3));
    });
}

/// SPEC: E4
/// CPython: test_signal.StressTest.test_stress_delivery_dependent
pub fn many_threads_raise_signals<H: TestHost>() {
    let (rt, log) = noting_rt::<H>(&(1..=64).collect::<Vec<_>>());
    let (threads, rounds) = (scaled(8, 2), scaled(8, 2));
    thread::scope(|s| {
        let raisers: Vec<_> = (0..threads)
            .map(|thread| {
                let rt = &rt;
                s.spawn(move || {
                    for signal in (thread..64).step_by(threads).cycle().take(rounds * 64 / threads) {
                        while let Err(error) = rt.raise_signal(signal as u32 + 1) {
                            assert_eq!(error, SignalError::Busy);
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        in_main(&rt, |cx| {
            while !raisers.iter().all(|raiser| raiser.is_finished()) {
                assert_eq!(cx.safepoint(), Ok(()));
                cx.detach(thread::yield_now);
            }
            assert_eq!(cx.safepoint(), Ok(()));
        });
    });
    for signal in 1..=64 {
        let seen = log.values().into_iter().filter(|value| *value == signal).count();
        assert!((1..=rounds).contains(&seen), "signal {signal} was handled {seen} times");
    }
}
