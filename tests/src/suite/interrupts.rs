//! What is raised in one thread state from outside, and deadlines and fuel for a part of a run.

use core::{panic::AssertUnwindSafe, time::Duration};
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{
    Attached, Runtime,
    config::InterpreterConfig,
    error::{DeadlineError, Interrupt, ThreadError},
    eval::{Raise, Timed},
    host::{Clock, Host},
};

use crate::{
    TestHost,
    support::{Gate, create, presets},
};

/// A time that no test takes.
const LONG: Duration = Duration::from_secs(1000);
const SHORT: Duration = Duration::from_millis(1);

const LATE: Result<(), Interrupt> = Err(Interrupt::Deadline);
const DRY: Result<(), Interrupt> = Err(Interrupt::OutOfFuel);

/// Time passes, and somebody looks at the deadlines.
fn pass<H: TestHost>(rt: &Runtime<H>) -> Option<Duration> {
    H::pass(rt, 2 * SHORT);
    rt.tick()
}

/// What a scope answered that the clock can tell.
fn within<R, H: Host>(
    cx: &mut Attached<'_, H>,
    within: Duration,
    f: impl FnOnce(&mut Attached<'_, H>) -> R,
) -> (R, bool) {
    let Timed { value, expired, .. } = cx.with_deadline(within, f).unwrap();
    (value, expired)
}

fn number(number: u32) -> Option<Raise> {
    Some(Raise::new(number).expect("not zero"))
}

/// SPEC: E3, E1
/// CPython: test_threading.ThreadTests.test_PyThreadState_SetAsyncExc
pub fn what_is_raised_is_told_once_to_one_thread_state<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut first = rt.create(&config, None).unwrap();
        let id = first.interpreter();
        let mut second = rt.thread_state(id).unwrap();
        let mut other = rt.create(&config, None).unwrap();
        let interpreter = rt.interpreter(id).unwrap();
        assert_eq!(interpreter.raise_in(first.id(), number(7)), Ok(None));
        for state in [&mut second, &mut other] {
            assert_eq!(state.attach(|cx| (cx.safepoint(), cx.take_raised())), Ok((Ok(()), None)));
        }
        let told = first.attach(|cx| (cx.safepoint(), cx.take_raised(), cx.safepoint(), cx.take_raised()));
        assert_eq!(told, Ok((Err(Interrupt::Raised), number(7), Ok(()), None)));
        // By the thread itself too.
        let told = first.attach(|cx| {
            assert_eq!(interpreter.raise_in(cx.thread_id(), number(u32::MAX)), Ok(None));
            (cx.safepoint(), cx.safepoint(), cx.take_raised())
        });
        assert_eq!(told, Ok((Err(Interrupt::Raised), Ok(()), number(u32::MAX))));
    }
}

/// SPEC: E3
pub fn what_is_raised_later_replaces_what_was_raised_before<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let (interpreter, me) = (rt.interpreter(state.interpreter()).unwrap(), state.id());
    let raise = |what| interpreter.raise_in(me, what).unwrap();
    state
        .attach(|cx| {
            assert_eq!([raise(number(1)), raise(number(2))], [None, number(1)]);
            assert_eq!((cx.safepoint(), cx.safepoint()), (Err(Interrupt::Raised), Ok(())), "told once");
            assert_eq!(raise(number(3)), number(2), "told, but not taken out yet");
            assert_eq!((cx.safepoint(), cx.take_raised()), (Err(Interrupt::Raised), number(3)));

            assert_eq!([raise(number(4)), raise(None), raise(None)], [None, number(4), None]);
            assert_eq!((cx.safepoint(), cx.take_raised()), (Ok(()), None), "taken back");
            raise(number(5));
            assert_eq!(cx.safepoint(), Err(Interrupt::Raised));
            assert_eq!(
                (raise(None), cx.take_raised()),
                (number(5), None),
                "taken back when it had been told"
            );

            raise(number(6));
            assert_eq!((cx.take_raised(), cx.safepoint()), (number(6), Ok(())), "taken out first");
        })
        .unwrap();
}

