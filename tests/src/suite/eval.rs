//! Safepoints, interrupts, deadlines, fuel, and waits that can be ended.

use core::{
    cell::Cell,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{
    Attached,
    config::InterpreterConfig,
    error::{DeadlineError, Interrupt, LookupError, PendingError},
    eval::PendingFailed,
    host::{Clock, Host, Wake},
};

use crate::{
    TestHost,
    support::{Gate, Log, create, list_all, note, presets, until},
};

/// A time that no test takes.
const LONG: Duration = Duration::from_secs(1000);
const SHORT: Duration = Duration::from_millis(1);

/// SPEC: E1
pub fn with_nothing_to_do_a_safepoint_does_nothing<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let switches = || rt.interpreter(state.interpreter()).unwrap().gil().unwrap().switches;
        let before = switches();
        let id = state.interpreter();
        state.attach(|cx| (0..100).for_each(|_| assert_eq!(cx.safepoint(), Ok(())))).unwrap();
        assert_eq!(rt.interpreter(id).unwrap().gil().unwrap().switches, before + 1);
    }
}

/// SPEC: E1, E3
pub fn an_interrupt_is_told_once_to_each_thread_state<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut first = rt.create(&config, None).unwrap();
        let id = first.interpreter();
        let mut second = rt.thread_state(id).unwrap();
        let mut other = rt.create(&config, None).unwrap();
        rt.interpreter(id).unwrap().interrupt().unwrap();
        let mut late = rt.thread_state(id).unwrap();
        for state in [&mut first, &mut second] {
            let told = state.attach(|cx| [cx.safepoint(), cx.safepoint()]);
            assert_eq!(told, Ok([Err(Interrupt::Requested), Ok(())]));
        }
        assert_eq!(other.attach(|cx| cx.safepoint()), Ok(Ok(())), "no other interpreter");
        assert_eq!(late.attach(|cx| cx.safepoint()), Ok(Ok(())), "nor who came later");
        rt.end(id, None).unwrap();
        assert_eq!(rt.interpreter(id).err(), Some(LookupError::NotFound));
    }
}

/// SPEC: E3
pub fn an_interrupt_reaches_a_thread_that_computes<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let inside = Gate::new();
        thread::scope(|s| {
            let computing = s.spawn(|| {
                rt.ensure(id, |cx| {
                    inside.open();
                    loop {
                        if let Err(interrupt) = cx.safepoint() {
                            return interrupt;
                        }
                        core::hint::spin_loop();
                    }
                })
            });
            inside.wait();
            rt.interpreter(id).unwrap().interrupt().unwrap();
            assert_eq!(computing.join().unwrap(), Ok(Interrupt::Requested));
        });
    }
}

/// SPEC: E3
pub fn an_interrupt_wakes_a_wait<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let interpreter = rt.interpreter(id).unwrap();
        let (inside, woken) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            let waiting = s.spawn(|| {
                rt.ensure(id, |cx| {
                    let waited = cx.wait(&woken, || {
                        inside.open();
                        woken.wait();
                        5
                    });
                    (waited, cx.safepoint(), cx.safepoint())
                })
            });
            inside.wait();
            assert!(!woken.is_open());
            interpreter.interrupt().unwrap();
            let expected = (Ok(5), Err(Interrupt::Requested), Ok(()));
            assert_eq!(waiting.join().unwrap(), Ok(expected));
        });
    }
}

/// SPEC: E3, L10
pub fn a_waker_that_panics_keeps_nobody_from_being_told<H: TestHost>() {
    struct Bad<'a>(&'a Gate);
    impl Wake for Bad<'_> {
        fn wake(&self) {
            self.0.open();
            panic!("a waker");
        }
    }
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let gates = [(); 3].map(|()| (Gate::new(), Gate::new()));
        thread::scope(|s| {
            let mut threads = Vec::new();
            for (nth, (inside, woken)) in gates.iter().enumerate() {
                let rt = &rt;
                threads.push(s.spawn(move || {
                    let bad = Bad(woken);
                    let waker: &dyn Wake = if nth == 1 { &bad } else { woken };
                    rt.ensure(id, |cx| {
                        let _ = cx.wait(waker, || {
                            inside.open();
                            woken.wait();
                        });
                        cx.safepoint()
                    })
                }));
                inside.wait();
            }
            let ended = catch_unwind(AssertUnwindSafe(|| rt.end(id, None)));
            assert!(ended.is_err(), "the panic is the ender's");
            for told in threads {
                assert_eq!(told.join().unwrap(), Ok(Err(Interrupt::Finalizing)));
            }
        });
        assert_eq!(list_all(&rt), [rt.main().unwrap()], "the last one out completed the end");
    }
}

