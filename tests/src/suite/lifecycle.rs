//! The life of a runtime and of its interpreters, from outside.

use std::{sync::Barrier, thread};

use archipelago_kernel::{
    Runtime, ThreadState,
    config::InterpreterConfig,
    error::{AttachError, CreateError, EndError, LookupError, RuntimeError, ThreadError},
    interpreter::{Phase, Whence},
    runtime::{Initialized, RuntimePhase},
};

use crate::{
    TestHost,
    support::{Gate, create, current, list_all, numbers, scaled, strategies},
};

/// SPEC: R2
pub fn phases_follow_each_other<H: TestHost>() {
    let rt = H::fresh();
    assert_eq!(rt.phase(), RuntimePhase::Uninitialized);
    assert_eq!(rt.main(), Err(LookupError::NotRunning));
    let main = rt.initialize(None).unwrap().main();
    assert_eq!(rt.phase(), RuntimePhase::Running);
    assert_eq!(rt.main(), Ok(main));
    rt.finalize(None).unwrap();
    assert_eq!(rt.phase(), RuntimePhase::Finalized);
    assert_eq!(rt.main(), Err(LookupError::NotRunning));
    assert_eq!(rt.count(), Ok(0));
}

/// SPEC: R2
/// CPython: test_embed.test_initialize_twice
pub fn initialize_twice_is_a_no_op<H: TestHost>() {
    let rt = H::fresh();
    let Initialized::Now(main) = rt.initialize(None).unwrap() else {
        panic!("nothing was initialized before")
    };
    let id = create(&rt, &InterpreterConfig::isolated());
    assert_eq!(rt.initialize(None), Ok(Initialized::Already(main)));
    assert_eq!(list_all(&rt), [main, id], "nothing was touched");
    let mut state = rt.thread_state(id).unwrap();
    let inside = state.attach(|_| rt.initialize(None)).unwrap();
    assert_eq!(inside, Ok(Initialized::Already(main)), "also from inside");
}

/// SPEC: R2, R3
/// CPython: test_embed.test_subinterps_main, test_embed.test_subinterps_different_ids
pub fn every_cycle_starts_at_zero_and_refuses_older_names<H: TestHost>() {
    let rt = H::fresh();
    let mut old = Vec::new();
    for _ in 0..3 {
        let main = rt.initialize(None).unwrap().main();
        assert_eq!(main.number(), 0);
        assert!(main.is_main());
        for number in 1..=3 {
            assert_eq!(create(&rt, &InterpreterConfig::isolated()).number(), number);
        }
        let now = list_all(&rt);
        assert_eq!(now.iter().map(|id| id.number()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        for stale in old {
            assert!(!now.contains(&stale), "names of two cycles differ");
            assert_eq!(rt.interpreter(stale).err(), Some(LookupError::WrongCycle));
            assert_eq!(rt.thread_state(stale).err(), Some(ThreadError::NotFound));
            assert_eq!(rt.end(stale, None).err(), Some(EndError::NotFound));
            assert_eq!(rt.ensure(stale, |_| ()), Err(AttachError::Ended));
            assert_eq!(rt.next(stale), Err(LookupError::WrongCycle));
        }
        rt.finalize(None).unwrap();
        old = now;
    }
}

/// SPEC: R2
pub fn a_thread_state_of_an_earlier_cycle_answers_ended<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    rt.finalize(None).unwrap();
    assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
    let _main = rt.initialize(None).unwrap();
    let again = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    assert_eq!(again.interpreter().number(), state.interpreter().number());
    assert_eq!(
        state.attach(|_| ()),
        Err(AttachError::Ended),
        "the number is the same, the interpreter is not"
    );
}

/// SPEC: R2
pub fn without_a_running_runtime_everything_answers<H: TestHost>() {
    let rt = H::fresh();
    let refused = |rt: &Runtime<H>| {
        let config = InterpreterConfig::isolated();
        assert_eq!(rt.create(&config, None).err(), Some(CreateError::NotRunning));
        assert_eq!(rt.finalize(None), Err(RuntimeError::NotRunning));
        assert_eq!(
            (rt.main(), rt.head(), rt.count()),
            (Err(LookupError::NotRunning), Err(LookupError::NotRunning), Ok(0))
        );
        assert_eq!(rt.id(0), Err(LookupError::NotFound));
    };
    refused(&rt);
    let main = rt.initialize(None).unwrap().main();
    rt.finalize(None).unwrap();
    refused(&rt);
    assert_eq!(rt.interpreter(main).err(), Some(LookupError::NotFound));
    assert_eq!(rt.thread_state(main).err(), Some(ThreadError::NotFound));
}

/// SPEC: R2
pub fn finalizing_with_a_frame_open_is_refused<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            assert_eq!(rt.finalize(None), Err(RuntimeError::AlreadyAttached));
            cx.detach(|| assert_eq!(rt.finalize(None), Err(RuntimeError::WouldDeadlock)));
            cx.call_out(|| assert_eq!(rt.finalize(None), Err(RuntimeError::AlreadyAttached)));
        })
        .unwrap();
    assert_eq!(rt.phase(), RuntimePhase::Running);
    assert!(rt.finalize(None).is_ok());
}

