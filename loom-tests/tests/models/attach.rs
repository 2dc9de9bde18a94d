//! Group a: attach, detach, hand-over, enter.

use archipelago_loom_tests::{Guarded, bumps_once, handed_over, model, own_gil, second, shared_gil};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Model 1: one interpreter, one at a time.
#[test]
fn attached_alone() {
    model("attach::attached_alone", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (number, thread) = bumps_once(&state);
        let mine = state.attach(|_| number.bump()).unwrap();
        let other = thread.join().unwrap();
        assert_eq!(mine + other, 1, "each saw what the other had written, or nothing");
    });
}

/// Model 1: `detach` lets the other in and comes back alone.
#[test]
fn detached_meanwhile() {
    model("attach::detached_meanwhile", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (number, thread) = bumps_once(&state);
        state
            .attach(|cx| {
                number.bump();
                cx.detach(|| ());
                number.bump();
            })
            .unwrap();
        thread.join().unwrap();
        assert_eq!(state.attach(|_| number.get()).unwrap(), 3);
    });
}

/// Model 2: a holder that only looks at its breaker lets a waiter in.
#[test]
fn waiter_gets_in() {
    model("attach::waiter_gets_in", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let other = second(&state);
        let had = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&had);
        let thread = thread::spawn(move || {
            other.take().attach(|_| theirs.store(true, Ordering::Release)).unwrap();
        });
        state
            .attach(|cx| {
                while !had.load(Ordering::Acquire) {
                    cx.safepoint().unwrap();
                    thread::yield_now();
                }
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 2: a holder that was asked does not take the GIL again before the waiter had it.
#[test]
fn asked_holder_lets_the_waiter_first() {
    model("attach::asked_holder_lets_the_waiter_first", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (turns, thread) = bumps_once(&state);
        state
            .attach(|cx| {
                for _ in 0..2 {
                    cx.safepoint().unwrap();
                    if handed_over() {
                        assert_eq!(turns.get(), 1, "the waiter had its turn");
                    }
                }
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 2: nor does one that was asked and detaches before its next safepoint.
#[test]
fn asked_holder_detaches() {
    model("attach::asked_holder_detaches", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (turns, thread) = bumps_once(&state);
        state
            .attach(|cx| {
                cx.detach(|| {});
                assert!(!handed_over() || turns.get() == 1, "the waiter had its turn");
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 3: two threads that enter each other's interpreter, each with its own GIL.
#[test]
fn entering_crosswise() {
    model("attach::entering_crosswise", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut a, mut b) = (own_gil(rt), own_gil(rt));
        let (a2, b2) = (second(&a), second(&b));
        let (in_a, in_b) = (Guarded::new(), Guarded::new());
        let (in_a2, in_b2) = (in_a.clone(), in_b.clone());
        let thread = thread::spawn(move || {
            let (mut a, mut b) = (a2.take(), b2.take());
            b.attach(|cx| {
                in_b2.bump();
                cx.enter(&mut a, |_| in_a2.bump()).unwrap();
            })
            .unwrap();
        });
        a.attach(|cx| {
            in_a.bump();
            cx.enter(&mut b, |_| in_b.bump()).unwrap();
        })
        .unwrap();
        thread.join().unwrap();
        assert_eq!((a.attach(|_| in_a.get()).unwrap(), b.attach(|_| in_b.get()).unwrap()), (2, 2));
    });
}

/// Model 3: under a shared GIL nobody comes between.
#[test]
fn entering_keeps_a_shared_gil() {
    model("attach::entering_keeps_a_shared_gil", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut a, mut b) = (shared_gil(rt), shared_gil(rt));
        let (number, thread) = bumps_once(&b);
        a.attach(|cx| {
            let before = number.bump();
            let inside = cx.enter(&mut b, |_| number.bump()).unwrap();
            assert_eq!((inside, number.get()), (before + 1, before + 2), "nobody else ran meanwhile");
        })
        .unwrap();
        thread.join().unwrap();
    });
}

/// Who looks from outside sees a holder that there was: one of those that attached, also while its slot gets the next.
#[test]
fn holder_is_named() {
    model("attach::holder_is_named", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (id, first) = (state.interpreter(), state.id() + 1);
        let watcher = thread::spawn(move || {
            let holder = rt.interpreter(id).unwrap().gil().unwrap().holder;
            if let Some(holder) = holder {
                assert_eq!(holder.interpreter, id);
                assert!((first..first + 2).contains(&holder.thread), "{holder:?}");
            }
        });
        for _ in 0..2 {
            rt.ensure(id, |_| ()).unwrap();
        }
        watcher.join().unwrap();
    });
}
