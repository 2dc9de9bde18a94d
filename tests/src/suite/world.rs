//! Stop-the-world: of one interpreter, and of the runtime.
#![allow(unsafe_code)]
// SAFETY of every raw call here, [R1] of the layer: the runtime outlives its raw attaches and does not move, and each name
// was made by it.
#![allow(clippy::undocumented_unsafe_blocks)]

use core::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{
    InterpreterId, Runtime,
    config::InterpreterConfig,
    error::{AttachError, CreateError, EndError, Interrupt, ResetError, RuntimeError, StopError},
    host::Wake,
    raw,
};

use crate::{
    TestHost,
    support::{create, current, list_all, presets, scaled, strategies, throw, until},
};

/// SPEC: G8
pub fn a_stopped_interpreter_stands_still<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let interpreter = rt.interpreter(id).unwrap();
        let was_in = AtomicBool::new(false);
        thread::scope(|s| {
            let mut state = rt.thread_state(id).unwrap();
            state
                .attach(|cx| {
                    cx.stop(|cx| {
                        s.spawn(|| rt.ensure(id, |_| was_in.store(true, Ordering::Relaxed)).unwrap());
                        until("it waits", || interpreter.gil().unwrap().waiters == 1);
                        for _ in 0..scaled(1_000, 20) {
                            assert_eq!(cx.safepoint(), Ok(()));
                            cx.detach(|| assert_eq!(current::<H>(), None));
                            cx.stop(|cx| cx.detach(|| ()));
                            assert_eq!(current::<H>(), Some(id));
                        }
                        assert!(!was_in.load(Ordering::Relaxed), "stopped");
                        assert!(interpreter.gil().unwrap().held);
                    });
                    assert!(!was_in.load(Ordering::Relaxed), "a stop ends between two safepoints");
                    while !was_in.load(Ordering::Relaxed) {
                        assert_eq!(cx.safepoint(), Ok(()));
                    }
                })
                .unwrap();
        });
    }
}

