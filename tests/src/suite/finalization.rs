//! The end of interpreters and runtimes while threads are inside.

use core::{
    alloc::Layout,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{sync::mpsc::channel, thread};

use archipelago_kernel::{
    Attached, Host, Runtime,
    config::InterpreterConfig,
    error::{
        AttachError, CreateError, DeadlineError, EndError, GuardError, GuestError, Interrupt, RuntimeError,
        ThreadError,
    },
    guest::{Fault, Guest, GuestTable, Plain, Step},
    interpreter::{ExitFailed, Phase},
    memory::{AllocCause, Domain, LimitError, MemoryLimits},
    runtime::RuntimePhase,
};

use crate::{
    TestHost,
    support::{
        Gate, Noisy, Scribe, Told, create, current, list_all, numbers, presets, scaled, strategies, until,
    },
};

/// SPEC: R4
/// CPython: test_interpreters.test_stress.StressTests.test_create_many_sequential
pub fn leftovers_end_newest_first_and_each_is_reported<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let made: Vec<_> = (0..6).map(|n| create(&rt, &presets()[n % 2])).collect();
    rt.end(made[3], None).unwrap();
    let (main, left) = (rt.main().unwrap(), [made[5], made[4], made[2], made[1], made[0]]);
    rt.ensure(made[1], |cx| core::mem::forget(cx.alloc_plain(1u8).unwrap())).unwrap();
    scribe.take();
    let ledger = rt.finalize(None).unwrap();
    assert_eq!((ledger.left_over, ledger.unclean, ledger.main.is_clean()), (5, 1, true));
    let told = scribe.take();
    let reported: Vec<_> =
        told.iter().filter_map(|told| if let Told::LeftOver(id) = told { Some(*id) } else { None }).collect();
    assert_eq!(reported, left);
    let ended: Vec<_> =
        told.iter().filter_map(|told| if let Told::Ended(id, _) = told { Some(*id) } else { None }).collect();
    assert_eq!(ended, [&left[..], &[main]].concat(), "main is the last");
}

/// SPEC: R4, L11
pub fn finalization_gives_all_memory_back_on_drop<H: TestHost>() {
    let rt = H::fresh();
    let unused = H::raw_in_use(&rt);
    assert!(unused.is_none_or(|bytes| bytes == 0), "no memory before it is initialized");
    for _ in 0..2 {
        let _main = rt.initialize(None).unwrap();
        for n in 0..20 {
            create(&rt, &presets()[n % 2]);
        }
        rt.finalize(None).unwrap();
    }
    let once = H::raw_in_use(&rt);
    let _main = rt.initialize(None).unwrap();
    (0..20).for_each(|n| _ = create(&rt, &presets()[n % 2]));
    rt.finalize(None).unwrap();
    assert_eq!(H::raw_in_use(&rt), once, "slots are used again");
}

/// SPEC: L10, L3
pub fn from_the_begin_of_the_end_everything_answers_finalizing<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let interpreter = rt.interpreter(id).unwrap();
        let (inside, back) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            let sleeper = s.spawn(|| {
                rt.ensure(id, |cx| {
                    cx.detach(|| {
                        inside.open();
                        back.wait();
                    });
                    every_call_says_so(cx, &rt);
                })
            });
            inside.wait();
            assert_eq!(rt.end(id, Some(Duration::ZERO)), Err(EndError::StillActive));
            assert_eq!(interpreter.phase(), Ok(Phase::Finalizing));
            assert_eq!(interpreter.guard().err(), Some(GuardError::Finalizing));
            assert_eq!(interpreter.join_ticket().err(), Some(ThreadError::Finalizing));
            assert_eq!(state.attach(|_| ()), Err(AttachError::Finalizing));
            assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::Finalizing));
            assert_eq!(rt.thread_state(id).err(), Some(ThreadError::Finalizing));
            rt.ensure(rt.main().unwrap(), |cx| {
                assert_eq!(cx.enter(&mut state, |_| ()), Err(AttachError::Finalizing));
                assert_eq!(current::<H>(), rt.main().ok());
            })
            .unwrap();
            // Everything stays valid meanwhile.
            assert!(list_all(&rt).contains(&id));
            assert_eq!(interpreter.config().unwrap().gil(), config.gil());
            assert_eq!(interpreter.threads(), Ok(2));
            back.open();
            sleeper.join().unwrap().unwrap();
        });
        assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
    }
}

