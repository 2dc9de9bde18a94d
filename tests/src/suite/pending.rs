//! Pending calls.

use core::panic::AssertUnwindSafe;
use std::{panic::catch_unwind, sync::Barrier, thread};

use archipelago_kernel::{
    Attached, Host, ThreadState,
    config::InterpreterConfig,
    error::{Interrupt, PendingError},
    eval::{PendingCall, PendingFailed},
};

use crate::{
    TestHost,
    support::{Gate, Log, create, forever, presets, scaled, throw, until},
};

fn fail<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
    Log::note(argument, cx.id().number());
    Err(PendingFailed)
}

fn panics<H: Host>(_: &mut Attached<'_, H>, _: usize) -> Result<(), PendingFailed> {
    throw()
}

fn nests<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
    let value = Log::note(argument, cx.id().number());
    // A safepoint inside does not start the next one.
    assert_eq!(cx.safepoint(), Ok(()));
    Log::note(argument - value + value + 100, cx.id().number());
    Ok(())
}

/// SPEC: E2
pub fn they_run_at_a_safepoint_in_order_and_once<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let port = rt.interpreter(state.interpreter()).unwrap().port().unwrap();
        let log = Log::new();
        state
            .attach(|cx| {
                let calls: Vec<_> = (0..5).map(|n| log.call::<H>(n)).collect();
                for call in &calls {
                    assert_eq!(port.add(call), Ok(()));
                    assert!(call.is_queued());
                }
                assert!(log.values().is_empty(), "not before");
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(log.values(), [0, 1, 2, 3, 4]);
                assert!(calls.iter().all(|call| !call.is_queued()));
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(log.values().len(), 5, "once");
                assert_eq!(port.add(calls[3]), Ok(()), "a node is used again");
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(log.values(), [0, 1, 2, 3, 4, 3]);
            })
            .unwrap();
    }
}

/// SPEC: E2
pub fn a_node_is_queued_once_at_a_time<H: TestHost>() {
    let rt = H::started();
    let mut a = rt.create(&presets()[0], None).unwrap();
    let b = rt.create(&presets()[0], None).unwrap();
    let [port_a, port_b] =
        [a.interpreter(), b.interpreter()].map(|id| rt.interpreter(id).unwrap().port().unwrap());
    let log = Log::new();
    let call = log.call::<H>(1);
    assert_eq!(port_a.add(call), Ok(()));
    assert_eq!(port_a.add(call), Err(PendingError::AlreadyQueued));
    assert_eq!(port_b.add(call), Err(PendingError::AlreadyQueued));
    a.attach(|cx| cx.safepoint()).unwrap().unwrap();
    assert_eq!(log.entries(), [(1, a.interpreter().number())]);
    assert_eq!(port_b.add(call), Ok(()));
}

/// SPEC: E2
pub fn a_hundred_in_one_pass<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let port = rt.interpreter(id).unwrap().port().unwrap();
    let log = Log::new();
    for n in 0..250 {
        port.add(log.call::<H>(n)).unwrap();
    }
    state.attach(|cx| cx.safepoint()).unwrap().unwrap();
    assert_eq!(log.values().len(), 100);
    // Whoever comes next goes on, also one that is born only now.
    drop(state);
    rt.ensure(id, |cx| cx.safepoint()).unwrap().unwrap();
    assert_eq!(log.values().len(), 200);
    rt.ensure(id, |cx| [cx.safepoint(), cx.safepoint()]).unwrap()[0].unwrap();
    assert_eq!(log.values(), (0..250).collect::<Vec<_>>());
}

/// SPEC: E2
pub fn a_failing_call_is_told_and_the_rest_waits<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let port = rt.interpreter(state.interpreter()).unwrap().port().unwrap();
    let log = Log::new();
    state
        .attach(|cx| {
            port.add(log.call(0)).unwrap();
            port.add(forever(PendingCall::new(fail::<H>, log.argument(1)))).unwrap();
            port.add(log.call(2)).unwrap();
            assert_eq!(cx.safepoint(), Err(Interrupt::PendingFailed));
            assert_eq!(log.values(), [0, 1]);
            assert_eq!(cx.safepoint(), Ok(()));
            assert_eq!(log.values(), [0, 1, 2]);
        })
        .unwrap();
}