/// SPEC: R2, R7
/// CPython: test_embed.test_init_in_background_thread
pub fn any_thread_initializes_and_finalizes<H: TestHost>() {
    let rt = H::fresh();
    thread::scope(|s| {
        s.spawn(|| rt.initialize(None).unwrap().main()).join().unwrap();
        let made = s.spawn(|| create(&rt, &InterpreterConfig::legacy())).join().unwrap();
        assert_eq!(list_all(&rt), [rt.main().unwrap(), made]);
        s.spawn(|| rt.finalize(None).unwrap()).join().unwrap();
    });
    assert_eq!(rt.phase(), RuntimePhase::Finalized);
}

/// SPEC: R2
pub fn of_many_that_initialize_one_does<H: TestHost>() {
    let rt = H::fresh();
    let n = scaled(16, 4);
    let start = Barrier::new(n);
    let answers: Vec<_> = thread::scope(|s| {
        let at_once = || {
            start.wait();
            rt.initialize(None)
        };
        let threads: Vec<_> = (0..n).map(|_| s.spawn(at_once)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let main = rt.main().unwrap();
    let first = answers.iter().filter(|answer| **answer == Ok(Initialized::Now(main))).count();
    assert_eq!(first, 1);
    for answer in answers {
        let known =
            [Ok(Initialized::Now(main)), Ok(Initialized::Already(main)), Err(RuntimeError::InProgress)];
        assert!(known.contains(&answer), "{answer:?}");
    }
    assert_eq!(rt.count(), Ok(1));
}

/// SPEC: R7
/// CPython: test_api.GetMainTests.test_id, test_api.GetMainTests.test_idempotent
pub fn main_is_number_zero<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    assert_eq!(main.number(), 0);
    assert_eq!(rt.main(), Ok(main));
    assert_eq!(rt.id(0), Ok(main));
    assert_eq!(rt.interpreter(main).unwrap().whence(), Ok(Whence::Runtime));
    assert_eq!(rt.interpreter(main).unwrap().phase(), Ok(Phase::Running));
}

/// SPEC: R7, L8
/// CPython: test_api.TestInterpreterClose.test_main, test__interpreters.DestroyTests.test_main
pub fn main_cannot_be_ended_or_closed<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let refused = || {
        assert_eq!(rt.end(main, None), Err(EndError::Main));
        assert_eq!(rt.interpreter(main).unwrap().end(None), Err(EndError::Main));
        assert_eq!(rt.interpreter(main).unwrap().close(None), Err(EndError::Main));
    };
    refused();
    let mut state = rt.thread_state(main).unwrap();
    state.attach(|cx| cx.detach(refused)).unwrap();
    thread::scope(|s| s.spawn(refused).join().unwrap());
    assert_eq!(state.attach(|cx| cx.id()), Ok(main), "it is as before");
}

/// SPEC: L1
/// CPython: test_api.CreateTests.test_in_main, test__interpreters.CreateTests.test_in_main
pub fn create_in_main<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let mut state = rt.thread_state(main).unwrap();
    let made = state.attach(|cx| cx.detach(|| create(&rt, &InterpreterConfig::isolated()))).unwrap();
    assert_eq!(list_all(&rt), [main, made]);
}

