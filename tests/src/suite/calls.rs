//! Pending calls in slots of the kernel's: capacities, main's queue, slots for handlers, the holder's own.

use core::panic::AssertUnwindSafe;
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{
    Attached, Host,
    config::{ConfigValue, InterpreterConfig},
    error::{Interrupt, PendingError},
    eval::PendingFailed,
    interpreter::Port,
};

use crate::{
    TestHost,
    suite::pending::all_run_in_order,
    support::{Gate, Log, create, note, presets, scaled, throw},
};

fn fail<H: Host>(_: &mut Attached<'_, H>, _: usize) -> Result<(), PendingFailed> {
    Err(PendingFailed)
}

/// Adds calls until one is refused: how many were not.
fn fill(log: Log, mut call: impl FnMut(usize) -> Result<(), PendingError>) -> usize {
    let mut added = 0;
    while added < 2000 {
        match call(log.argument(added)) {
            Ok(()) => added += 1,
            Err(error) => {
                assert_eq!(error, PendingError::Full);
                return added;
            }
        }
    }
    added
}

fn fill_port<H: Host>(port: Port<'_, H>, log: Log) -> usize {
    fill(log, |argument| port.call(note, argument))
}

/// SPEC: E2
/// CPython: test_capi.TestPendingCalls.test_max_pending
pub fn three_hundred_wait_and_no_more<H: TestHost>() {
    let rt = H::started();
    for id in [create(&rt, &presets()[0]), create(&rt, &presets()[1]), rt.main().unwrap()] {
        let port = rt.interpreter(id).unwrap().port().unwrap();
        let log = Log::new();
        assert_eq!(fill_port(port, log), 300);
        assert_eq!(port.call(note, log.argument(0)), Err(PendingError::Full), "again");
        // Nodes of the caller's have room of their own.
        assert_eq!(port.add(log.call(300)), Ok(()));
        let mut state = rt.thread_state(id).unwrap();
        state
            .attach(|cx| {
                assert_eq!(
                    cx.call_soon(note, log.argument(0)),
                    Err(PendingError::Full),
                    "for the holder too"
                );
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(log.values().len(), 100, "at most a hundred in a pass");
                let more = Log::new();
                assert_eq!(fill_port(port, more), 100, "as many as have run");
                for _ in 0..3 {
                    assert_eq!(cx.safepoint(), Ok(()));
                }
                assert_eq!(log.values(), (0..=300).collect::<Vec<_>>(), "in order");
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(more.values(), (0..100).collect::<Vec<_>>());
            })
            .unwrap();
    }
}

/// SPEC: E2
/// CPython: test_capi.TestPendingCalls.test_max_pending
pub fn thirty_two_wait_for_mains_thread<H: TestHost>() {
    let rt = H::started();
    let (main, log) = (rt.main().unwrap(), Log::new());
    assert_eq!(fill(log, |argument| rt.call_main(note, argument)), 32);
    // The two queues have nothing to do with each other.
    let others = Log::new();
    let port = rt.interpreter(main).unwrap().port().unwrap();
    assert_eq!(fill_port(port, others), 300);
    rt.ensure(main, |cx| cx.safepoint()).unwrap().unwrap();
    assert_eq!(others.values().len(), 100);
    assert_eq!(log.entries(), (0..32).map(|value| (value, 0)).collect::<Vec<_>>(), "all of them in a pass");
    assert_eq!(fill(log, |argument| rt.call_main(note, argument)), 32);
    assert!(rt.finalize(None).unwrap().main.is_clean());
    assert_eq!((log.values().len(), others.values().len()), (64, 300), "what is left runs at the end");
    assert_eq!(rt.call_main(note, log.argument(0)), Err(PendingError::Ended));
    // The next main has its own.
    let _ = rt.initialize(None).unwrap();
    let log = Log::new();
    assert_eq!(fill(log, |argument| rt.call_main(note, argument)), 32);
}