/// SPEC: E3
pub fn what_is_raised_reaches_threads_that_compute_and_that_wait<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let interpreter = rt.interpreter(id).unwrap();
        let (inside, woken) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            let (tell, told) = std::sync::mpsc::channel();
            let waiting = s.spawn(|| {
                let tell = tell;
                rt.ensure(id, |cx| {
                    tell.send(cx.thread_id()).unwrap();
                    let waited = cx.wait(&woken, || {
                        inside.open();
                        woken.wait();
                    });
                    let told = (waited, cx.safepoint(), cx.take_raised(), cx.safepoint());
                    tell.send(cx.thread_id()).unwrap();
                    while cx.safepoint() != Err(Interrupt::Raised) {
                        core::hint::spin_loop();
                    }
                    (told, cx.take_raised())
                })
            });
            let thread = told.recv().unwrap();
            inside.wait();
            assert!(!woken.is_open());
            assert_eq!(interpreter.raise_in(thread, None), Ok(None));
            assert!(!woken.is_open(), "nothing to be told of");
            assert_eq!(interpreter.raise_in(thread, number(8)), Ok(None));
            assert_eq!(told.recv(), Ok(thread));
            assert_eq!(interpreter.raise_in(thread, number(9)), Ok(None));
            let first = (Ok(()), Err(Interrupt::Raised), number(8), Ok(()));
            assert_eq!(waiting.join().unwrap(), Ok((first, number(9))));
        });
    }
}

/// SPEC: E3
pub fn with_something_raised_a_wait_does_not_begin<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let (interpreter, me) = (rt.interpreter(state.interpreter()).unwrap(), state.id());
    let gate = Gate::new();
    state
        .attach(|cx| {
            interpreter.raise_in(me, number(1)).unwrap();
            assert_eq!(cx.wait(&gate, || panic!("it must not begin")), Err(Interrupt::Raised));
            assert_eq!(cx.wait(&gate, || 6), Ok(6), "told once");
            interpreter.raise_in(me, number(2)).unwrap();
            interpreter.raise_in(me, None).unwrap();
            assert_eq!(cx.wait(&gate, || 7), Ok(7), "taken back");
            assert!(!gate.is_open(), "nobody was woken");
        })
        .unwrap();
}

/// SPEC: E3, T1
/// CPython: test_threading.ThreadTests.test_PyThreadState_SetAsyncExc
pub fn what_is_raised_dies_with_its_thread_state<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let interpreter = rt.interpreter(id).unwrap();
    let going = rt.thread_state(id).unwrap();
    let old = going.id();
    assert_eq!(interpreter.raise_in(old, number(1)), Ok(None));
    drop(going);
    // Most often in the same slot.
    let mut next = rt.thread_state(id).unwrap();
    assert_eq!(next.attach(|cx| (cx.safepoint(), cx.take_raised())), Ok((Ok(()), None)));
    for thread in [old, 0, u64::MAX, rt.create(&InterpreterConfig::isolated(), None).unwrap().id()] {
        assert_eq!(interpreter.raise_in(thread, number(2)), Err(ThreadError::Stale), "not its own");
    }
    assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Ok(())));
    let refused = H::in_handler(|| interpreter.raise_in(next.id(), number(3)));
    assert!(matches!(refused, None | Some(Err(ThreadError::InInterrupt))), "{refused:?}");
    assert_eq!(next.attach(|cx| cx.safepoint()), Ok(Ok(())));
    rt.end(id, None).unwrap();
    assert_eq!(interpreter.raise_in(next.id(), number(4)), Err(ThreadError::NotFound));
}

/// SPEC: E1, E3
pub fn several_reasons_to_stop_are_told_one_by_one<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let (interpreter, me) = (rt.interpreter(state.interpreter()).unwrap(), state.id());
    interpreter.interrupt().unwrap();
    interpreter.raise_in(me, number(1)).unwrap();
    let told = state.attach(|cx| [cx.safepoint(), cx.safepoint(), cx.safepoint()]);
    assert_eq!(told, Ok([Err(Interrupt::Raised), Err(Interrupt::Requested), Ok(())]));
}