/// SPEC: L1, L15
/// CPython: test_api.CreateTests.test_in_thread, test__interpreters.CreateTests.test_in_thread
pub fn create_in_another_thread<H: TestHost>() {
    let rt = H::started();
    let made = thread::scope(|s| s.spawn(|| create(&rt, &InterpreterConfig::isolated())).join().unwrap());
    assert_eq!(list_all(&rt), [rt.main().unwrap(), made]);
}

/// SPEC: L1
/// CPython: test_api.CreateTests.test_in_subinterpreter, test__interpreters.CreateTests.test_in_subinterpreter,
/// CPython: test__interpreters.CreateTests.test_in_threaded_subinterpreter
pub fn create_in_a_subinterpreter<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let before = list_all(&rt);
        let mut outer = rt.create(&config, None).unwrap();
        let inner = outer.attach(|cx| cx.detach(|| create(&rt, &config))).unwrap();
        let id = outer.interpreter();
        let in_thread = || {
            let mut state = rt.thread_state(id).unwrap();
            state.attach(|cx| cx.detach(|| create(&rt, &config))).unwrap()
        };
        let threaded = thread::scope(|s| s.spawn(in_thread).join().unwrap());
        assert_eq!(list_all(&rt), [&before[..], &[id, inner, threaded]].concat());
        rt.end(inner, None).unwrap();
        assert_eq!(outer.attach(|cx| cx.id()), Ok(id), "the creator does not depend on what it created");
    }
}

/// SPEC: L1
pub fn create_answers_a_detached_thread_state<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state: ThreadState<'_, H> = rt.create(&config, None).unwrap();
        assert_eq!(current::<H>(), None, "nothing is attached");
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        assert_eq!(interpreter.threads(), Ok(1), "the first thread state, and no other");
        assert!(!interpreter.gil().unwrap().held);
        assert_eq!(state.attach(|cx| cx.id()), Ok(state.interpreter()));
    }
}

/// SPEC: L1
pub fn create_wants_nothing_attached<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let before = list_all(&rt);
    state
        .attach(|cx| {
            for config in strategies::<H>() {
                assert_eq!(rt.create(&config, None).err(), Some(CreateError::AlreadyAttached));
                let lent = cx.call_out(|| rt.create(&config, None).err());
                assert_eq!(lent, Some(CreateError::AlreadyAttached), "the GIL is still held");
            }
            assert_eq!(current::<H>(), Some(cx.id()), "the caller is attached as before");
            assert_eq!(cx.safepoint(), Ok(()));
        })
        .unwrap();
    assert_eq!(list_all(&rt), before);
}

/// SPEC: L2
pub fn the_legacy_interpreter_shares_with_main<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let mut state = rt.create(&InterpreterConfig::legacy(), None).unwrap();
    let gil_held = || rt.interpreter(main).unwrap().gil().unwrap().held;
    assert!(!gil_held());
    state.attach(|_| assert!(gil_held(), "its GIL is main's")).unwrap();
    assert!(!gil_held());
    let isolated = rt.create(&InterpreterConfig::isolated(), None);
    isolated.unwrap().attach(|_| assert!(!gil_held(), "an own GIL is another")).unwrap();
}

/// SPEC: L3
pub fn after_the_end_nothing_of_it_is_left<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    for config in strategies::<H>() {
        let mut first = rt.create(&config, None).unwrap();
        let id = first.interpreter();
        let interpreter = rt.interpreter(id).unwrap();
        let mut second = rt.thread_state(id).unwrap();
        let third = rt.thread_state(id).unwrap();
        assert_eq!(interpreter.threads(), Ok(3));
        let ledger = rt.end(id, None).unwrap();
        assert!(ledger.is_clean(), "{ledger:?}");
        assert_eq!(current::<H>(), None);
        assert!(!rt.interpreter(main).unwrap().gil().unwrap().held);
        assert_eq!(first.attach(|_| ()), Err(AttachError::Ended));
        assert_eq!(second.attach(|_| ()), Err(AttachError::Ended));
        assert_eq!(third.whence(), None);
        assert_eq!(interpreter.threads(), Err(LookupError::NotFound));
        assert_eq!(rt.end(id, None), Err(EndError::NotFound));
        assert_eq!(list_all(&rt), [main]);
    }
}