/// SPEC: E2, C5
pub fn capacities_are_as_the_config_says<H: TestHost>() {
    for capacity in [0, 1, 31, 32, 33, 64, 97] {
        let rt = H::fresh().with_main_calls(capacity);
        assert_eq!(rt.call_main(note, 0), Err(PendingError::Ended), "not before there is a main");
        let _ = rt.initialize(None).unwrap();
        let mut config = InterpreterConfig::isolated();
        assert_eq!(config.pending_calls(), 300);
        config.set("pending_calls", ConfigValue::Int(capacity.into())).unwrap();
        let id = create(&rt, &config);
        assert_eq!(rt.interpreter(id).unwrap().config().unwrap().pending_calls(), capacity);
        let port = rt.interpreter(id).unwrap().port().unwrap();
        let log = Log::new();
        for _ in 0..2 {
            assert_eq!(fill_port(port, log), capacity as usize);
            assert_eq!(fill(log, |argument| rt.call_main(note, argument)), capacity as usize);
            rt.ensure(id, |cx| cx.safepoint()).unwrap().unwrap();
            rt.ensure(rt.main().unwrap(), |cx| cx.safepoint()).unwrap().unwrap();
        }
        assert_eq!(log.values().len(), 4 * capacity as usize);
        rt.end(id, None).unwrap();
        let in_use = H::raw_in_use(&rt);
        // Slots are taken when first needed, and given back at the end.
        let id = create(&rt, &config);
        let idle = H::raw_in_use(&rt);
        assert_eq!(fill_port(rt.interpreter(id).unwrap().port().unwrap(), log), capacity as usize);
        assert!(capacity == 0 || idle.is_none() || H::raw_in_use(&rt) > idle);
        rt.end(id, None).unwrap();
        assert_eq!(H::raw_in_use(&rt), in_use);
    }
}

/// SPEC: E2
/// CPython: test_capi.TestPendingCalls.test_main_pendingcalls_threaded,
/// CPython: test_capi.TestPendingCalls.test_main_pendingcalls_non_threaded
pub fn many_threads_add_to_mains_queue<H: TestHost>() {
    let rt = H::started();
    let log = Log::new();
    let state = rt.thread_state(rt.main().unwrap()).unwrap();
    all_run_in_order(state, &log, (scaled(16, 3), scaled(32, 14)), |value| {
        while let Err(error) = rt.call_main(note, log.argument(value)) {
            assert!(matches!(error, PendingError::Full | PendingError::Busy), "{error:?}");
            thread::yield_now();
        }
    });
}

/// SPEC: E2
/// CPython: test_capi.TestPendingCalls.test_max_pending
pub fn mains_calls_run_on_mains_thread_alone<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let sub = create(&rt, &presets()[1]);
    let log = Log::new();
    rt.call_main(note, log.argument(1)).unwrap();
    // Not in another interpreter on that thread, nor in main on another one.
    rt.ensure(sub, |cx| cx.safepoint()).unwrap().unwrap();
    thread::scope(|s| {
        s.spawn(|| {
            rt.ensure(main, |cx| {
                for _ in 0..3 {
                    assert_eq!(cx.safepoint(), Ok(()));
                }
                assert_eq!(cx.call_soon(note, log.argument(2)), Ok(()));
                assert_eq!(cx.safepoint(), Ok(()), "the other queue is anybody's");
            })
            .unwrap();
        });
    });
    assert_eq!(log.values(), [2]);
    rt.ensure(main, |cx| cx.safepoint()).unwrap().unwrap();
    assert_eq!(log.values(), [2, 1]);
    // Another thread says that it is main's.
    thread::scope(|s| {
        s.spawn(|| {
            rt.call_main(note, log.argument(3)).unwrap();
            rt.ensure(sub, |cx| assert_eq!(cx.claim_main_thread(), Err(PendingError::NotMain))).unwrap();
            rt.ensure(main, |cx| {
                assert_eq!(cx.claim_main_thread(), Ok(()));
                cx.safepoint()
            })
            .unwrap()
            .unwrap();
        });
    });
    assert_eq!(log.values(), [2, 1, 3]);
    rt.call_main(note, log.argument(4)).unwrap();
    rt.ensure(main, |cx| cx.safepoint()).unwrap().unwrap();
    assert_eq!(log.values(), [2, 1, 3], "this one is not any more");
}

/// SPEC: E2
pub fn a_failing_call_of_mains_is_told_and_the_rest_waits<H: TestHost>() {
    let rt = H::started();
    let log = Log::new();
    for n in 0..2 {
        rt.call_main(note, log.argument(n)).unwrap();
        rt.call_main(fail, 0).unwrap();
    }
    let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
    let answers = state.attach(|cx| [cx.safepoint(), cx.safepoint(), cx.safepoint()]).unwrap();
    assert_eq!(answers, [Err(Interrupt::PendingFailed), Err(Interrupt::PendingFailed), Ok(())]);
    assert_eq!(log.values(), [0, 1]);
    // One of the other queue that fails does not lose those of this one.
    state
        .attach(|cx| {
            cx.call_soon(fail, 0).unwrap();
            rt.call_main(note, log.argument(2)).unwrap();
            assert_eq!(cx.safepoint(), Err(Interrupt::PendingFailed));
            assert_eq!(cx.safepoint(), Ok(()));
        })
        .unwrap();
    assert_eq!(log.values(), [0, 1, 2]);
}