/// SPEC: E5
pub fn a_part_of_a_run_has_a_deadline<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let mut other = rt.thread_state(state.interpreter()).unwrap();
        state
            .attach(|cx| {
                let told = within(cx, SHORT, |cx| {
                    H::pass(&rt, 2 * SHORT);
                    assert_eq!(cx.safepoint(), Ok(()), "nobody looked yet");
                    assert_eq!(rt.tick(), None, "it passed, and no other is there");
                    [cx.safepoint(), cx.safepoint()]
                });
                assert_eq!(told, ([LATE, Ok(())], true));
                let told = within(cx, LONG, |cx| {
                    let next = pass(&rt).unwrap();
                    assert!(next <= LONG && next > LONG / 2);
                    cx.safepoint()
                });
                assert_eq!(told, (Ok(()), false));
                assert_eq!((rt.tick(), cx.safepoint()), (None, Ok(())), "over");
                let told = within(cx, Duration::ZERO, |_| pass(&rt));
                assert_eq!(
                    (told, cx.safepoint()),
                    ((None, true), Ok(())),
                    "it was told to nobody, and is over"
                );
            })
            .unwrap();
        assert_eq!(other.attach(|cx| cx.safepoint()), Ok(Ok(())), "and to no other thread state");
    }
}

/// SPEC: E5
pub fn the_earliest_deadline_holds<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            let outer = within(cx, LONG, |cx| {
                let inner = within(cx, SHORT, |cx| {
                    let next = pass(&rt).unwrap();
                    assert!(next > LONG / 2, "the outer one's");
                    cx.safepoint()
                });
                assert_eq!(inner, (LATE, true));
                assert!(rt.tick().unwrap() > LONG / 2, "armed as before");
                cx.safepoint()
            });
            assert_eq!(outer, (Ok(()), false));

            let outer = within(cx, SHORT, |cx| {
                let inner = within(cx, LONG, |cx| {
                    assert_eq!(pass(&rt), None, "the inner one has no later time than the outer one");
                    [cx.safepoint(), cx.safepoint()]
                });
                assert_eq!(inner, ([LATE, Ok(())], true));
                let told = [cx.safepoint(), cx.safepoint()];
                assert_eq!(told, [LATE, Ok(())], "told again, for the error was swallowed");
                // Whatever begins now has no time left.
                let third = within(cx, LONG, |cx| [cx.safepoint(), cx.safepoint()]);
                assert_eq!(third, ([LATE, Ok(())], true));
                let fourth = within(cx, LONG, |_| ());
                assert_eq!(fourth, ((), true));
                [cx.safepoint(), cx.safepoint()]
            });
            assert_eq!(outer, ([LATE, Ok(())], true));
            assert_eq!((rt.tick(), cx.safepoint()), (None, Ok(())));
        })
        .unwrap();
}

/// SPEC: E5
pub fn the_interpreters_deadline_is_around_all<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            cx.set_deadline(Some(SHORT)).unwrap();
            let scope = within(cx, LONG, |cx| {
                let inner = within(cx, LONG, |cx| {
                    assert!(pass(&rt).is_some(), "the scope's is left");
                    [cx.safepoint(), cx.safepoint()]
                });
                assert_eq!(inner, ([LATE, Ok(())], false), "its own time was not up");
                [cx.safepoint(), cx.safepoint()]
            });
            assert_eq!(scope, ([LATE, Ok(())], false));
            assert_eq!([cx.safepoint(), cx.safepoint()], [LATE, Ok(())]);

            cx.set_deadline(Some(SHORT)).unwrap();
            pass(&rt);
            let scope = within(cx, LONG, |cx| [cx.safepoint(), cx.safepoint()]);
            assert_eq!(scope, ([LATE, Ok(())], false), "it had passed before");
            assert_eq!([cx.safepoint(), cx.safepoint()], [LATE, Ok(())]);

            let scope = within(cx, SHORT, |cx| {
                cx.set_deadline(Some(SHORT)).unwrap();
                pass(&rt);
                cx.set_deadline(None).unwrap();
                [cx.safepoint(), cx.safepoint()]
            });
            assert_eq!(scope, ([LATE, Ok(())], true), "the scope's is not taken away");
            assert_eq!(cx.safepoint(), Ok(()), "the interpreter's is");
            let scope = within(cx, LONG, |cx| {
                cx.set_deadline(Some(SHORT)).unwrap();
                pass(&rt);
                cx.set_deadline(None).unwrap();
                cx.safepoint()
            });
            assert_eq!((scope, cx.safepoint()), ((Ok(()), false), Ok(())));
        })
        .unwrap();
}

