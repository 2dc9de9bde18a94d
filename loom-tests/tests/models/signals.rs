//! Group s: signals, which reach main's main thread and nobody else.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use archipelago_kernel::{
    Attached,
    error::{Interrupt, SignalError},
    eval::{SignalFailed, SignalHandler},
};
use archipelago_loom_tests::{Flag, LoomHost, LoomRuntime, model, second};
use loom::thread;

use crate::pending::{Ran, counter};

fn count(_: &mut Attached<'_, LoomHost>, signal: u32, ran: usize) -> Result<(), SignalFailed> {
    // SAFETY: the argument of `counting` below.
    let ran: &AtomicUsize = unsafe { &*core::ptr::with_exposed_provenance(ran) };
    ran.fetch_add(1 << (8 * (signal - 1)), Relaxed);
    Ok(())
}

fn fail(cx: &mut Attached<'_, LoomHost>, signal: u32, ran: usize) -> Result<(), SignalFailed> {
    count(cx, signal, ran)?;
    Err(SignalFailed)
}

/// Initializes it, with handlers of signals 1 and 2 in main, and says how often they ran, in a byte each. Signal 1's may fail.
fn counting(rt: LoomRuntime, fails: bool) -> Ran {
    let main = rt.initialize(None).unwrap().main();
    let (argument, ran) = counter();
    let run = if fails { fail } else { count };
    rt.ensure(main, |cx| {
        cx.on_signal(1, Some(SignalHandler { run, argument })).map(drop).unwrap();
        cx.on_signal(2, Some(SignalHandler { run: count, argument })).map(drop).unwrap();
    })
    .unwrap();
    ran
}

/// A signal that comes while main's thread computes is handled by it.
#[test]
fn raise_against_safepoint() {
    model("signals::raise_against_safepoint", |rt| {
        let ran = counting(rt, false);
        let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
        let thread = thread::spawn(move || rt.raise_signal(1).unwrap());
        state
            .attach(|cx| {
                while ran.load(Relaxed) == 0 {
                    cx.safepoint().unwrap();
                    thread::yield_now();
                }
            })
            .unwrap();
        thread.join().unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 1, "once");
    });
}

/// Two raise while main's thread handles: each signal is seen after it was raised.
#[test]
fn two_signals() {
    model("signals::two_signals", |rt| {
        let ran = counting(rt, false);
        let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
        let thread = thread::spawn(move || [1, 2].map(|signal| rt.raise_signal(signal).unwrap()));
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        thread.join().unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 0x101);
    });
}

/// A handler fails while another signal comes: the other one is not lost.
#[test]
fn raise_against_a_failure() {
    model("signals::raise_against_a_failure", |rt| {
        let ran = counting(rt, true);
        let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
        rt.raise_signal(1).unwrap();
        let thread = thread::spawn(move || rt.raise_signal(2).unwrap());
        let told = state.attach(|cx| cx.safepoint()).unwrap();
        assert_eq!(told, Err(Interrupt::SignalFailed));
        thread.join().unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 0x101);
    });
}

/// Main's only thread state goes and another comes while a signal is raised.
#[test]
fn raise_against_birth() {
    model("signals::raise_against_birth", |rt| {
        let ran = counting(rt, false);
        let main = rt.main().unwrap();
        let old = rt.thread_state(main).unwrap();
        let thread = thread::spawn(move || rt.raise_signal(1).unwrap());
        drop(old);
        let mut new = rt.thread_state(main).unwrap();
        thread.join().unwrap();
        new.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 1);
    });
}

/// A signal ends a blocked wait of main's thread, whenever it comes.
#[test]
fn raise_against_wait() {
    model("signals::raise_against_wait", |rt| {
        let ran = counting(rt, false);
        let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
        let thread = thread::spawn(move || rt.raise_signal(1).unwrap());
        state
            .attach(|cx| {
                while ran.load(Relaxed) == 0 {
                    let flag = Flag::default();
                    // Where it came before, the wait handles it and begins anew: then there is nothing to wait for.
                    let wait = || {
                        if ran.load(Relaxed) == 0 {
                            flag.block()
                        }
                    };
                    cx.wait(&flag, wait).and_then(|()| cx.safepoint()).unwrap();
                }
            })
            .unwrap();
        thread.join().unwrap();
        assert_eq!(ran.load(Relaxed), 1);
    });
}

/// Another thread of main's is told too, and leaves the signal to main's thread, which does not lose it by that.
#[test]
fn raise_against_another_thread() {
    model("signals::raise_against_another_thread", |rt| {
        let ran = counting(rt, false);
        let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
        let other = second(&state);
        let thread = thread::spawn(move || {
            rt.raise_signal(1).unwrap();
            other.take().attach(|cx| cx.safepoint().unwrap()).unwrap();
            // It has seen that there is nothing for it.
            ran.load(Relaxed)
        });
        let mine = state.attach(|cx| cx.safepoint().map(|()| ran.load(Relaxed)).unwrap()).unwrap();
        let theirs = thread.join().unwrap();
        assert!(theirs <= mine, "handled on the other thread");
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 1);
    });
}

/// A thread claims to be main's while a signal is raised: it has it, or the one that was has.
#[test]
fn raise_against_claim() {
    model("signals::raise_against_claim", |rt| {
        let ran = counting(rt, false);
        let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
        let other = second(&state);
        let thread = thread::spawn(move || {
            let mut other = other.take();
            other.attach(|cx| cx.claim_main_thread().unwrap()).unwrap();
            rt.raise_signal(2).unwrap();
            other.attach(|cx| cx.safepoint().unwrap()).unwrap();
        });
        rt.raise_signal(1).unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        thread.join().unwrap();
        // The claim and the safepoint after it come before or after the first signal.
        let seen = ran.load(Relaxed);
        assert!(matches!(seen, 0x101 | 0x100), "{seen:x}");
        if seen == 0x100 {
            state
                .attach(|cx| cx.claim_main_thread().and_then(|()| Ok(cx.safepoint().unwrap())).unwrap())
                .unwrap();
            assert_eq!(ran.load(Relaxed), 0x101);
        }
    });
}

/// A signal against main's end, by main's thread: it is handled there, or refused.
#[test]
fn raise_against_finalize() {
    model("signals::raise_against_finalize", |rt| {
        let ran = counting(rt, false);
        let thread = thread::spawn(move || rt.raise_signal(1));
        rt.finalize(None).unwrap();
        let raised = thread.join().unwrap();
        assert!(matches!(raised, Ok(()) | Err(SignalError::Ended)));
        assert_eq!(ran.load(Relaxed), usize::from(raised.is_ok()));
    });
}
