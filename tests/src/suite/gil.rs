//! The GIL: who excludes whom, who gets it, who would wait for itself.

use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use std::{sync::Barrier, thread};

use archipelago_kernel::{
    InterpreterId, Runtime,
    config::InterpreterConfig,
    error::EndError,
    gil::{DEFAULT_SWITCH_INTERVAL, GilPolicy},
    thread::Current,
};

use crate::{
    TestHost,
    support::{create, presets, scaled, until},
};

/// Many threads over these interpreters, which share a GIL: each adds to a count that no atomic protects.
fn excluded<H: TestHost>(rt: &Runtime<H>, ids: &[InterpreterId]) {
    let (threads, rounds) = (scaled(8, 3), scaled(200, 8));
    let (inside, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|s| {
        for n in 0..threads {
            let (inside, count) = (&inside, &count);
            let id = ids[n % ids.len()];
            s.spawn(move || {
                let mut state = rt.thread_state(id).unwrap();
                state
                    .attach(|cx| {
                        for round in 0..rounds {
                            assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "alone");
                            let before = count.load(Ordering::Relaxed);
                            core::hint::spin_loop();
                            count.store(before + 1, Ordering::Relaxed);
                            assert_eq!(inside.fetch_sub(1, Ordering::Relaxed), 1, "alone");
                            if round % 3 == 0 {
                                cx.detach(|| ());
                            } else {
                                assert_eq!(cx.safepoint(), Ok(()));
                            }
                        }
                    })
                    .unwrap();
            });
        }
    });
    assert_eq!(count.into_inner(), threads * rounds);
}

/// SPEC: G1, G2
pub fn one_thread_at_a_time_runs_an_interpreter<H: TestHost>() {
    let rt = H::started();
    excluded(&rt, &[create(&rt, &InterpreterConfig::isolated())]);
}

/// SPEC: G1, G2
pub fn one_thread_at_a_time_runs_all_that_share<H: TestHost>() {
    let rt = H::started();
    let legacy = InterpreterConfig::legacy();
    let shared = InterpreterConfig::isolated().with_gil(archipelago_kernel::config::GilChoice::Shared);
    excluded(&rt, &[rt.main().unwrap(), create(&rt, &legacy), create(&rt, &shared)]);
}

/// SPEC: G1
pub fn own_gils_run_at_the_same_time<H: TestHost>() {
    let rt = H::started();
    let ids = [rt.main().unwrap(), create(&rt, &presets()[0]), create(&rt, &presets()[0])];
    let all_inside = Barrier::new(ids.len());
    thread::scope(|s| {
        for id in ids {
            let (rt, all_inside) = (&rt, &all_inside);
            s.spawn(move || {
                let mut state = rt.thread_state(id).unwrap();
                // Nobody leaves before everybody is in: with a shared GIL nobody ever would.
                state.attach(|_| all_inside.wait()).unwrap();
            });
        }
    });
}

/// SPEC: G3
pub fn a_waiter_gets_it_at_a_safepoint<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let was_in = AtomicBool::new(false);
        thread::scope(|s| {
            let mut state = rt.thread_state(id).unwrap();
            state
                .attach(|cx| {
                    s.spawn(|| {
                        rt.ensure(id, |_| was_in.store(true, Ordering::Relaxed)).unwrap();
                    });
                    // It never lets go but at safepoints.
                    while !was_in.load(Ordering::Relaxed) {
                        assert_eq!(cx.safepoint(), Ok(()));
                        core::hint::spin_loop();
                    }
                })
                .unwrap();
        });
    }
}

/// SPEC: G3
pub fn a_holder_that_was_asked_does_not_retake_it_first<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let interpreter = rt.interpreter(id).unwrap();
    let mut state = rt.thread_state(id).unwrap();
    let entered = AtomicUsize::new(0);
    for round in 0..scaled(20, 2) {
        thread::scope(|s| {
            state
                .attach(|cx| {
                    let before = interpreter.gil().unwrap().switches;
                    s.spawn(|| rt.ensure(id, |_| entered.fetch_add(1, Ordering::Relaxed)).unwrap());
                    until("it waits", || interpreter.gil().unwrap().waiters == 1);
                    // The first safepoint that lets go comes back only after the other one was in.
                    while interpreter.gil().unwrap().switches == before {
                        assert_eq!(cx.safepoint(), Ok(()));
                    }
                    assert_eq!(entered.load(Ordering::Relaxed), round + 1);
                })
                .unwrap();
        });
    }
}

/// SPEC: G4
pub fn a_short_run_does_not_wait_for_the_interval<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let (was_in, mut state) = (AtomicBool::new(false), rt.thread_state(id).unwrap());
    thread::scope(|s| {
        state
            .attach(|cx| {
                // Nobody's interval passes here.
                cx.set_switch_interval(Duration::from_secs(3600));
                s.spawn(|| rt.ensure(id, |_| was_in.store(true, Ordering::Relaxed)).unwrap());
                while !was_in.load(Ordering::Relaxed) {
                    assert_eq!(cx.safepoint(), Ok(()));
                    core::hint::spin_loop();
                }
            })
            .unwrap();
    });
}