/// SPEC: L3, L10
/// CPython: test_api.TestInterpreterIsRunning.test_already_destroyed, test_api.TestInterpreterClose.test_already_destroyed
pub fn an_ended_interpreter_answers_every_operation<H: TestHost>() {
    use archipelago_kernel::{config::Act, error::PermitError};
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let gone = rt.interpreter(id).unwrap();
    let port = gone.port().unwrap();
    rt.end(id, None).unwrap();

    assert_eq!(gone.phase(), Ok(Phase::Ended));
    assert_eq!(gone.id(), id, "a name stays a name");
    let lookups = [
        gone.whence().err(),
        gone.config().err(),
        gone.is_running().err(),
        gone.usage().err(),
        gone.stats().err(),
        gone.gil().err(),
        gone.threads().err(),
        gone.interrupt().err(),
        gone.port().err(),
        rt.interpreter(id).err(),
        rt.id(id.number()).err(),
    ];
    assert_eq!(lookups, [Some(LookupError::NotFound); 11]);
    let refusal = gone.permit(Act::Fork).unwrap_err();
    assert_eq!((refusal.interpreter, refusal.reason), (id, PermitError::NotFound));
    assert_eq!(gone.thread_state().err(), Some(ThreadError::NotFound));
    assert_eq!(gone.end(None), Err(EndError::NotFound));
    assert_eq!(gone.close(None), Err(EndError::NotFound));
    assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::Ended));
    assert_eq!(rt.next(id), Err(LookupError::NotFound));
    let call = crate::support::Log::new().call(0);
    assert_eq!(port.add(call), Err(archipelago_kernel::error::PendingError::Ended));
    assert!(!call.is_queued());
    assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
    let main = rt.main().unwrap();
    let mut outside = rt.thread_state(main).unwrap();
    outside.attach(|cx| assert_eq!(cx.enter(&mut state, |_| ()), Err(AttachError::Ended))).unwrap();
    // The next tenant of the same memory is another interpreter.
    let next = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    assert_ne!(next.interpreter(), id);
    assert_eq!(port.add(call), Err(archipelago_kernel::error::PendingError::Ended));
    assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
}

/// SPEC: L5
/// CPython: test_api.InterpreterObjectTests.test_whence, test_api.LowLevelTests.test_whence
pub fn whence_is_kept<H: TestHost>() {
    let rt = H::started();
    let whences = [
        (Whence::Unknown, "unknown"),
        (Whence::LegacyCApi, "legacy C-API"),
        (Whence::CApi, "C-API"),
        (Whence::CrossInterpreter, "cross-interpreter C-API"),
        (Whence::Stdlib, "_interpreters module"),
    ];
    for (whence, text) in whences {
        let state = rt.create_as(&InterpreterConfig::isolated(), None, whence).unwrap();
        let seen = rt.interpreter(state.interpreter()).unwrap().whence();
        assert_eq!(seen, Ok(whence));
        assert_eq!(seen.unwrap().text(), text);
    }
    let made = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    assert_eq!(rt.interpreter(made.interpreter()).unwrap().whence(), Ok(Whence::Stdlib));
    let main = rt.interpreter(rt.main().unwrap()).unwrap().whence().unwrap();
    assert_eq!((main, main.text()), (Whence::Runtime, "runtime init"));
}

/// SPEC: L5, R7
pub fn who_says_it_is_the_runtime_is_not_main<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let state = rt.create_as(&InterpreterConfig::legacy(), None, Whence::Runtime).unwrap();
    assert_eq!(state.interpreter().number(), 1);
    assert!(!state.interpreter().is_main());
    let mut state = state;
    let main_held = || rt.interpreter(main).unwrap().gil().unwrap().held;
    state.attach(|_| assert!(main_held(), "it shares main's GIL, as its config says")).unwrap();
}

/// SPEC: L15
/// CPython: test_interpreters.test_stress.StressTests.test_create_many_sequential
pub fn a_hundred_alive_and_ended_at_once<H: TestHost>() {
    let rt = H::started();
    let n = scaled(100, 10);
    for _ in 0..n {
        create(&rt, &InterpreterConfig::isolated());
    }
    assert_eq!(numbers(&rt), (0..=n as u64).collect::<Vec<_>>());
    let ledger = rt.finalize(None).unwrap();
    assert_eq!((ledger.left_over, ledger.unclean), (n, 0));
}