/// SPEC: E5, T3, T5
pub fn what_is_entered_is_bound_too<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
        let mut other = rt.create(&config, None).unwrap();
        let (own, entered) = (state.interpreter(), other.interpreter());
        state
            .attach(|cx| {
                let scope = within(cx, SHORT, |cx| {
                    let inside = cx.enter(&mut other, |cy| {
                        assert_eq!(cy.safepoint(), Ok(()));
                        assert_eq!(pass(&rt), None);
                        [cy.safepoint(), cy.safepoint()]
                    });
                    assert_eq!(inside, Ok([LATE, Ok(())]));
                    assert_eq!([cx.safepoint(), cx.safepoint()], [LATE, Ok(())], "told again out here");
                    let inside = cx.detach(|| rt.ensure(entered, |cy| [cy.safepoint(), cy.safepoint()]));
                    assert_eq!(inside, Ok([LATE, Ok(())]), "no time is left");
                    assert_eq!(cx.safepoint(), Ok(()), "that was told to another thread state");
                    // In a frame of the same thread state it is the same scope.
                    let inside = cx.detach(|| rt.ensure(own, |cx| cx.safepoint()));
                    assert_eq!((inside, cx.safepoint()), (Ok(Ok(())), Ok(())));
                });
                assert_eq!((scope, cx.safepoint()), (((), true), Ok(())));
                assert_eq!(cx.enter(&mut other, |cy| cy.safepoint()), Ok(Ok(())), "over");

                // There and back: bound by what both have.
                let scope = within(cx, LONG, |cx| {
                    let scope = cx.enter(&mut other, |cy| {
                        within(cy, SHORT, |cy| {
                            cy.detach(|| rt.ensure(own, |cx| (pass(&rt).is_some(), cx.safepoint())))
                        })
                    });
                    assert_eq!(scope, Ok((Ok((true, LATE)), true)));
                    cx.safepoint()
                });
                assert_eq!(scope, (Ok(()), false));
            })
            .unwrap();
        rt.end(entered, None).unwrap();
    }
}

/// SPEC: E5
pub fn a_scopes_deadline_wakes_a_wait<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let woken = Gate::new();
    state
        .attach(|cx| {
            let waited = within(cx, SHORT, |cx| {
                let waited = cx.wait(&woken, || {
                    thread::scope(|s| {
                        s.spawn(|| assert_eq!(pass(&rt), None));
                        woken.wait();
                    });
                });
                (waited, cx.safepoint())
            });
            assert_eq!(waited, ((Ok(()), LATE), true));
        })
        .unwrap();
}

/// SPEC: E5, E6
pub fn a_scope_closes_where_its_code_panics<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut other = rt.create(&InterpreterConfig::legacy(), None).unwrap();
    state
        .attach(|cx| {
            for entering in [false, true] {
                let timed = catch_unwind(AssertUnwindSafe(|| {
                    cx.with_deadline(SHORT, |cx| {
                        pass(&rt);
                        match entering {
                            false => panic!("inside"),
                            true => cx.enter(&mut other, |_| panic!("inside")),
                        }
                    })
                }));
                assert!(timed.is_err());
                assert_eq!((rt.tick(), cx.safepoint()), (None, Ok(())));
                let fuelled = catch_unwind(AssertUnwindSafe(|| {
                    cx.with_fuel(5, |cx| {
                        assert_eq!(cx.spend(6), DRY);
                        panic!("inside");
                    })
                }));
                assert!(fuelled.is_err());
                assert_eq!((cx.fuel(), cx.spend(6), cx.safepoint()), (None, Ok(()), Ok(())));
            }
        })
        .unwrap();
    assert_eq!(other.attach(|cx| cx.safepoint()), Ok(Ok(())));
}