/// Everything that can fail on the token of a finalizing interpreter.
fn every_call_says_so<H: TestHost>(cx: &mut Attached<'_, H>, rt: &Runtime<H>) {
    fn nothing<H: Host>(_: &mut Attached<'_, H>, _: usize) -> Result<(), ExitFailed> {
        Ok(())
    }
    let told = Step::Failed(Fault::Interrupted(Interrupt::Finalizing));
    assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing));
    assert_eq!(cx.wait(&Gate::new(), || ()), Err(Interrupt::Finalizing));
    assert_eq!(cx.spend(1), Err(Interrupt::Finalizing));
    assert_eq!((cx.exec(b"halt"), cx.call("f", &[]), cx.resume()), (told, told, told));
    assert_eq!(cx.set_deadline(None), Err(DeadlineError::Finalizing));
    assert_eq!(cx.set_memory_limits(MemoryLimits::none()), Err(LimitError::Finalizing));
    let refused = [
        cx.alloc_plain(1_u8).map(drop).map_err(|(_, error)| error),
        cx.allocate(Domain::Mem, Layout::new::<u64>()).map(drop),
        cx.charge(1),
        cx.at_exit(nothing::<H>, 0).map(drop),
        cx.on_shutdown(nothing::<H>, 0).map(drop),
    ];
    for answer in refused {
        assert_eq!(answer.unwrap_err().cause, AllocCause::Finalizing);
    }
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    assert_eq!(cx.enter(&mut main, |_| ()), Err(AttachError::Finalizing));
    let id = cx.id();
    assert_eq!(cx.call_out(|| rt.ensure(id, |_| ())), Err(AttachError::Finalizing));
}

/// SPEC: L10, L11
pub fn the_last_one_out_completes_the_end<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let interpreter = rt.interpreter(id).unwrap();
        let n = scaled(4, 3);
        let (noisy, drops) = Noisy::new();
        drop(noisy);
        let (arrived, arrivals) = channel();
        let gates: Vec<_> = (0..n).map(|_| Gate::new()).collect();
        thread::scope(|s| {
            let sleepers: Vec<_> = gates
                .iter()
                .map(|gate| {
                    let (rt, drops, arrived) = (&rt, &drops, arrived.clone());
                    s.spawn(move || {
                        rt.ensure(id, |cx| {
                            let object = cx.alloc_plain(drops.another()).ok().unwrap();
                            cx.detach(|| {
                                arrived.send(()).unwrap();
                                gate.wait();
                            });
                            let _ = object.get(cx);
                            cx.safepoint()
                        })
                    })
                })
                .collect();
            (0..n).for_each(|_| arrivals.recv().unwrap());
            scribe.take();
            assert_eq!(rt.end(id, Some(Duration::ZERO)), Err(EndError::StillActive));
            assert_eq!(interpreter.stats().unwrap().activations, n);
            for (left, (gate, sleeper)) in gates.iter().zip(sleepers).enumerate() {
                assert_eq!(interpreter.phase(), Ok(Phase::Finalizing), "{left} have left");
                assert_eq!(scribe.ended(), []);
                gate.open();
                assert_eq!(sleeper.join().unwrap(), Ok(Err(Interrupt::Finalizing)));
            }
        });
        assert_eq!(interpreter.phase(), Ok(Phase::Ended));
        let ended = scribe.ended();
        assert_eq!(ended.len(), 1);
        assert_eq!((ended[0].0, ended[0].1.is_clean()), (id.number(), true), "each gave its own back");
        assert_eq!(drops.count(), 1 + n);
        assert_eq!(rt.end(id, None), Err(EndError::NotFound));
    }
}