/// SPEC: E2
pub fn one_handler_at_a_time<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let port = rt.interpreter(state.interpreter()).unwrap().port().unwrap();
    let log = Log::new();
    state
        .attach(|cx| {
            for n in 0..3 {
                port.add(forever(PendingCall::new(nests::<H>, log.argument(n)))).unwrap();
            }
            assert_eq!(cx.safepoint(), Ok(()));
            assert_eq!(log.values(), [0, 100, 1, 101, 2, 102]);
        })
        .unwrap();
}

/// SPEC: E2
pub fn a_call_that_panics_does_not_block_the_rest<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let port = rt.interpreter(state.interpreter()).unwrap().port().unwrap();
        let log = Log::new();
        port.add(forever(PendingCall::new(panics::<H>, 0))).unwrap();
        port.add(log.call(1)).unwrap();
        let safepoint = AssertUnwindSafe(|| state.attach(|cx| cx.safepoint()));
        assert!(catch_unwind(safepoint).is_err());
        assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Ok(())));
        assert_eq!(log.values(), [1]);
        // Nor does it keep the interpreter's memory when it comes at the end.
        port.add(forever(PendingCall::new(panics::<H>, 0))).unwrap();
        port.add(log.call(2)).unwrap();
        let name = state.attach(|cx| cx.global(cx.alloc_plain(7u8).unwrap()).ok().unwrap()).unwrap();
        let id = state.interpreter();
        assert!(catch_unwind(AssertUnwindSafe(|| rt.end(id, None))).is_err());
        assert_eq!(state.attach(|_| ()), Err(archipelago_kernel::error::AttachError::Ended));
        // The next tenant of that memory does not run the calls of the one before.
        let mut next = rt.create(&config, None).unwrap();
        assert_eq!(next.attach(|cx| cx.safepoint()), Ok(Ok(())));
        assert_eq!(log.values(), [1]);
        // Nor does it find that one's table of names, whose memory is gone.
        let renamed = next.attach(|cx| {
            assert!(cx.local(&name).is_err());
            let other = cx.global(cx.alloc_plain(8u8).unwrap()).ok().unwrap();
            *cx.local(&other).unwrap().get()
        });
        assert_eq!(renamed, Ok(8));
    }
}

/// SPEC: E2
/// CPython: test_capi.TestPendingCalls.test_main_pendingcalls_threaded,
/// CPython: test_capi.TestPendingCalls.test_main_pendingcalls_non_threaded
pub fn many_threads_add_and_all_run<H: TestHost>() {
    let rt = H::started();
    for id in [rt.main().unwrap(), create(&rt, &presets()[0]), create(&rt, &presets()[1])] {
        let port = rt.interpreter(id).unwrap().port().unwrap();
        let log = Log::new();
        all_run_in_order(rt.thread_state(id).unwrap(), &log, (scaled(16, 3), scaled(64, 6)), |value| {
            let call = log.call::<H>(value);
            while let Err(error) = port.add(call) {
                assert_eq!(error, PendingError::Busy);
                thread::yield_now();
            }
        });
    }
}

/// Adds `each` calls from every one of so many threads, `add` them with thread and number, while this thread runs them:
/// each has run once, and those of a thread in their order.
pub(crate) fn all_run_in_order<H: TestHost>(
    mut state: ThreadState<'_, H>,
    log: &Log,
    (threads, each): (usize, usize),
    add: impl Fn(usize) + Sync,
) {
    let start = Barrier::new(threads + 1);
    thread::scope(|s| {
        for k in 0..threads {
            let (start, add) = (&start, &add);
            s.spawn(move || {
                start.wait();
                (0..each).for_each(|n| add(k * each + n));
            });
        }
        start.wait();
        state
            .attach(|cx| {
                until("all have run", || {
                    assert_eq!(cx.safepoint(), Ok(()));
                    cx.detach(thread::yield_now);
                    log.values().len() == threads * each
                });
            })
            .unwrap();
    });
    let mut values = log.values();
    for k in 0..threads {
        let own = values.iter().filter(|value| **value / each == k);
        assert!(own.is_sorted(), "each thread's in its order");
    }
    values.sort();
    assert_eq!(values, (0..threads * each).collect::<Vec<_>>());
}

