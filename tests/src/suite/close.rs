//! Closing: what may be closed, by whom, when.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use archipelago_kernel::{
    Attached, Host,
    config::InterpreterConfig,
    error::{AttachError, EndError, GuestError, Interrupt},
    guest::{Fault, GuestTable, Step},
    interpreter::{ExitFailed, Phase, Whence},
};
use archipelago_toy_guest::Toy;

use crate::{
    TestHost,
    support::{Gate, Log, Scribe, create, list_all, presets, scaled, until},
};

/// SPEC: L8
/// CPython: test_api.TestInterpreterClose.test_basic, test_api.TestInterpreterClose.test_all,
/// CPython: test__interpreters.DestroyTests.test_one, test__interpreters.DestroyTests.test_all
pub fn one_and_then_all<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let made: Vec<_> = (0..5).map(|n| create(&rt, &presets()[n % 2])).collect();
    assert!(rt.interpreter(made[1]).unwrap().close(None).unwrap().is_clean());
    assert_eq!(list_all(&rt), [main, made[0], made[2], made[3], made[4]]);
    for id in list_all(&rt).split_off(1) {
        assert!(rt.interpreter(id).unwrap().close(None).unwrap().is_clean());
    }
    assert_eq!(list_all(&rt), [main]);
}

/// SPEC: L8
/// CPython: test_api.TestInterpreterClose.test_already_destroyed, test__interpreters.DestroyTests.test_already_destroyed
pub fn a_second_close_finds_nothing<H: TestHost>() {
    let rt = H::started();
    let interpreter = rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap();
    assert!(interpreter.close(None).is_ok());
    assert_eq!(interpreter.close(None), Err(EndError::NotFound));
    assert_eq!(interpreter.phase(), Ok(Phase::Ended));
}

/// SPEC: L8
/// CPython: test_api.TestInterpreterClose.test_from_current, test__interpreters.DestroyTests.test_from_current
pub fn not_the_current_one<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, Some(GuestTable::of::<Toy>())).unwrap();
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        state
            .attach(|cx| {
                assert_eq!(interpreter.close(None), Err(EndError::Current));
                assert_eq!(cx.exec(b"yield; halt"), Step::Yielded);
                assert_eq!(interpreter.close(None), Err(EndError::Current), "that it runs says less");
                assert!(cx.resume().is_over());
                assert_eq!(cx.safepoint(), Ok(()), "it is as before");
            })
            .unwrap();
        assert!(interpreter.close(None).is_ok());
    }
}

/// SPEC: L8
/// CPython: test_api.TestInterpreterClose.test_from_sibling, test__interpreters.DestroyTests.test_from_sibling
pub fn a_sibling_may_be_closed<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let sibling = create(&rt, &config);
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                assert_eq!(rt.interpreter(sibling).unwrap().close(None), Err(EndError::AlreadyAttached));
                assert!(cx.detach(|| rt.interpreter(sibling).unwrap().close(None)).is_ok());
                assert_eq!(cx.safepoint(), Ok(()));
            })
            .unwrap();
        assert!(!list_all(&rt).contains(&sibling));
    }
}

/// SPEC: L8, L15
/// CPython: test_api.TestInterpreterClose.test_from_other_thread, test__interpreters.DestroyTests.test_from_other_thread
pub fn any_thread_may_close<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let closed = thread::scope(|s| s.spawn(|| rt.interpreter(id).unwrap().close(None)).join().unwrap());
    assert!(closed.unwrap().is_clean());
    assert_eq!(rt.count(), Ok(1));
}

/// SPEC: L8
/// CPython: test_api.TestInterpreterClose.test_still_running, test__interpreters.DestroyTests.test_still_running
pub fn not_a_running_one<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, Some(GuestTable::of::<Toy>())).unwrap();
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        assert_eq!(state.attach(|cx| cx.exec(b"yield; halt")), Ok(Step::Yielded));
        assert_eq!(interpreter.close(None), Err(EndError::Running));
        assert_eq!(interpreter.phase(), Ok(Phase::Running), "still alive");
        assert_eq!(interpreter.is_running(), Ok(true));
        assert!(state.attach(|cx| cx.resume()).unwrap().is_over());
        assert!(interpreter.close(None).is_ok());
    }
}

/// SPEC: L8, L5
/// CPython: test_api.TestInterpreterClose.test_created_with_capi, test_api.LowLevelTests.test_destroy
pub fn not_what_somebody_else_made<H: TestHost>() {
    let rt = H::started();
    for whence in
        [Whence::Unknown, Whence::LegacyCApi, Whence::CApi, Whence::CrossInterpreter, Whence::Runtime]
    {
        let state = rt.create_as(&InterpreterConfig::isolated(), None, whence).unwrap();
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        assert_eq!(interpreter.close(None), Err(EndError::Foreign), "{whence:?}");
        assert_eq!(interpreter.is_running(), Ok(false), "nothing changed");
        assert!(interpreter.end(None).is_ok(), "its owner ends it");
    }
}