/// SPEC: L10
/// CPython: test_embed.test_gilstate_after_finalization
pub fn a_thread_that_sleeps_detached_with_a_reference_on_its_stack<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let (noisy, drops) = Noisy::new();
        let asleep = Gate::new();
        let (told, ledger) = thread::scope(|s| {
            let sleeper = s.spawn(|| {
                rt.ensure(id, |cx| {
                    let object = cx.alloc_plain((7, noisy)).ok().unwrap();
                    cx.detach(|| {
                        asleep.open();
                        thread::sleep(Duration::from_secs(1));
                        until("the end begins", || {
                            rt.interpreter(id).unwrap().phase() == Ok(Phase::Finalizing)
                        });
                    });
                    let seen = object.get(cx).0;
                    assert!(cx.alloc_plain(1u8).is_err(), "nothing new");
                    assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing));
                    let clone = object.local(cx).to_owned();
                    object.release(cx);
                    assert_eq!(seen, clone.get(cx).0, "what it holds is as it was");
                    seen
                })
            });
            asleep.wait();
            // It waits for as long as the other one sleeps; nothing is taken down under it.
            let ledger = rt.end(id, None);
            (sleeper.join().unwrap(), ledger)
        });
        assert_eq!((told, drops.count()), (Ok(7), 1));
        assert!(ledger.unwrap().is_clean());
    }
}

/// SPEC: L10
pub fn an_end_that_was_left_can_be_taken_over<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let (inside, back) = (Gate::new(), Gate::new());
    thread::scope(|s| {
        let sleeper = s.spawn(|| {
            rt.ensure(id, |cx| {
                cx.detach(|| {
                    inside.open();
                    back.wait();
                });
                // Forgotten: the ledger will say so.
                cx.safepoint()
            })
        });
        inside.wait();
        for _ in 0..3 {
            assert_eq!(rt.end(id, Some(Duration::from_micros(100))), Err(EndError::StillActive));
        }
        let ender = s.spawn(|| {
            loop {
                match rt.end(id, None) {
                    // The last one out is at it.
                    Err(EndError::InProgress) => thread::yield_now(),
                    answer => return answer,
                }
            }
        });
        back.open();
        assert_eq!(sleeper.join().unwrap(), Ok(Err(Interrupt::Finalizing)));
        // Either it took over in time, or the last one out was faster.
        let ended = ender.join().unwrap();
        assert!(ended.is_ok_and(|ledger| ledger.is_clean()) || ended == Err(EndError::NotFound), "{ended:?}");
    });
    assert_eq!(numbers(&rt), [0]);
}

/// SPEC: L10
pub fn the_end_wakes_those_who_wait<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let n = scaled(4, 2);
        let (arrived, arrivals) = channel();
        thread::scope(|s| {
            let waiters: Vec<_> = (0..n)
                .map(|_| {
                    let (rt, arrived) = (&rt, arrived.clone());
                    s.spawn(move || {
                        let woken = Gate::new();
                        rt.ensure(id, |cx| {
                            let waited = cx.wait(&woken, || {
                                arrived.send(()).unwrap();
                                woken.wait();
                            });
                            (waited, cx.safepoint())
                        })
                    })
                })
                .collect();
            (0..n).for_each(|_| arrivals.recv().unwrap());
            assert!(rt.end(id, None).unwrap().is_clean());
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Ok((Ok(()), Err(Interrupt::Finalizing))));
            }
        });
    }
}