/// A safepoint inside one of main's calls spends the bit that stands for a call of the interpreter's own.
///
/// SPEC: E2
pub fn a_call_that_comes_inside_one_of_mains_runs_at_the_next_safepoint<H: TestHost>() {
    fn calls<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
        cx.call_soon(note, argument).map_err(|_| PendingFailed)?;
        assert_eq!(cx.safepoint(), Ok(()));
        Ok(())
    }
    let rt = H::started();
    let log = Log::new();
    rt.call_main(calls, log.argument(7)).unwrap();
    let mut state = rt.thread_state(rt.main().unwrap()).unwrap();
    state
        .attach(|cx| {
            assert_eq!((cx.safepoint(), log.values()), (Ok(()), vec![]));
            assert_eq!((cx.safepoint(), log.values()), (Ok(()), vec![7]));
        })
        .unwrap();
}

/// SPEC: E2
pub fn a_call_of_a_frame_that_panics_is_left_to_others<H: TestHost>() {
    let rt = H::started();
    let log = Log::new();
    let id = create(&rt, &InterpreterConfig::isolated());
    let (mut first, mut second) = (rt.thread_state(id).unwrap(), rt.thread_state(id).unwrap());
    let panics = || {
        first.attach(|cx| -> () {
            cx.call_soon(note, log.argument(3)).unwrap();
            throw()
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    second.attach(|cx| cx.safepoint()).unwrap().unwrap();
    assert_eq!(log.values(), [3]);
}

/// SPEC: E2
pub fn one_handler_at_a_time_in_both_queues<H: TestHost>() {
    fn nests<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
        Log::note(argument, 0);
        assert_eq!(cx.safepoint(), Ok(()));
        Log::note(argument + 10, 0);
        Ok(())
    }
    let rt = H::started();
    let log = Log::new();
    rt.ensure(rt.main().unwrap(), |cx| {
        for n in 0..2 {
            rt.call_main(nests, log.argument(n)).unwrap();
            cx.call_soon(nests, log.argument(n + 2)).unwrap();
        }
        assert_eq!(cx.safepoint(), Ok(()));
        assert_eq!(log.values(), [2, 12, 3, 13, 0, 10, 1, 11]);
    })
    .unwrap();
}

/// SPEC: E2
pub fn a_handler_takes_slots_that_were_set_aside<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    for id in [create(&rt, &presets()[0]), main] {
        let interpreter = rt.interpreter(id).unwrap();
        let port = interpreter.port().unwrap();
        let log = Log::new();
        let Some(refused) = H::in_handler(|| port.call(note, log.argument(0))) else { return };
        assert_eq!(refused, Err(PendingError::NoSlot), "nothing is set aside");
        assert_eq!(H::in_handler(|| interpreter.reserve_calls(1)), Some(Err(PendingError::InInterrupt)));
        assert_eq!(interpreter.reserve_calls(34), Ok(()));
        assert_eq!(interpreter.reserve_calls(20), Ok(()), "there are as many already");
        assert_eq!(fill_port(port, log), 300, "they are nobody else's");
        let used = H::raw_in_use(&rt);
        let handlers = Log::new();
        for n in 0..34 {
            let added = H::in_handler(|| match id == main && n % 2 == 1 {
                true => rt.call_main(note, handlers.argument(n)),
                false => port.call(note, handlers.argument(n)),
            });
            assert_eq!(added, Some(Ok(())));
        }
        assert_eq!(H::raw_in_use(&rt), used, "a handler takes no memory");
        assert_eq!(H::in_handler(|| port.call(note, 0)), Some(Err(PendingError::NoSlot)));
        assert_eq!(port.call(note, 0), Err(PendingError::Full), "nor does the reserve serve others");
        let mut state = rt.thread_state(id).unwrap();
        state.attach(|cx| (0..4).for_each(|_| assert_eq!(cx.safepoint(), Ok(())))).unwrap();
        assert_eq!((log.values().len(), handlers.values().len()), (300, 34));
        assert_eq!(H::in_handler(|| port.call(note, handlers.argument(34))), Some(Ok(())), "used again");
    }
}

/// SPEC: E2
pub fn the_holders_own_calls<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let port = rt.interpreter(state.interpreter()).unwrap().port().unwrap();
        let log = Log::new();
        let node = log.call::<H>(4);
        state
            .attach(|cx| {
                assert_eq!(cx.call_soon(note, log.argument(0)), Ok(()));
                assert_eq!(port.call(note, log.argument(1)), Ok(()));
                assert_eq!(cx.call_soon(note, log.argument(2)), Ok(()));
                assert_eq!(port.add(log.call(3)), Ok(()));
                assert_eq!(cx.add_call(node), Ok(()));
                assert_eq!(cx.add_call(node), Err(PendingError::AlreadyQueued));
                assert_eq!(port.add(node), Err(PendingError::AlreadyQueued));
                assert!(log.values().is_empty(), "not before");
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(log.values(), [0, 1, 2, 3, 4], "in order");
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(log.values().len(), 5, "once");
            })
            .unwrap();
    }
}