/// SPEC: E5
pub fn a_scopes_deadline_may_be_refused<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let longest = <<H as Host>::Clock as Clock>::MAX;
    state
        .attach(|cx| {
            let longer = longest.saturating_add(Duration::from_micros(1));
            let refused = cx.with_deadline(longer, |_| panic!("it must not run"));
            assert_eq!(refused.err(), Some(DeadlineError::TooLong));
            assert_eq!(within(cx, longest, |cx| cx.safepoint()), (Ok(()), false));
            assert_eq!(rt.tick(), None);
        })
        .unwrap();
    let id = state.interpreter();
    let entered = Gate::new();
    thread::scope(|s| {
        let inside = s.spawn(|| {
            rt.ensure(id, |cx| {
                let scope = within(cx, LONG, |cx| {
                    entered.open();
                    crate::support::until("it is told", || cx.safepoint() == Err(Interrupt::Finalizing));
                    let refused = cx.with_deadline(LONG, |_| panic!("it must not run"));
                    assert_eq!(refused.err(), Some(DeadlineError::Finalizing));
                    let run = cx.with_fuel(1, |cx| cx.work(1));
                    assert_eq!((run.value, run.ran_out), (Err(Interrupt::Finalizing), false));
                });
                assert_eq!(scope, ((), false));
            })
        });
        entered.wait();
        assert!(rt.end(id, None).unwrap().is_clean());
        inside.join().unwrap().unwrap();
    });
}

/// SPEC: E5
pub fn code_may_look_at_deadlines_itself<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            let told = within(cx, SHORT, |cx| {
                H::pass(&rt, 2 * SHORT);
                [cx.safepoint(), cx.poll(), cx.poll()]
            });
            assert_eq!(told, ([Ok(()), LATE, Ok(())], true));
            let told = within(cx, SHORT, |cx| {
                H::pass(&rt, 2 * SHORT);
                H::in_handler(|| rt.tick()).map(|next| (next, cx.safepoint()))
            });
            assert!(matches!(told, (None, false) | (Some((None, LATE)), true)), "{told:?}");
        })
        .unwrap();
}

/// SPEC: E6
pub fn a_part_of_a_run_has_fuel<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            let run = cx.with_fuel(10, |cx| {
                assert_eq!((cx.spend(3), cx.fuel()), (Ok(()), Some(7)));
                // No more than what is around it, and taken from there too.
                let inner = cx.with_fuel(100, |cx| (cx.fuel(), cx.spend(2), cx.fuel()));
                assert_eq!((inner.value, inner.left, inner.ran_out), ((Some(7), Ok(()), Some(5)), 5, false));
                let inner = cx.with_fuel(3, |cx| [cx.spend(3), cx.safepoint(), cx.spend(0), cx.spend(1)]);
                assert_eq!(
                    (inner.value, inner.left, inner.ran_out),
                    ([Ok(()), Ok(()), Ok(()), DRY], 0, true)
                );
                assert_eq!((cx.safepoint(), cx.fuel()), (Ok(()), Some(2)), "out here there is some");
                [cx.spend(2), cx.safepoint()]
            });
            assert_eq!((run.value, run.left, run.ran_out), ([Ok(()), Ok(())], 0, false), "to the unit");

            let run = cx.with_fuel(10, |cx| {
                let inner = cx.with_fuel(100, |cx| [cx.spend(11), cx.safepoint(), cx.safepoint()]);
                assert_eq!((inner.value, inner.left, inner.ran_out), ([DRY, DRY, Ok(())], 0, true));
                [cx.safepoint(), cx.safepoint()]
            });
            let swallowed = (run.value, run.left, run.ran_out);
            assert_eq!(swallowed, ([DRY, Ok(())], 0, true), "told again, for the error was swallowed");
            assert_eq!((cx.safepoint(), cx.fuel()), (Ok(()), None));

            let run = cx.with_fuel(u64::MAX, |cx| [cx.spend(u64::MAX), cx.spend(u64::MAX)]);
            assert_eq!((run.value, run.left), ([Ok(()), Ok(())], u64::MAX), "no limit");
            let run = within(cx, LONG, |cx| (cx.spend(u64::MAX), cx.spend(1), cx.fuel()));
            assert_eq!(run, ((Ok(()), Ok(()), None), false));
            let run = cx.with_fuel(4, |cx| within(cx, LONG, |cx| (cx.fuel(), cx.spend(3))));
            assert_eq!((run.value, run.left), (((Some(4), Ok(())), false), 1), "through a deadline too");
        })
        .unwrap();
}