/// SPEC: G8, G6
pub fn who_stops_an_interpreter_takes_no_other_gil<H: TestHost>() {
    let rt = H::started();
    let [isolated, legacy] = presets();
    for config in [isolated, legacy] {
        let mut state = rt.create(&config, None).unwrap();
        let mut theirs = rt.create(&isolated, None).unwrap();
        let mut gone = rt.create(&config, None).unwrap();
        rt.end(gone.interpreter(), None).unwrap();
        let (id, other) = (state.interpreter(), theirs.interpreter());
        let raw_state = unsafe { raw::thread_new(&rt, other) }.unwrap();
        let guard = rt.interpreter(other).unwrap().guard().unwrap();
        state
            .attach(|cx| {
                cx.stop(|cx| {
                    assert_eq!(cx.enter(&mut theirs, |_| ()), Err(AttachError::Stopped));
                    assert_eq!(cx.enter(&mut gone, |_| ()), Err(AttachError::Ended));
                    cx.detach(|| {
                        assert_eq!(theirs.attach(|_| ()), Err(AttachError::Stopped));
                        assert_eq!(rt.ensure(other, |_| ()), Err(AttachError::Stopped));
                        assert_eq!(guard.ensure(|_| ()), Err(AttachError::Stopped));
                        assert_eq!(unsafe { raw::attach(&rt, raw_state) }, Err(AttachError::Stopped));
                        assert_eq!(
                            unsafe { raw::swap(&rt, Some(raw_state)) }.err(),
                            Some(AttachError::Stopped)
                        );
                        assert_eq!(unsafe { raw::detach(&rt) }.err(), Some(AttachError::NotAttached));
                        assert_eq!(rt.create(&config, None).err(), Some(CreateError::Stopped));
                        assert_eq!(
                            unsafe { raw::interpreter_new(&rt, None) }.err(),
                            Some(CreateError::Stopped)
                        );
                        assert_eq!(theirs.reset(None), Err(ResetError::End(EndError::Stopped)));
                        assert_eq!(rt.finalize(None), Err(RuntimeError::Stopped));
                        for id in [id, other] {
                            assert_eq!(rt.end(id, None), Err(EndError::Stopped));
                            assert_eq!(rt.interpreter(id).unwrap().close(None), Err(EndError::Stopped));
                        }
                        // Of the interpreter that is stopped.
                        rt.ensure(id, |cy| {
                            assert_eq!(current::<H>(), Some(id));
                            cy.detach(|| assert_eq!(rt.ensure(id, |cz| cz.id()), Ok(id)));
                        })
                        .unwrap();
                        assert_eq!(current::<H>(), None);
                    });
                    cx.call_out(|| assert_eq!(rt.ensure(id, |cy| cy.stop(|cy| cy.id())), Ok(id)));
                });
                // Afterwards all is as ever.
                cx.detach(|| rt.ensure(other, |_| ())).unwrap();
                cx.enter(&mut theirs, |_| ()).unwrap();
            })
            .unwrap();
        drop(guard);
        assert!(rt.end(other, None).unwrap().is_clean());
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// Those that share the GIL are stopped together, and may be entered meanwhile.
///
/// SPEC: G8, G1
pub fn a_stop_holds_under_a_shared_gil<H: TestHost>() {
    let rt = H::started();
    let legacy = InterpreterConfig::legacy();
    let (mut a, mut b) = (rt.create(&legacy, None).unwrap(), rt.create(&legacy, None).unwrap());
    let (main, b_id) = (rt.main().unwrap(), b.interpreter());
    let was_in = AtomicBool::new(false);
    thread::scope(|s| {
        a.attach(|cx| {
            cx.stop(|cx| {
                s.spawn(|| rt.ensure(main, |_| was_in.store(true, Ordering::Relaxed)).unwrap());
                until("it waits", || rt.interpreter(main).unwrap().gil().unwrap().waiters == 1);
                cx.enter(&mut b, |cy| {
                    for _ in 0..scaled(100, 10) {
                        assert_eq!(cy.safepoint(), Ok(()));
                        cy.detach(|| assert_eq!(rt.ensure(b_id, |cz| cz.id()), Ok(b_id)));
                    }
                })
                .unwrap();
                assert_eq!(cx.safepoint(), Ok(()));
                assert!(!was_in.load(Ordering::Relaxed), "stopped");
            });
            // Who lets go of its own accord lets it in as well.
            until("it was in", || {
                cx.detach(|| ());
                was_in.load(Ordering::Relaxed)
            });
        })
        .unwrap();
    });
}

/// SPEC: G8, E3
pub fn what_is_asked_of_a_stopped_interpreter_waits<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let mut state = rt.thread_state(id).unwrap();
    state
        .attach(|cx| {
            let panicked = catch_unwind(AssertUnwindSafe(|| cx.stop(|_| throw())));
            assert!(panicked.is_err());
            cx.stop(|cx| {
                rt.interpreter(id).unwrap().interrupt().unwrap();
                // It is this thread's own matter too.
                assert_eq!(cx.safepoint(), Err(Interrupt::Requested));
                let kept = cx.alloc_plain(1_u8).unwrap();
                cx.detach(move || drop(kept));
                assert_eq!(cx.safepoint(), Ok(()));
            });
            // A stop that panicked is over too.
            cx.detach(|| thread::scope(|s| s.spawn(|| rt.ensure(id, |_| ())).join().unwrap())).unwrap();
        })
        .unwrap();
    // The end of a stopped interpreter comes when it goes on.
    thread::scope(|s| {
        state
            .attach(|cx| {
                cx.stop(|cx| {
                    let ender = s.spawn(|| rt.end(id, None));
                    until("the end has begun", || cx.safepoint() == Err(Interrupt::Finalizing));
                    assert!(!ender.is_finished());
                    cx.detach(|| assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::Finalizing)));
                });
            })
            .unwrap();
    });
    assert!(rt.interpreter(id).is_err());
}