/// SPEC: E3
pub fn with_a_reason_to_stop_a_wait_does_not_begin<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let interpreter = rt.interpreter(state.interpreter()).unwrap();
    let gate = Gate::new();
    state
        .attach(|cx| {
            interpreter.interrupt().unwrap();
            let waited = cx.wait(&gate, || panic!("it must not begin"));
            assert_eq!(waited, Err(Interrupt::Requested));
            assert_eq!(cx.wait(&gate, || 6), Ok(6), "told once");
            assert!(!gate.is_open(), "nobody was woken");
        })
        .unwrap();
}

/// SPEC: E3
pub fn an_interrupt_wakes_the_innermost_wait<H: TestHost>() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let interpreter = rt.interpreter(id).unwrap();
    let (outer, inner) = (Count(AtomicUsize::new(0)), Count(AtomicUsize::new(0)));
    let counts = || (outer.0.load(Ordering::Relaxed), inner.0.load(Ordering::Relaxed));
    state
        .attach(|cx| {
            let waited = cx.wait(&outer, || {
                let nested = rt.ensure(id, |cy| {
                    let nested = cy.wait(&inner, || {
                        interpreter.interrupt().unwrap();
                        counts()
                    });
                    assert_eq!(cy.safepoint(), Err(Interrupt::Requested));
                    nested
                });
                assert_eq!(nested, Ok(Ok((0, 1))));
                assert_eq!(counts(), (1, 1), "nobody had answered yet when the outer one was back");
                interpreter.interrupt().unwrap();
                counts()
            });
            assert_eq!(waited, Ok((2, 1)), "then the outer one's turn has come");
            assert_eq!(cx.safepoint(), Err(Interrupt::Requested));
            interpreter.interrupt().unwrap();
            assert_eq!(counts(), (2, 1), "and then nobody's");
        })
        .unwrap();
}

/// SPEC: E5
pub fn a_deadline_passes_by_the_tick<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    assert_eq!(rt.tick(), None, "none is armed");
    state
        .attach(|cx| {
            cx.set_deadline(Some(LONG)).unwrap();
            let next = rt.tick().unwrap();
            assert!(next <= LONG && next > LONG / 2);
            assert_eq!(cx.safepoint(), Ok(()));
            cx.set_deadline(Some(SHORT)).unwrap();
            H::pass(&rt, 2 * SHORT);
            assert_eq!(cx.safepoint(), Ok(()), "nobody looked yet");
            assert_eq!(rt.tick(), None, "it passed, and is not armed any more");
            assert_eq!([cx.safepoint(), cx.safepoint()], [Err(Interrupt::Deadline), Ok(())]);
            cx.set_deadline(Some(SHORT)).unwrap();
            cx.set_deadline(None).unwrap();
            H::pass(&rt, 2 * SHORT);
            assert_eq!((rt.tick(), cx.safepoint()), (None, Ok(())), "taken away");
            cx.set_deadline(Some(SHORT)).unwrap();
            H::pass(&rt, 2 * SHORT);
            rt.tick();
            cx.set_deadline(None).unwrap();
            assert_eq!(cx.safepoint(), Ok(()), "taken away when it had passed");
            cx.set_deadline(Some(SHORT)).unwrap();
            H::pass(&rt, 2 * SHORT);
            rt.tick();
            cx.set_deadline(Some(LONG)).unwrap();
            assert_eq!(cx.safepoint(), Ok(()), "another one in place of one that had passed");
        })
        .unwrap();
}

/// SPEC: L12
pub fn what_takes_an_interpreter_down_is_not_stopped_by_its_fuel<H: TestHost>() {
    fn leftover<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
        assert_eq!((cx.spend(5), cx.safepoint()), (Ok(()), Ok(())));
        note(cx, argument)
    }
    let rt = H::started();
    let log = Log::new();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    state
        .attach(|cx| {
            cx.set_fuel(Some(1));
            assert_eq!(cx.spend(2), Err(Interrupt::OutOfFuel));
            cx.call_soon(leftover, log.argument(1)).unwrap();
        })
        .unwrap();
    assert!(rt.end(id, None).unwrap().is_clean());
    assert_eq!(log.values(), [1]);
}