/// SPEC: L10
pub fn those_who_wait_for_the_gil_are_let_go<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let interpreter = rt.interpreter(id).unwrap();
    let n = scaled(4, 2);
    thread::scope(|s| {
        let (begun, ending) = (Gate::new(), Gate::new());
        let holder = {
            let (rt, begun, ending) = (&rt, begun.clone(), ending.clone());
            s.spawn(move || {
                rt.ensure(id, |cx| {
                    begun.open();
                    // It holds the GIL until the end has begun.
                    ending.wait();
                    until("the end begins", || cx.safepoint() == Err(Interrupt::Finalizing));
                })
            })
        };
        begun.wait();
        let waiters: Vec<_> = (0..n).map(|_| s.spawn(|| rt.ensure(id, |_| ()))).collect();
        until("all wait", || interpreter.gil().unwrap().waiters == n);
        let ender = s.spawn(|| rt.end(id, None));
        until("it ends", || interpreter.phase() == Ok(Phase::Finalizing));
        ending.open();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(AttachError::Finalizing));
        }
        assert_eq!(holder.join().unwrap(), Ok(()));
        assert!(ender.join().unwrap().unwrap().is_clean());
    });
}

/// SPEC: R4, L10
pub fn a_runtime_with_active_threads_is_finalized_later<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let ids = [create(&rt, &presets()[0]), create(&rt, &presets()[1]), create(&rt, &presets()[0])];
    for active in [ids[1], rt.main().unwrap()] {
        let (inside, back) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            let sleeper = s.spawn(|| {
                rt.ensure(active, |cx| {
                    cx.detach(|| {
                        inside.open();
                        back.wait();
                    });
                    cx.safepoint()
                })
            });
            inside.wait();
            assert_eq!(rt.finalize(Some(Duration::ZERO)), Err(RuntimeError::StillActive));
            assert_eq!(rt.phase(), RuntimePhase::Finalizing);
            assert_eq!(list_all(&rt).last(), Some(&active), "those that are newer have ended");
            assert_eq!(rt.create(&presets()[0], None).err(), Some(CreateError::NotRunning));
            assert_eq!(rt.initialize(None), Err(RuntimeError::InProgress));
            back.open();
            assert_eq!(sleeper.join().unwrap(), Ok(Err(Interrupt::Finalizing)));
        });
        if active.is_main() {
            break;
        }
    }
    assert!(rt.finalize(None).is_ok());
    assert_eq!(rt.phase(), RuntimePhase::Finalized);
    let left = scribe.take().into_iter().filter(|told| matches!(told, Told::LeftOver(_))).count();
    assert_eq!(left, 3, "each is reported once");
    assert!(rt.initialize(None).is_ok());
}

std::thread_local! {
    static AT_START: core::cell::RefCell<Option<(Gate, Gate)>> = const { core::cell::RefCell::new(None) };
}

/// A guest whose start takes as long as the test wants.
struct Slow;

impl<H: Host> Guest<H> for Slow {
    type State = Plain<()>;
    type Thread = Plain<()>;

    fn start<'i>(cx: &mut Attached<'i, H>) -> Result<(), GuestError> {
        assert!(cx.alloc_plain([1u8; 64]).is_ok(), "it uses the heap");
        if let Some((begun, go_on)) = AT_START.take() {
            begun.open();
            cx.detach(|| go_on.wait());
        }
        drop(cx.alloc_plain([2u8; 64]).map_err(|(_, error)| error)?);
        Ok(())
    }

    fn start_thread<'i>(_: &mut Attached<'i, H>) -> Result<(), GuestError> {
        Ok(())
    }

    fn exec(_: &mut Attached<'_, H>, _: &[u8]) -> Step {
        Step::Failed(Fault::Refused(GuestError::Unsupported))
    }

    fn resume(_: &mut Attached<'_, H>) -> Step {
        Step::Failed(Fault::Refused(GuestError::Unsupported))
    }
}

