//! Group h: attach, detach and hand-over under the policy `Interval`, whose waiters ask again and again and whose GIL
//! goes directly to one of them.

use core::time::Duration;

use archipelago_kernel::error::AttachError;
use archipelago_loom_tests::{
    Guarded, bumps_once, handed_over, interval_passes, own_gil, passed_by, places_are_kept, second, standing,
    timed_model, times_run_out,
};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Model 1: one interpreter, one at a time; whoever waits gets in.
#[test]
fn attached_alone() {
    timed_model("interval::attached_alone", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (number, thread) = bumps_once(&state);
        let mine = state.attach(|_| number.bump()).unwrap();
        let other = thread.join().unwrap();
        assert_eq!(mine + other, 1, "each saw what the other had written, or nothing");
    });
}

/// Model 2: a holder that only looks at its breaker lets a waiter in, which asks when its time has run out.
#[test]
fn waiter_gets_in() {
    timed_model("interval::waiter_gets_in", |rt| {
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
                    interval_passes();
                    cx.safepoint().unwrap();
                    thread::yield_now();
                }
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 2: a holder that was asked does not take the GIL again before the waiter had it, also where the waiter's time
/// had run out at that moment and nobody was there to be handed it.
#[test]
fn asked_holder_lets_the_waiter_first() {
    timed_model("interval::asked_holder_lets_the_waiter_first", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (turns, thread) = bumps_once(&state);
        state
            .attach(|cx| {
                thread::yield_now();
                interval_passes();
                thread::yield_now();
                cx.safepoint().unwrap();
                assert!(!handed_over() || turns.get() == 1, "the waiter had its turn");
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 2: two who wait, and a holder that lets go once: each gets it, one at a time.
#[test]
fn two_waiters() {
    timed_model("interval::two_waiters", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let turns = Guarded::new();
        let others = [second(&state), second(&state)];
        let others = state
            .attach(|cx| {
                let others = others.map(|other| {
                    let theirs = turns.clone();
                    thread::spawn(move || {
                        other.take().attach(|_| theirs.bump()).unwrap();
                    })
                });
                interval_passes();
                cx.safepoint().unwrap();
                assert!(!handed_over() || turns.get() > 0, "a waiter had its turn");
                others
            })
            .unwrap();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(state.attach(|_| turns.get()).unwrap(), 2);
    });
}

/// Model 2: a holder that was asked and detaches before its next safepoint hands over: whoever waits has the GIL before
/// it comes back, also where nobody was there to be handed it.
#[test]
fn asked_holder_detaches() {
    timed_model("interval::asked_holder_detaches", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (turns, thread) = bumps_once(&state);
        state
            .attach(|cx| {
                for _ in 0..2 {
                    thread::yield_now();
                    interval_passes();
                }
                thread::yield_now();
                // No switch came between, so the waiter asked the second time.
                let asked = times_run_out() > 1;
                assert!(!cx.detach(passed_by) || !asked, "whoever stands in the queue is handed it");
                assert!(!asked || turns.get() == 1, "the waiter had its turn");
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 2: two who hand over to each other come to an end.
#[test]
fn both_look_at_their_breakers() {
    timed_model("interval::both_look_at_their_breakers", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (other, number) = (second(&state), Guarded::new());
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            other
                .take()
                .attach(|cx| {
                    theirs.bump();
                    cx.safepoint().unwrap();
                    theirs.bump();
                })
                .unwrap();
        });
        state
            .attach(|cx| {
                number.bump();
                interval_passes();
                cx.safepoint().unwrap();
                number.bump();
            })
            .unwrap();
        thread.join().unwrap();
        assert_eq!(state.attach(|_| number.get()).unwrap(), 4);
    });
}

/// Model 4: an attach that waits for a turn, against the end of the interpreter.
#[test]
fn end_against_attach() {
    timed_model("interval::end_against_attach", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (other, number) = (second(&state), Guarded::new());
        let theirs = number.clone();
        let thread = thread::spawn(move || {
            let came = other.take().attach(|_| theirs.bump());
            assert!(matches!(came, Ok(0) | Err(AttachError::Finalizing | AttachError::Ended)));
            usize::from(came.is_ok())
        });
        rt.end(state.interpreter(), None).unwrap();
        let seen = number.get();
        assert_eq!(thread.join().unwrap(), seen);
    });
}

/// Model 2: a waiter is not passed over for ever by those who attach and detach: whoever has the GIL when its time has run
/// out lets it in next, however often the GIL went from one to another meanwhile.
#[test]
fn passed_over() {
    timed_model("interval::passed_over", |rt| {
        let _ = rt.initialize(None).unwrap();
        let one = own_gil(rt);
        let (turns, thread) = bumps_once(&one);
        places_are_kept();
        let mut asked = false;
        let mut states = [second(&one).take(), one];
        for state in &mut states {
            state
                .attach(|_| {
                    assert!(!asked || turns.get() == 1, "the waiter had its turn");
                    thread::yield_now();
                    interval_passes();
                    thread::yield_now();
                    asked = times_run_out() > 0;
                })
                .unwrap();
        }
        states[0].attach(|_| assert!(!asked || turns.get() == 1, "the waiter had its turn")).unwrap();
        thread.join().unwrap();
    });
}

/// Model 2: one request is one turn: what follows it is no hand-over, unless somebody asks again.
#[test]
fn one_request_one_turn() {
    timed_model("interval::one_request_one_turn", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (_, thread) = bumps_once(&state);
        state
            .attach(|cx| {
                thread::yield_now();
                interval_passes();
                thread::yield_now();
                cx.detach(|| {});
                if handed_over() {
                    while standing() > 0 {
                        thread::yield_now();
                    }
                    cx.detach(|| {});
                    assert!(!handed_over(), "nobody asked again");
                }
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 2: who comes for a short run is let in at the next safepoint, long before its time has run out.
#[test]
fn light_asks_at_once() {
    timed_model("interval::light_asks_at_once", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (other, turns) = (second(&state), Guarded::new());
        let theirs = turns.clone();
        let thread = state
            .attach(|cx| {
                // It sees who has the GIL.
                let thread = thread::spawn(move || other.take().attach(|_| _ = theirs.bump()).unwrap());
                thread::yield_now();
                let asked = standing() == 1;
                cx.safepoint().unwrap();
                assert!(!asked || turns.get() == 1, "the waiter had its turn");
                thread
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 2: without credit it waits for its interval as all others do.
#[test]
fn no_early_request_without_credit() {
    timed_model("interval::no_early_request_without_credit", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        // The most credit is the interval, in microseconds.
        state.attach(|cx| cx.set_switch_interval(Duration::ZERO)).unwrap();
        let (_, thread) = bumps_once(&state);
        state
            .attach(|cx| {
                thread::yield_now();
                cx.safepoint().unwrap();
                assert!(!handed_over(), "its time has not run out");
            })
            .unwrap();
        thread.join().unwrap();
    });
}