/// Its threads are told by a hook that it ends; nothing is refused to them meanwhile, and they are gone before its callbacks
/// run.
///
/// SPEC: L8, L10, L13
/// CPython: test_api.TestInterpreterClose.test_remaining_threads,
/// CPython: test_api.TestInterpreterClose.test_subthreads_still_running
pub fn it_joins_its_threads<H: TestHost>() {
    fn hook<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), ExitFailed> {
        Log::note(argument, cx.id().number());
        Ok(())
    }
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let interpreter = rt.interpreter(id).unwrap();
        let log = Log::new();
        rt.ensure(id, |cx| {
            cx.at_exit(hook::<H>, log.argument(9)).unwrap();
            cx.on_shutdown(hook::<H>, log.argument(1)).unwrap();
        })
        .unwrap();
        let n = scaled(3, 2);
        thread::scope(|s| {
            for _ in 0..n {
                let (ticket, rt) = (interpreter.join_ticket().unwrap(), &rt);
                s.spawn(move || {
                    until("the hook tells", || !log.values().is_empty());
                    for _ in 0..2 {
                        rt.ensure(id, |cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
                    }
                    Log::note(log.argument(5), id.number());
                    drop(ticket);
                });
            }
            assert_eq!(interpreter.stats().unwrap().joinable, n);
            assert!(interpreter.close(None).unwrap().is_clean());
            assert_eq!(interpreter.phase(), Ok(Phase::Ended));
        });
        let all: Vec<_> = [1].into_iter().chain([5].repeat(n)).chain([9]).collect();
        assert_eq!(log.values(), all);
    }
}

/// Those that it was not asked to join it tells, and waits until they are out.
///
/// SPEC: L8
/// CPython: test_api.TestInterpreterClose.test_remaining_daemon_threads
pub fn it_waits_for_the_threads_inside<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let n = scaled(3, 2);
        let entered = AtomicUsize::new(0);
        let told: Vec<_> = thread::scope(|s| {
            let inside = || {
                rt.ensure(id, |cx| {
                    entered.fetch_add(1, Ordering::Relaxed);
                    loop {
                        if let Err(interrupt) = cx.safepoint() {
                            return interrupt;
                        }
                        cx.detach(thread::yield_now);
                    }
                })
            };
            let threads: Vec<_> = (0..n).map(|_| s.spawn(inside)).collect();
            let interpreter = rt.interpreter(id).unwrap();
            until("all are inside", || entered.load(Ordering::Relaxed) == n);
            assert!(interpreter.close(None).unwrap().is_clean());
            assert!(threads.iter().all(|_| interpreter.phase() == Ok(Phase::Ended)));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(told, vec![Ok(Interrupt::Finalizing); n]);
    }
}

/// SPEC: L8
/// CPython: test_api.TestInterpreterClose.test_remaining_daemon_threads,
/// CPython: test_threading.SubinterpThreadingTests.test_daemon_threads_fatal_error
pub fn it_does_not_wait_for_those_that_do_not_come_back<H: TestHost>() {
    use core::time::Duration;
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let interpreter = rt.interpreter(id).unwrap();
    let (inside, back) = (Gate::new(), Gate::new());
    thread::scope(|s| {
        let sleeper = s.spawn(|| {
            rt.ensure(id, |cx| {
                inside.open();
                cx.detach(|| back.wait());
                cx.safepoint()
            })
        });
        inside.wait();
        assert_eq!(interpreter.close(Some(Duration::ZERO)), Err(EndError::StillActive));
        assert_eq!(interpreter.phase(), Ok(Phase::Finalizing), "it waits for the last one");
        assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::Finalizing));
        back.open();
        assert_eq!(sleeper.join().unwrap(), Ok(Err(Interrupt::Finalizing)));
    });
    assert_eq!(interpreter.phase(), Ok(Phase::Ended));
}

/// SPEC: L8, L7
pub fn a_vetoed_close_leaves_it_as_it_was<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let mut state = rt.create(&InterpreterConfig::isolated(), Some(GuestTable::of::<Toy>())).unwrap();
    let interpreter = rt.interpreter(state.interpreter()).unwrap();
    scribe.veto_clearing(true);
    assert_eq!(interpreter.close(None), Err(EndError::Vetoed));
    assert_eq!(interpreter.is_running(), Ok(false));
    assert!(state.attach(|cx| cx.exec(b"halt")).unwrap().is_over(), "it runs again");
    scribe.veto_clearing(false);
    assert!(interpreter.close(None).is_ok());
}

/// SPEC: L7, L8, L15
pub fn closing_and_running_exclude_each_other<H: TestHost>() {
    let rt = H::started();
    for round in 0..scaled(30, 3) {
        let config = &presets()[round % 2];
        let id = rt.create(config, Some(GuestTable::of::<Toy>())).unwrap().interpreter();
        let interpreter = rt.interpreter(id).unwrap();
        let closed = AtomicBool::new(false);
        thread::scope(|s| {
            for _ in 0..scaled(3, 2) {
                s.spawn(|| {
                    // Runs without a pause between them leave no moment to close in, for as long as the scheduler likes.
                    for _ in 0..scaled(200, 4) {
                        let known_closed = closed.load(Ordering::Acquire);
                        let run = rt.ensure(id, |cx| {
                            let step = cx.exec(b"load 0; push 1; add; store 0; halt");
                            let finalizing = Step::Failed(Fault::Interrupted(Interrupt::Finalizing));
                            let no_memory = matches!(step, Step::Failed(Fault::NoMemory(_)));
                            let already = Step::Failed(Fault::Refused(GuestError::AlreadyRunning));
                            assert!(
                                matches!(step, Step::Done(_))
                                    || no_memory
                                    || [finalizing, already].contains(&step),
                                "{step:?}"
                            );
                        });
                        match run {
                            Ok(()) => assert!(!known_closed, "nothing runs after it was closed"),
                            Err(AttachError::Ended) => return,
                            Err(error) => assert_eq!(error, AttachError::Finalizing),
                        }
                    }
                    until("it is closed", || closed.load(Ordering::Acquire));
                    assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::Ended));
                });
            }
            s.spawn(|| {
                loop {
                    match interpreter.close(None) {
                        Ok(ledger) => break assert_eq!(ledger.leaked.mem.bytes, 0),
                        Err(error) => assert_eq!(error, EndError::Running),
                    }
                    thread::yield_now();
                }
                closed.store(true, Ordering::Release);
            });
        });
    }
    assert_eq!(rt.count(), Ok(1));
}