/// SPEC: L15
/// CPython: test_interpreters.test_stress.StressTests.test_create_many_threaded
pub fn two_hundred_threads_create_at_the_same_instant<H: TestHost>() {
    let rt = H::started();
    let n = scaled(200, 6);
    let start = Barrier::new(n);
    let configs = strategies::<H>();
    thread::scope(|s| {
        for k in 0..n {
            let (rt, start, config) = (&rt, &start, &configs[k % configs.len()]);
            s.spawn(move || {
                start.wait();
                let mut state = rt.create(config, None).unwrap();
                let id = state.interpreter();
                let seen = state.attach(|cx| (cx.id(), *cx.alloc_plain(k).unwrap().get(cx))).unwrap();
                assert_eq!(seen, (id, k));
                if k % 3 == 0 {
                    drop(state);
                    rt.end(id, None).unwrap();
                }
            });
        }
    });
    let ended = n.div_ceil(3);
    assert_eq!(rt.count(), Ok(1 + n - ended));
    let all = numbers(&rt);
    assert!(all.is_sorted() && all.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(create(&rt, &configs[0]).number(), n as u64 + 1, "each number was given out once");
    assert_eq!(rt.finalize(None).unwrap().left_over, 1 + n - ended);
}

/// SPEC: L15, L10
pub fn threads_create_run_and_end_over_and_over<H: TestHost>() {
    let (rt, configs) = (H::started(), strategies::<H>());
    thread::scope(|s| {
        for k in 0..scaled(8, 3) {
            let (rt, configs) = (&rt, &configs);
            s.spawn(move || {
                for round in 0..scaled(50, 3) {
                    let config = &configs[(k + round) % configs.len()];
                    let mut state = rt.create(config, None).unwrap();
                    let id = state.interpreter();
                    state
                        .attach(|cx| {
                            for value in 0..scaled(20, 3) {
                                let object = cx.alloc_plain(value).unwrap();
                                assert_eq!(cx.safepoint(), Ok(()));
                                cx.detach(|| ());
                                assert_eq!(*object.get(cx), value);
                            }
                        })
                        .unwrap();
                    if round % 3 == 0 {
                        drop(state);
                        assert!(rt.end(id, None).unwrap().is_clean());
                    } else {
                        assert!(rt.end(id, None).unwrap().is_clean());
                        assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
                    }
                }
            });
        }
    });
    assert_eq!(numbers(&rt), [0]);
}

/// SPEC: L15
pub fn of_many_that_end_it_one_does<H: TestHost>() {
    let rt = H::started();
    let n = scaled(16, 4);
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let start = Barrier::new(n);
        let ended = thread::scope(|s| {
            let at_once = || {
                start.wait();
                match rt.end(id, None) {
                    Ok(ledger) => usize::from(ledger.is_clean()),
                    Err(EndError::NotFound | EndError::InProgress) => 0,
                    Err(error) => panic!("{error}"),
                }
            };
            let threads: Vec<_> = (0..n).map(|_| s.spawn(at_once)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(ended, 1);
    }
}

/// SPEC: R2, R3
/// CPython: test_embed.test_gilstate_after_finalization
pub fn a_thread_that_comes_after_finalization_gets_an_error<H: TestHost>() {
    let rt = H::started();
    let (main, id) = (rt.main().unwrap(), create(&rt, &InterpreterConfig::isolated()));
    let (made, finalized) = (Gate::new(), Gate::new());
    thread::scope(|s| {
        let late = s.spawn(|| {
            let mut state = rt.thread_state(id).unwrap();
            made.open();
            finalized.wait();
            assert_eq!(rt.ensure(main, |_| ()), Err(AttachError::Ended));
            assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::Ended));
            assert_eq!(rt.thread_state(main).err(), Some(ThreadError::NotFound));
            assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
        });
        made.wait();
        rt.finalize(None).unwrap();
        finalized.open();
        late.join().unwrap();
    });
}