/// SPEC: E5
pub fn each_interpreter_has_its_own_deadline<H: TestHost>() {
    let rt = H::started();
    let mut states: Vec<_> = (0..3).map(|n| rt.create(&presets()[n % 2], None).unwrap()).collect();
    for (state, within) in states.iter_mut().zip([LONG, SHORT, 2 * LONG]) {
        state.attach(|cx| cx.set_deadline(Some(within)).unwrap()).unwrap();
    }
    H::pass(&rt, 2 * SHORT);
    let next = rt.tick().unwrap();
    assert!(next <= LONG && next > LONG / 2, "the next one is the first's");
    let told = states.iter_mut().map(|state| state.attach(|cx| cx.safepoint()).unwrap());
    assert_eq!(told.collect::<Vec<_>>(), [Ok(()), Err(Interrupt::Deadline), Ok(())]);
    for state in &states {
        rt.end(state.interpreter(), None).unwrap();
    }
    assert_eq!(rt.tick(), None, "an ended interpreter has none");
}

/// SPEC: E5, C7
pub fn a_deadline_from_the_config<H: TestHost>() {
    let rt = H::started();
    let config = InterpreterConfig::isolated().with_deadline(Some(SHORT));
    let mut state = rt.create(&config, None).unwrap();
    H::pass(&rt, 2 * SHORT);
    rt.tick();
    assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Err(Interrupt::Deadline)));
}

/// SPEC: E5
pub fn a_deadline_wakes_a_wait<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let woken = Gate::new();
    state
        .attach(|cx| {
            cx.set_deadline(Some(SHORT)).unwrap();
            let waited = cx.wait(&woken, || {
                thread::scope(|s| {
                    s.spawn(|| {
                        H::pass(&rt, 2 * SHORT);
                        assert_eq!(rt.tick(), None);
                    });
                    woken.wait();
                });
            });
            assert_eq!((waited, cx.safepoint()), (Ok(()), Err(Interrupt::Deadline)));
        })
        .unwrap();
}

/// SPEC: E5
pub fn a_deadline_beyond_the_clock_is_refused<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let longest = <<H as Host>::Clock as Clock>::MAX;
    state
        .attach(|cx| {
            cx.set_deadline(Some(SHORT)).unwrap();
            let longer = longest.saturating_add(Duration::from_micros(1));
            assert_eq!(cx.set_deadline(Some(longer)), Err(DeadlineError::TooLong));
            H::pass(&rt, 2 * SHORT);
            rt.tick();
            assert_eq!(cx.safepoint(), Err(Interrupt::Deadline), "the old one stands");
            assert_eq!(cx.set_deadline(Some(longest)), Ok(()));
            assert_eq!(cx.safepoint(), Ok(()));
        })
        .unwrap();
}

/// SPEC: E6
pub fn fuel_is_spent_to_the_unit<H: TestHost>() {
    let rt = H::started();
    let config = InterpreterConfig::isolated().with_fuel(Some(10));
    let mut state = rt.create(&config, None).unwrap();
    let id = state.interpreter();
    state
        .attach(|cx| {
            assert_eq!((cx.spend(3), cx.fuel()), (Ok(()), Some(7)));
            assert_eq!((cx.spend(7), cx.fuel()), (Ok(()), Some(0)), "the last unit counts");
            assert_eq!((cx.spend(0), cx.spend(1)), (Ok(()), Err(Interrupt::OutOfFuel)));
            cx.set_fuel(Some(5));
            assert_eq!((cx.spend(6), cx.fuel()), (Err(Interrupt::OutOfFuel), Some(0)));
            cx.set_fuel(None);
            assert_eq!((cx.spend(u64::MAX), cx.fuel()), (Ok(()), None), "none set: not limited");
            cx.set_fuel(Some(2));
        })
        .unwrap();
    assert_eq!(rt.ensure(id, |cx| cx.fuel()), Ok(Some(2)), "it is the interpreter's");
}

/// SPEC: T2, E3
pub fn a_wait_lets_the_gil_go<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let gate = Gate::new();
        let seen = Cell::new(0);
        state
            .attach(|cx| {
                let value = cx.alloc_plain(8u8).unwrap();
                cx.wait(&gate, || {
                    let other = || rt.ensure(id, |cy| cy.id().number()).unwrap();
                    seen.set(thread::scope(|s| s.spawn(other).join().unwrap()));
                })
                .unwrap();
                assert_eq!(*value.get(cx), 8);
            })
            .unwrap();
        assert_eq!(seen.get(), id.number());
    }
}