/// SPEC: G4
pub fn who_detaches_often_does_not_keep_a_third_from_running<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let was_in = AtomicBool::new(false);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                let mut state = rt.thread_state(id).unwrap();
                while !was_in.load(Ordering::Relaxed) {
                    state.attach(|cx| cx.detach(|| ())).unwrap();
                }
            });
        }
        rt.ensure(id, |_| was_in.store(true, Ordering::Relaxed)).unwrap();
    });
}

/// SPEC: G3
pub fn the_default_interval_and_its_setting<H: TestHost>() {
    let rt = H::started();
    let [own, shared] = presets().map(|config| create(&rt, &config));
    let main = rt.main().unwrap();
    let interval = |id| rt.thread_state(id).unwrap().attach(|cx| cx.switch_interval()).unwrap();
    let set = |id, interval| {
        rt.thread_state(id).unwrap().attach(|cx| cx.set_switch_interval(interval)).unwrap();
    };
    assert_eq!(DEFAULT_SWITCH_INTERVAL, Duration::from_millis(5));
    assert_eq!([own, shared, main].map(interval), [DEFAULT_SWITCH_INTERVAL; 3]);
    set(own, Duration::from_millis(1));
    set(shared, Duration::from_millis(7));
    let expected = [1, 7, 7].map(Duration::from_millis);
    assert_eq!([own, shared, main].map(interval), expected, "the interval belongs to the GIL");
    rt.end(own, None).unwrap();
    assert_eq!(interval(create(&rt, &presets()[0])), DEFAULT_SWITCH_INTERVAL, "not to the memory");
}

/// SPEC: G5
pub fn who_holds_and_who_waits_can_be_seen<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let interpreter = rt.interpreter(id).unwrap();
    let gil = || interpreter.gil().unwrap();
    assert_eq!((gil().held, gil().waiters, gil().switches), (false, 0, 0));
    let n = scaled(4, 2);
    thread::scope(|s| {
        let mut state = rt.thread_state(id).unwrap();
        state
            .attach(|cx| {
                for _ in 0..n {
                    s.spawn(|| rt.ensure(id, |_| ()).unwrap());
                }
                until("all wait", || gil().waiters == n);
                assert!(gil().held);
                assert_eq!(gil().holder, Some(Current { interpreter: id, thread: cx.thread_id() }));
                assert_eq!(interpreter.stats().unwrap().activations, n + 1);
            })
            .unwrap();
    });
    assert_eq!((gil().held, gil().waiters, gil().switches), (false, 0, n + 1));
    let stats = interpreter.stats().unwrap();
    assert_eq!((stats.waits, stats.switches, stats.activations), (n, n + 1, 0));
}

/// Of a GIL that several interpreters share, whichever of them.
///
/// SPEC: G5
pub fn the_holder_of_a_shared_gil_is_named<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let holder = |id| rt.interpreter(id).unwrap().gil().unwrap().holder;
    let mut states = [rt.thread_state(main).unwrap(), rt.create(&InterpreterConfig::legacy(), None).unwrap()];
    let names =
        states.each_ref().map(|state| Current { interpreter: state.interpreter(), thread: state.id() });
    let both = |by: Option<usize>| {
        let by = by.map(|by| names[by]);
        assert_eq!(names.map(|name| holder(name.interpreter)), [by; 2]);
    };
    let [outer, inner] = &mut states;
    both(None);
    outer
        .attach(|cx| {
            both(Some(0));
            cx.enter(inner, |cx| {
                both(Some(1));
                cx.detach(|| both(None));
                both(Some(1));
            })
            .unwrap();
            both(Some(0));
        })
        .unwrap();
    both(None);
}

/// Whether the host counts how long GILs are held.
fn counts_held_time<H: TestHost>(rt: &Runtime<H>) -> bool {
    rt.interpreter(rt.main().unwrap()).unwrap().stats().unwrap().held.is_some()
}