/// SPEC: E2
pub fn the_holder_leaves_its_calls_to_others<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &presets()[1]);
    let neighbour = create(&rt, &presets()[1]);
    let elsewhere = |log: Log, value: usize| {
        thread::scope(|s| {
            s.spawn(|| rt.ensure(id, |cx| cx.safepoint()).unwrap().unwrap());
        });
        assert_eq!(log.values().last(), Some(&value), "the other one was told");
    };
    let log = Log::new();
    let mut state = rt.thread_state(id).unwrap();
    // One that is there already when it is told.
    let (inside, woken) = (Gate::new(), Gate::new());
    thread::scope(|s| {
        let waiting = s.spawn(|| {
            rt.ensure(id, |cx| {
                cx.wait(&woken, || {
                    inside.open();
                    woken.wait();
                })
                .unwrap();
                cx.safepoint()
            })
        });
        inside.wait();
        state
            .attach(|cx| {
                cx.call_soon(note, log.argument(1)).unwrap();
                assert!(!woken.is_open(), "not while this thread may run it");
            })
            .unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(Ok(())));
    });
    assert_eq!(log.values(), [1]);
    state
        .attach(|cx| {
            cx.call_soon(note, log.argument(2)).unwrap();
            cx.detach(|| elsewhere(log, 2));
            // Also where it lets the GIL go in the middle of another interpreter that uses the same one.
            cx.call_soon(note, log.argument(3)).unwrap();
            let mut other = rt.thread_state(neighbour).unwrap();
            cx.enter(&mut other, |cx| cx.detach(|| elsewhere(log, 3))).unwrap();
            assert_eq!(cx.safepoint(), Ok(()));
        })
        .unwrap();
    assert_eq!(log.values(), [1, 2, 3]);
    state.attach(|cx| cx.call_soon(note, log.argument(4))).unwrap().unwrap();
    drop(state);
    elsewhere(log, 4);
}

/// SPEC: E2, L3
pub fn calls_in_slots_run_at_the_end_and_not_after_it<H: TestHost>() {
    /// Adds another, at the end as before it: there it is refused.
    fn adds<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
        let added = cx.call_soon(note, argument + 1);
        Log::note(argument, added.is_ok().into());
        Ok(())
    }
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let port = rt.interpreter(id).unwrap().port().unwrap();
        let log = Log::new();
        port.call(adds, log.argument(0)).unwrap();
        state.attach(|cx| cx.safepoint()).unwrap().unwrap();
        assert_eq!(log.entries(), [(0, 1), (1, id.number())]);
        for n in 0..150 {
            assert_eq!(port.call(adds, log.argument(10 + n)), Ok(()));
        }
        rt.end(id, None).unwrap();
        let expected: Vec<_> = (10..160).map(|value| (value, 0)).collect();
        assert_eq!(log.entries()[2..], expected, "all of them, and none that came too late");
        assert_eq!(port.call(note, log.argument(0)), Err(PendingError::Ended));
    }
}

/// SPEC: E2
/// CPython: test_capi.TestPendingCalls.test_pending_call_creates_thread,
/// CPython: test_capi.SubinterpreterTest.test_pending_call_creates_thread_subinterpreter
pub fn a_pending_call_may_start_a_thread<H: TestHost>() {
    fn starts<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
        cx.detach(|| thread::scope(|s| s.spawn(|| Log::note(argument, 0)).join().is_ok()));
        Ok(())
    }
    let rt = H::started();
    for id in [rt.main().unwrap(), create(&rt, &presets()[0])] {
        let log = Log::new();
        rt.interpreter(id).unwrap().port().unwrap().call(starts, log.argument(1)).unwrap();
        rt.ensure(id, |cx| cx.safepoint()).unwrap().unwrap();
        assert_eq!(log.values(), [1]);
    }
}