/// SPEC: R4, L1
pub fn finalization_waits_for_an_interpreter_that_is_being_created<H: TestHost>() {
    for config in strategies::<H>() {
        let rt = H::started();
        let (begun, go_on) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            let gates = (begun.clone(), go_on.clone());
            let creator = s.spawn(|| {
                AT_START.set(Some(gates));
                rt.create(&config, Some(GuestTable::of::<Slow>())).map(|state| state.interpreter())
            });
            begun.wait();
            assert_eq!(numbers(&rt), [0], "it is not to be seen yet");
            assert_eq!(rt.count(), Ok(2));
            let unready = rt.id(1).unwrap();
            assert_eq!(rt.thread_state(unready).err(), Some(ThreadError::NotReady));
            assert_eq!(rt.ensure(unready, |_| ()), Err(AttachError::NotReady));
            assert_eq!(rt.end(unready, None), Err(EndError::InProgress));
            // Main's heap and GIL may serve it: main must not go first.
            assert_eq!(rt.finalize(Some(Duration::ZERO)), Err(RuntimeError::StillActive));
            assert_eq!(numbers(&rt), [0]);
            let finalizer = s.spawn(|| rt.finalize(None));
            go_on.open();
            assert_eq!(creator.join().unwrap().map(|id| id.number()), Ok(1));
            assert_eq!(finalizer.join().unwrap().map(|ledger| ledger.left_over), Ok(1));
        });
        assert_eq!(rt.count(), Ok(0));
    }
}

/// SPEC: L10, R2, L15
/// CPython: test_embed.test_concurrent_finalization_stress
pub fn threads_race_with_finalization<H: TestHost>() {
    for round in 0..scaled(20, 2) {
        let rt = H::started();
        let ids: Vec<_> = (0..3).map(|n| create(&rt, &presets()[n % 2])).collect();
        let finalized = AtomicBool::new(false);
        thread::scope(|s| {
            for n in 0..scaled(6, 3) {
                let (rt, ids, finalized) = (&rt, &ids, &finalized);
                s.spawn(move || {
                    let id = ids[n % ids.len()];
                    let mut left = 0;
                    loop {
                        let after = finalized.load(Ordering::Acquire);
                        let inside = rt.ensure(id, |cx| {
                            assert!(!after, "nobody gets in after the end");
                            let object = cx.alloc_plain(n);
                            cx.detach(thread::yield_now);
                            let told = cx.safepoint();
                            assert!(told.is_ok() || told == Err(Interrupt::Finalizing));
                            if let Ok(object) = object {
                                assert_eq!(*object.get(cx), n);
                            }
                        });
                        match inside {
                            Ok(()) => {}
                            Err(AttachError::Finalizing) => thread::yield_now(),
                            Err(error) => return assert_eq!(error, AttachError::Ended),
                        }
                        if n == 0 {
                            match rt.create(&presets()[round % 2], None) {
                                // Some are left to the finalization. Fixed memory has no room for all that a thread
                                // makes while the finalizing one has no processor.
                                Ok(_) if left < 8 => left += 1,
                                Ok(state) => {
                                    let id = state.interpreter();
                                    drop(state);
                                    let ended = rt.end(id, None);
                                    assert!(
                                        matches!(
                                            ended,
                                            Ok(_) | Err(EndError::NotFound | EndError::InProgress)
                                        ),
                                        "{ended:?}"
                                    );
                                }
                                Err(error) => assert!(
                                    [CreateError::NotRunning, CreateError::MainEnding].contains(&error),
                                    "{error:?}"
                                ),
                            }
                        }
                    }
                });
            }
            s.spawn(|| {
                thread::yield_now();
                assert!(rt.finalize(None).unwrap().main.is_clean());
                finalized.store(true, Ordering::Release);
            });
        });
        assert_eq!((rt.phase(), rt.count()), (RuntimePhase::Finalized, Ok(0)));
    }
}