/// SPEC: E6
pub fn the_interpreters_fuel_is_around_all<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            cx.set_fuel(Some(5));
            let run = cx.with_fuel(10, |cx| {
                assert_eq!((cx.fuel(), cx.spend(2), cx.fuel()), (Some(5), Ok(()), Some(3)));
                let inner = cx.with_fuel(9, |cx| (cx.spend(4), cx.fuel()));
                assert_eq!((inner.value, inner.left, inner.ran_out), ((DRY, Some(0)), 0, true));
                assert_eq!([cx.safepoint(), cx.safepoint()], [DRY, Ok(())]);
                cx.set_fuel(Some(100));
                assert_eq!(cx.fuel(), Some(5), "three were granted of the four");
                cx.spend(5)
            });
            assert_eq!((run.value, run.left, run.ran_out), (Ok(()), 0, true));
            assert_eq!((cx.fuel(), cx.safepoint()), (Some(95), Ok(())));

            let run = cx.with_fuel(10, |cx| cx.spend(20));
            assert_eq!((run.value, run.ran_out), (DRY, true));
            assert_eq!((cx.fuel(), cx.safepoint()), (Some(85), Ok(())), "so much was granted");
        })
        .unwrap();
}

/// SPEC: E6
pub fn code_that_only_makes_safepoints_runs_out_too<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut first = rt.create(&config.with_fuel(Some(10)), None).unwrap();
        let mut second = rt.thread_state(first.interpreter()).unwrap();
        assert_eq!(first.attach(|cx| cx.spend(11)), Ok(DRY));
        for state in [&mut first, &mut second] {
            assert_eq!(state.attach(|cx| [cx.safepoint(), cx.safepoint()]), Ok([DRY, Ok(())]));
        }
        assert_eq!(first.attach(|cx| cx.spend(1)), Ok(DRY));
        first.attach(|cx| cx.set_fuel(Some(1))).unwrap();
        for state in [&mut first, &mut second] {
            assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Ok(())), "there is some by then");
        }
    }
}

/// SPEC: E6, T3, T5
pub fn what_is_entered_spends_the_same_fuel<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
        let mut other = rt.create(&config.with_fuel(Some(50)), None).unwrap();
        let entered = other.interpreter();
        state
            .attach(|cx| {
                let run = cx.with_fuel(20, |cx| {
                    assert_eq!(cx.enter(&mut other, |cy| (cy.spend(3), cy.fuel())), Ok((Ok(()), Some(17))));
                    assert_eq!(cx.fuel(), Some(17));
                    let inside =
                        cx.detach(|| rt.ensure(entered, |cy| [cy.work(10), cy.spend(8), cy.safepoint()]));
                    assert_eq!(inside, Ok([Ok(()), DRY, DRY]));
                    [cx.safepoint(), cx.safepoint()]
                });
                assert_eq!((run.value, run.left, run.ran_out), ([DRY, Ok(())], 0, true));
                let left = cx.enter(&mut other, |cy| (cy.safepoint(), cy.fuel()));
                assert_eq!(left, Ok((Ok(()), Some(30))), "and its interpreter's own");
                let run = cx.with_fuel(100, |cx| cx.enter(&mut other, |cy| cy.spend(31)));
                assert_eq!(
                    (run.value, run.left, run.ran_out),
                    (Ok(DRY), 70, false),
                    "that is the other's affair"
                );
                assert_eq!(cx.safepoint(), Ok(()));
            })
            .unwrap();
    }
}