/// SPEC: G8
pub fn a_stopped_world_stands_still<H: TestHost>() {
    let rt = H::started();
    let mut ids: Vec<_> = strategies::<H>().iter().map(|config| create(&rt, config)).collect();
    ids.push(rt.main().unwrap());
    let (steps, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let moved = || {
        let before = steps.load(Ordering::Relaxed);
        for _ in 0..scaled(20, 3) {
            thread::yield_now();
        }
        steps.load(Ordering::Relaxed) != before
    };
    thread::scope(|s| {
        // Even ones look at their breakers, odd ones let go all the time.
        for (n, &id) in ids.iter().chain(&ids).enumerate() {
            let (rt, steps, over) = (&rt, &steps, &over);
            s.spawn(move || {
                let mut state = rt.thread_state(id).unwrap();
                while !over.load(Ordering::Relaxed) {
                    let _ = state.attach(|cx| {
                        for _ in 0..10 {
                            if n % 2 == 0 {
                                assert_eq!(cx.safepoint(), Ok(()));
                            } else {
                                cx.detach(|| ());
                            }
                            steps.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
        }
        let mut state = rt.thread_state(ids[0]).unwrap();
        for round in 0..scaled(3, 1) {
            until("they run", moved);
            assert_eq!(rt.stop_all(|| assert!(!moved(), "stopped")), Ok(()));
            until("they run again", moved);
            state
                .attach(|cx| {
                    cx.stop_all(|cx| {
                        assert!(!moved(), "stopped");
                        assert_eq!(cx.safepoint(), Ok(()));
                        cx.detach(|| assert!(!moved(), "stopped, round {round}"));
                    })
                })
                .unwrap()
                .unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// SPEC: G8, G6
pub fn who_stops_the_world_takes_no_gil<H: TestHost>() {
    let (rt, elsewhere) = (H::started(), H::started());
    let config = InterpreterConfig::isolated();
    let (mut state, mut theirs) = (rt.create(&config, None).unwrap(), rt.create(&config, None).unwrap());
    let (id, other) = (state.interpreter(), theirs.interpreter());
    let mut entered = rt.thread_state(other).unwrap();
    let raw_state = unsafe { raw::thread_new(&rt, other) }.unwrap();
    let mut refused = || {
        assert_eq!(current::<H>(), None);
        assert_eq!(theirs.attach(|_| ()), Err(AttachError::Stopped));
        assert_eq!(rt.ensure(other, |_| ()), Err(AttachError::Stopped));
        assert_eq!(unsafe { raw::attach(&rt, raw_state) }, Err(AttachError::Stopped));
        assert_eq!(unsafe { raw::detach(&rt) }.err(), Some(AttachError::NotAttached));
        assert_eq!(rt.create(&config, None).err(), Some(CreateError::Stopped));
        assert_eq!(theirs.reset(None), Err(ResetError::End(EndError::Stopped)));
        assert_eq!(rt.end(other, Some(Duration::ZERO)), Err(EndError::Stopped));
        assert_eq!(rt.interpreter(other).unwrap().close(None), Err(EndError::Stopped));
        assert_eq!(rt.finalize(None), Err(RuntimeError::Stopped));
        assert_eq!(
            rt.stop_all(|| list_all(&rt).len()),
            Ok(3),
            "what takes no GIL is there; it is stopped already"
        );
        // Another runtime's world is no business of this stop, but a thread stops one at a time.
        assert_eq!(elsewhere.stop_all(|| ()), Err(StopError::WouldDeadlock));
        // What belongs to a thread that cannot attach is left to the interpreter.
        drop(rt.thread_state(other).unwrap());
    };
    rt.stop_all(&mut refused).unwrap();
    state
        .attach(|cx| {
            cx.stop_all(|cx| {
                cx.detach(&mut refused);
                cx.stop(|cx| cx.stop_all(|cx| assert_eq!(cx.safepoint(), Ok(())))).unwrap();
                cx.detach(|| rt.ensure(id, |cy| cy.stop_all(|cy| cy.id()))).unwrap().unwrap();
            })
            .unwrap();
            assert_eq!(cx.call_out(|| rt.stop_all(|| ())), Err(StopError::AlreadyAttached));
            cx.stop(|cx| {
                assert_eq!(cx.stop_all(|_| ()), Err(StopError::WouldDeadlock));
                assert_eq!(cx.detach(|| rt.stop_all(|| ())), Err(StopError::WouldDeadlock));
            });
            assert_eq!(cx.detach(|| rt.stop_all(|| ())), Ok(()));
            // A stop that panics is over.
            assert!(catch_unwind(AssertUnwindSafe(|| cx.stop_all(|_| throw()))).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| cx.detach(|| rt.stop_all(|| throw())))).is_err());
            cx.enter(&mut entered, |cy| cy.stop_all(|_| ())).unwrap().unwrap();
        })
        .unwrap();
    assert!(rt.end(other, None).unwrap().is_clean());
    assert!(rt.end(id, None).unwrap().is_clean());
    rt.finalize(None).unwrap();
    assert_eq!(rt.stop_all(|| ()), Err(StopError::NotRunning));
}

/// SPEC: G8, L1, L3
pub fn births_and_ends_wait_for_a_stopped_world<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let old = create(&rt, &config);
        let (created, ended) = thread::scope(|s| {
            let (created, ended) = rt
                .stop_all(|| {
                    let created = s.spawn(|| create(&rt, &config));
                    let ended = s.spawn(|| rt.end(old, None));
                    for _ in 0..scaled(200, 3) {
                        thread::yield_now();
                    }
                    assert!(!created.is_finished() && !ended.is_finished(), "they wait");
                    assert_eq!(list_all(&rt).last().map(|id| *id <= old), Some(true), "nobody new");
                    (created, ended)
                })
                .unwrap();
            (created.join().unwrap(), ended.join().unwrap())
        });
        assert!(ended.unwrap().is_clean());
        assert!(rt.end(created, None).unwrap().is_clean());
    }
}

/// The end of an interpreter that is running, the stopper's own among them, goes on when the world does.
///
/// SPEC: G8, L10
pub fn a_finalizing_interpreter_stops_nobody<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let mut state = rt.thread_state(id).unwrap();
    thread::scope(|s| {
        state
            .attach(|cx| {
                let ender = cx
                    .stop_all(|cx| {
                        let ender = s.spawn(|| rt.end(id, None));
                        until("the end has begun", || cx.safepoint() == Err(Interrupt::Finalizing));
                        ender
                    })
                    .unwrap();
                assert_eq!(cx.stop_all(|_| ()), Err(StopError::Finalizing));
                assert!(!ender.is_finished());
            })
            .unwrap();
    });
    assert!(rt.interpreter(id).is_err());
}

/// Wakes nobody: its wait is over soon.
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// One turn of each kind of work, of which one is another interpreter's whole life.
fn works<H: TestHost>(rt: &Runtime<H>, id: InterpreterId, kind: usize) {
    if kind == 0 {
        let short = create(rt, &InterpreterConfig::isolated());
        rt.ensure(short, |cx| drop(cx.alloc_plain([1_u8; 64]))).unwrap();
        return assert!(rt.end(short, None).unwrap().is_clean());
    }
    let inside = rt.ensure(id, |cx| {
        for size in 1..10_u64 {
            let held = [cx.alloc_plain(size), cx.alloc_plain(!size)];
            match kind {
                1 => assert_eq!(cx.safepoint(), Ok(())),
                2 => cx.detach(|| ()),
                3 => cx.wait(&Nobody, || ()).unwrap(),
                _ => cx.stop(|cx| cx.detach(|| ())),
            }
            drop(held);
        }
        cx.call_out(|| rt.ensure(id, |cx| cx.safepoint()).unwrap())
    });
    assert_eq!(inside, Ok(Ok(())));
}

/// Says that it is over, also where a thread panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Threads that compute, detach, wait, stop an interpreter, create and end, while others stop the world again and again:
/// inside, what is known of an interpreter does not move.
///
/// SPEC: G8, M6
pub fn nothing_moves_in_a_stopped_world<H: TestHost>() {
    let rt = H::started();
    let ids = strategies::<H>().into_iter().map(|config| create(&rt, &config)).collect::<Vec<_>>();
    let (over, turns) = (AtomicBool::new(false), AtomicUsize::new(0));
    let snapshot = || {
        let known = |id| {
            let interpreter = rt.interpreter(id).unwrap();
            (id, interpreter.usage(), interpreter.gil().map(|gil| gil.switches))
        };
        // But for those that live a short life, which may be on their way out: that takes no GIL.
        ids.iter().copied().map(known).collect::<Vec<_>>()
    };
    let stands_still = || {
        let before = snapshot();
        for _ in 0..scaled(20, 2) {
            thread::yield_now();
        }
        assert_eq!(snapshot(), before);
    };
    thread::scope(|s| {
        for kind in 0..5 {
            let (rt, over, turns, ids) = (&rt, &over, &turns, &ids);
            s.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    works(rt, ids[kind % ids.len()], kind);
                    turns.fetch_add(usize::from(kind == 0), Ordering::Relaxed);
                }
            });
        }
        let over = Over(&over);
        let other = s.spawn(|| {
            for _ in 0..scaled(40, 2) {
                let _ = rt.ensure(ids[0], |cx| cx.stop_all(|cx| cx.detach(stands_still))).unwrap();
            }
        });
        for _ in 0..scaled(40, 2) {
            rt.stop_all(stands_still).unwrap();
            thread::yield_now();
        }
        other.join().unwrap();
        until("lives are lived", || turns.load(Ordering::Relaxed) > 0);
        drop(over);
    });
    for id in ids {
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}