/// SPEC: L10
pub fn many_ends_race_with_many_threads_inside<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let rounds = scaled(20, 2);
    for round in 0..rounds {
        let id = create(&rt, &presets()[round % 2]);
        thread::scope(|s| {
            for n in 0..scaled(4, 2) {
                let rt = &rt;
                s.spawn(move || {
                    let mut state = match rt.thread_state(id) {
                        Ok(state) => state,
                        Err(error) => {
                            return assert!(matches!(error, ThreadError::NotFound | ThreadError::Finalizing));
                        }
                    };
                    while state.attach(|cx| cx.detach(thread::yield_now)).is_ok() {}
                    let _ = n;
                });
            }
            for _ in 0..scaled(3, 2) {
                s.spawn(|| {
                    loop {
                        match rt.end(id, Some(Duration::ZERO)) {
                            Ok(_) | Err(EndError::NotFound) => return,
                            Err(EndError::StillActive | EndError::InProgress) => thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
    }
    assert_eq!(scribe.ended().len(), rounds, "each ended once");
    assert_eq!(numbers(&rt), [0]);
}

/// SPEC: L10, L11, G1
pub fn the_last_one_out_may_hold_the_shared_gil<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let main = rt.main().unwrap();
    let id = create(&rt, &InterpreterConfig::legacy());
    let (inside, ended) = (Gate::new(), Gate::new());
    thread::scope(|s| {
        let sleeper = s.spawn(|| {
            let mut inner = rt.thread_state(id).unwrap();
            rt.ensure(main, |cx| {
                let kept = cx.alloc_plain(1u32).unwrap();
                let entered = cx.enter(&mut inner, |cy| {
                    core::mem::forget(cy.alloc_plain(2u32).unwrap());
                    cy.detach(|| {
                        inside.open();
                        ended.wait();
                    });
                    cy.safepoint()
                });
                // It left the interpreter, completed its end, and is attached to main as before.
                assert_eq!((entered, current::<H>()), (Ok(Err(Interrupt::Finalizing)), Some(main)));
                assert_eq!(
                    scribe
                        .ended()
                        .into_iter()
                        .map(|(number, ledger)| (number, ledger.objects))
                        .collect::<Vec<_>>(),
                    [(id.number(), 1)]
                );
                assert_eq!(*kept.get(cx), 1);
                assert_eq!(cx.safepoint(), Ok(()));
            })
        });
        inside.wait();
        assert_eq!(rt.end(id, Some(Duration::ZERO)), Err(EndError::StillActive));
        ended.open();
        sleeper.join().unwrap().unwrap();
    });
    assert_eq!(numbers(&rt), [0]);
}

/// SPEC: L11, R1
pub fn a_runtime_may_be_dropped_as_it_is<H: TestHost>() {
    let (noisy, drops) = Noisy::new();
    {
        let rt = H::started();
        let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
        state.attach(|cx| core::mem::forget(cx.alloc_plain(noisy).ok().unwrap())).unwrap();
        create(&rt, &InterpreterConfig::legacy());
    }
    assert_eq!(drops.count(), 1, "dropping finalizes");
    drop(H::fresh());
    let rt = H::started();
    rt.finalize(None).unwrap();
}

/// SPEC: L10, R4
pub fn a_time_limit_beyond_the_clock_is_refused<H: TestHost>() {
    use archipelago_kernel::host::Clock;

    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let longer = <H::Clock as Clock>::MAX.saturating_add(Duration::from_nanos(1));
    if longer > <H::Clock as Clock>::MAX {
        assert_eq!(rt.end(id, Some(longer)), Err(EndError::TooLong));
        assert_eq!(rt.finalize(Some(longer)), Err(RuntimeError::TooLong));
        assert_eq!(rt.ensure(id, |cx| cx.safepoint()), Ok(Ok(())), "nothing changed");
    }
    assert!(rt.end(id, Some(<H::Clock as Clock>::MAX)).is_ok());
}