/// SPEC: G5
pub fn held_time_is_what_was_held<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let interpreter = rt.interpreter(id).unwrap();
    let held = || interpreter.stats().unwrap().held;
    let (long, short) = (Duration::from_millis(50), Duration::from_millis(1));
    let mut state = rt.thread_state(id).unwrap();
    if !counts_held_time(&rt) {
        state.attach(|cx| cx.detach(|| assert_eq!(held(), None))).unwrap();
        return;
    }
    assert_eq!(held(), Some(Duration::ZERO));
    state
        .attach(|cx| {
            H::pass(&rt, long);
            assert_eq!(held(), Some(Duration::ZERO), "counted when it is let go");
            cx.detach(|| {
                let so_far = held().unwrap();
                assert!(so_far >= long && so_far < long + short, "{so_far:?}");
                H::pass(&rt, long);
            });
            assert!(held().unwrap() < long + short, "not what passed meanwhile");
        })
        .unwrap();
    let mut before = held().unwrap();
    // Also where it is handed over at a safepoint.
    thread::scope(|s| {
        state
            .attach(|cx| {
                s.spawn(|| rt.ensure(id, |_| ()).unwrap());
                until("it waits", || interpreter.gil().unwrap().waiters == 1);
                H::pass(&rt, long);
                before = held().unwrap();
                let switches = interpreter.gil().unwrap().switches;
                until("it was let in", || {
                    cx.safepoint().is_ok() && interpreter.gil().unwrap().switches == switches + 2
                });
                assert!(held().unwrap() >= before + long);
                before = held().unwrap();
            })
            .unwrap();
    });
    assert!(held().unwrap() < before + long, "nothing is counted twice");
    rt.end(id, None).unwrap();
    let next = create(&rt, &InterpreterConfig::isolated());
    assert_eq!(rt.interpreter(next).unwrap().stats().unwrap().held, Some(Duration::ZERO));
}

/// Of those that share a GIL each has its own.
///
/// SPEC: G5
pub fn held_time_is_that_of_each_interpreter<H: TestHost>() {
    let rt = H::started();
    if !counts_held_time(&rt) {
        return;
    }
    let mut states = [0; 2].map(|_| rt.create(&InterpreterConfig::legacy(), None).unwrap());
    let ids = states.each_ref().map(|state| state.interpreter());
    let held = || ids.map(|id| rt.interpreter(id).unwrap().stats().unwrap().held.unwrap().as_millis());
    let [outer, inner] = &mut states;
    let pass = |millis| H::pass(&rt, Duration::from_millis(millis));
    outer
        .attach(|cx| {
            pass(50);
            cx.enter(inner, |_| {
                assert_eq!(held(), [50, 0]);
                pass(70);
            })
            .unwrap();
            assert_eq!(held(), [50, 70]);
            pass(50);
        })
        .unwrap();
    assert_eq!(held(), [100, 70]);
}

/// SPEC: G6
pub fn who_would_wait_for_itself_is_told<H: TestHost>() {
    let rt = H::started();
    for outer in presets() {
        for inner in presets() {
            let mut a = rt.create(&outer, None).unwrap();
            let mut b = rt.create(&inner, None).unwrap();
            let (a_id, b_id) = (a.interpreter(), b.interpreter());
            let both = |id, error| {
                assert_eq!(rt.end(id, None), Err(error));
                assert_eq!(rt.interpreter(id).unwrap().close(None), Err(error));
            };
            a.attach(|cx| {
                both(a_id, EndError::Current);
                cx.detach(|| both(a_id, EndError::WouldDeadlock));
                cx.call_out(|| both(a_id, EndError::Current));
                both(b_id, EndError::AlreadyAttached);
                cx.enter(&mut b, |cy| {
                    both(b_id, EndError::Current);
                    both(a_id, EndError::WouldDeadlock);
                    cy.detach(|| {
                        both(a_id, EndError::WouldDeadlock);
                        both(b_id, EndError::WouldDeadlock);
                    });
                })
                .unwrap();
                cx.detach(|| assert!(rt.end(b_id, None).is_ok(), "no frame of it is open any more"));
                assert_eq!(cx.safepoint(), Ok(()));
            })
            .unwrap();
            assert!(rt.end(a_id, None).is_ok());
        }
    }
}

/// SPEC: G1, L3
pub fn the_gil_of_main_outlives_those_that_share_it<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        s.spawn(|| {
            let mut state = rt.thread_state(main).unwrap();
            while !stop.load(Ordering::Relaxed) {
                state.attach(|cx| cx.safepoint().unwrap()).unwrap();
            }
        });
        for _ in 0..scaled(50, 4) {
            let mut state = rt.create(&InterpreterConfig::legacy(), None).unwrap();
            state.attach(|cx| drop(cx.alloc_plain([0u64; 8]))).unwrap();
            rt.end(state.interpreter(), None).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Where safepoints are counted it gives way at none before the last of them, and at that one.
///
/// SPEC: G3
pub fn who_was_asked_gives_way_after_so_many_safepoints<H: TestHost>() {
    let steps = <H::GilPolicy as GilPolicy<H::Gil>>::STEPS as usize;
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        for _ in 0..3 {
            let came = AtomicBool::new(false);
            thread::scope(|s| {
                state
                    .attach(|cx| {
                        s.spawn(|| {
                            rt.thread_state(id)
                                .unwrap()
                                .attach(|_| came.store(true, Ordering::Relaxed))
                                .unwrap();
                        });
                        let gil = || rt.interpreter(id).unwrap().gil().unwrap();
                        until("it waits", || gil().waiters == 1);
                        let mut made = 0;
                        until("it came", || {
                            assert_eq!(cx.safepoint(), Ok(()));
                            made += 1;
                            came.load(Ordering::Relaxed)
                        });
                        assert!(made >= steps, "{made} safepoints");
                    })
                    .unwrap();
            });
        }
    }
}