/// SPEC: E1, T7
pub fn the_end_is_told_at_every_safepoint<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let entered = Gate::new();
        thread::scope(|s| {
            let inside = s.spawn(|| {
                rt.ensure(id, |cx| {
                    entered.open();
                    until("it is told", || cx.safepoint() == Err(Interrupt::Finalizing));
                    let gate = Gate::new();
                    let again =
                        [cx.safepoint(), cx.wait(&gate, || panic!("it must not begin")), cx.safepoint()];
                    assert_eq!(again, [Err(Interrupt::Finalizing); 3]);
                    cx.detach(|| ());
                    assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing), "until the thread has left");
                })
            });
            entered.wait();
            assert!(rt.end(id, None).unwrap().is_clean());
            inside.join().unwrap().unwrap();
        });
    }
}

/// SPEC: R8
pub fn the_lock_order_is_asserted_in_debug_builds<H: TestHost>() {
    struct Wrong<'a, H: Host>(&'a archipelago_kernel::Runtime<H>);
    impl<H: Host> Wake for Wrong<'_, H> {
        fn wake(&self) {
            // Under the runtime's lock: it must not be asked for again.
            let _ = self.0.count();
        }
    }
    if !cfg!(debug_assertions) {
        return;
    }
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let interpreter = rt.interpreter(state.interpreter()).unwrap();
    let wrong = Wrong(&rt);
    state
        .attach(|cx| {
            let waited = cx.wait(&wrong, || {
                let interrupt = core::panic::AssertUnwindSafe(|| interpreter.interrupt());
                let panicked = std::panic::catch_unwind(interrupt).unwrap_err();
                panicked.downcast_ref::<&str>().is_some_and(|text| text.starts_with("lock order"))
            });
            assert_eq!(waited, Ok(true));
        })
        .unwrap();
    assert_eq!(rt.count(), Ok(2), "the lock is free again");
}

/// SPEC: E3, E5
pub fn a_handler_interrupts_and_looks_at_deadlines<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated().with_deadline(Some(SHORT)), None).unwrap();
    let id = state.interpreter();
    let port = rt.interpreter(id).unwrap().port().unwrap();
    H::pass(&rt, SHORT);
    state
        .attach(|cx| {
            let Some((interrupted, next)) = H::in_handler(|| (port.interrupt(), rt.tick())) else { return };
            assert_eq!((interrupted, next), (Ok(()), None));
            assert_eq!(cx.safepoint(), Err(Interrupt::Requested));
            assert_eq!(cx.safepoint(), Err(Interrupt::Deadline));
            assert_eq!(cx.safepoint(), Ok(()));
        })
        .unwrap();
    rt.end(id, None).unwrap();
    let late = H::in_handler(|| port.interrupt());
    assert!(matches!(late, None | Some(Err(PendingError::Ended))), "{late:?}");
}

/// SPEC: E5
pub fn a_deadline_waits_for_the_first_thread_state<H: TestHost>() {
    let rt = H::started();
    let config = InterpreterConfig::isolated().with_deadline(Some(SHORT));
    let id = create(&rt, &config);
    H::pass(&rt, SHORT);
    assert_eq!(rt.tick(), None);
    let mut first = rt.thread_state(id).unwrap();
    let mut second = rt.thread_state(id).unwrap();
    assert_eq!(first.attach(|cx| cx.safepoint()), Ok(Err(Interrupt::Deadline)));
    assert_eq!(second.attach(|cx| cx.safepoint()), Ok(Ok(())), "it is told once");
    let other = create(&rt, &config);
    H::pass(&rt, SHORT);
    assert_eq!(rt.tick(), None);
    assert!(rt.end(other, None).unwrap().is_clean(), "what takes it down is not stopped");
}

/// SPEC: L10, T5
pub fn an_end_during_a_nested_wait_reaches_the_outer_one<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let (outer, inner, waiting) = (Gate::new(), Gate::new(), Gate::new());
    thread::scope(|s| {
        let ender = s.spawn(|| {
            waiting.wait();
            rt.end(id, None).is_ok()
        });
        state
            .attach(|cx| {
                let waited = cx.wait(&outer, || {
                    let nested = rt.ensure(id, |cy| {
                        cy.wait(&inner, || {
                            waiting.open();
                            inner.wait();
                        })
                    });
                    assert_eq!(nested, Ok(Ok(())));
                    // Nobody else opens it.
                    outer.wait();
                });
                assert_eq!(waited, Ok(()));
                assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing));
            })
            .unwrap();
        assert!(ender.join().unwrap());
    });
}