/// SPEC: E2
/// CPython: test_capi.TestPendingCalls.test_subthreads_can_handle_pending_calls,
/// CPython: test_capi.TestPendingCalls.test_many_subthreads_can_handle_pending_calls
pub fn any_thread_of_the_interpreter_may_run_them<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let port = rt.interpreter(id).unwrap().port().unwrap();
    let (log, n) = (Log::new(), scaled(64, 8));
    thread::scope(|s| {
        for _ in 0..scaled(8, 3) {
            s.spawn(|| {
                rt.ensure(id, |cx| {
                    until("all have run", || {
                        assert_eq!(cx.safepoint(), Ok(()));
                        cx.detach(thread::yield_now);
                        log.values().len() == n
                    });
                })
                .unwrap();
            });
        }
        for value in 0..n {
            port.add(log.call(value)).unwrap();
        }
    });
    assert_eq!(log.values(), (0..n).collect::<Vec<_>>(), "in order, one handler at a time");
}

/// SPEC: E2
/// CPython: test_capi.TestPendingCalls.test_isolated_subinterpreter
pub fn added_in_one_they_run_in_the_target<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let [a, b] = [0, 1].map(|n| create(&rt, &presets()[n]));
    let directions = [(main, a), (a, main), (a, a), (a, b), (b, a)];
    for (from, to) in directions {
        let log = Log::new();
        let port = rt.interpreter(to).unwrap().port().unwrap();
        let mut target = rt.thread_state(to).unwrap();
        rt.ensure(from, |cx| {
            port.add(log.call(1)).unwrap();
            if from != to {
                assert_eq!(cx.safepoint(), Ok(()));
                assert!(log.values().is_empty(), "not here");
            }
        })
        .unwrap();
        target.attach(|cx| cx.safepoint()).unwrap().unwrap();
        assert_eq!(log.entries(), [(1, to.number())]);
    }
}

/// SPEC: E2
pub fn added_before_there_is_a_thread_state<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(0));
    let log = Log::new();
    rt.interpreter(id).unwrap().port().unwrap().add(log.call::<H>(1)).unwrap();
    assert_eq!(rt.ensure(id, |cx| cx.safepoint()), Ok(Ok(())));
    assert_eq!(log.values(), [1]);
}

/// SPEC: E2, L3
pub fn leftovers_run_at_the_end_in_their_interpreter<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let port = rt.interpreter(id).unwrap().port().unwrap();
        let log = Log::new();
        let n = scaled(2000, 150);
        for value in 0..n {
            if value % 40 == 3 {
                port.add(forever(PendingCall::new(fail::<H>, log.argument(value)))).unwrap();
            } else {
                port.add(log.call::<H>(value)).unwrap();
            }
        }
        rt.end(id, None).unwrap();
        let expected: Vec<_> = (0..n).map(|value| (value, id.number())).collect();
        assert_eq!(log.entries(), expected, "all of them, whatever they answer");
        assert_eq!(port.add(log.call(0)), Err(PendingError::Ended));
    }
}

/// SPEC: E2, R4
pub fn mains_leftovers_run_at_finalization<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let log = Log::new();
    rt.interpreter(main).unwrap().port().unwrap().add(log.call::<H>(3)).unwrap();
    rt.finalize(None).unwrap();
    assert_eq!(log.entries(), [(3, 0)]);
}

/// SPEC: E2
pub fn a_pending_call_wakes_a_wait<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let port = rt.interpreter(id).unwrap().port().unwrap();
    let (inside, woken, log) = (Gate::new(), Gate::new(), Log::new());
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
        port.add(log.call::<H>(4)).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(Ok(())));
        assert_eq!(log.values(), [4]);
    });
}

/// SPEC: E2
pub fn a_handler_may_add_them<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let port = rt.interpreter(id).unwrap().port().unwrap();
    let log = Log::new();
    let call = log.call::<H>(5);
    let Some(added) = H::in_handler(|| port.add(call)) else { return };
    assert_eq!(added, Ok(()));
    assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Ok(())));
    assert_eq!(log.values(), [5]);
    // Also while other threads are at the registry's lock.
    thread::scope(|s| {
        let busy = s.spawn(|| {
            for _ in 0..scaled(300, 10) {
                let id = create(&rt, &InterpreterConfig::isolated());
                rt.end(id, None).unwrap();
            }
        });
        let mut added = 1;
        state
            .attach(|cx| {
                while !busy.is_finished() {
                    if H::in_handler(|| port.add(call)) == Some(Ok(())) {
                        added += 1;
                    }
                    until("it ran", || {
                        assert_eq!(cx.safepoint(), Ok(()));
                        log.values().len() == added
                    });
                }
            })
            .unwrap();
    });
}
