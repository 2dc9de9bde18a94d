//! The std adapter: threads into interpreters, and its timer.

use core::time::Duration;

use archipelago::{Error, InterpreterConfig, JoinError, Runtime};
use archipelago_kernel::{
    error::{AttachError, EndError, Error as Kernel, Interrupt, LookupError, PermitError, ThreadError},
    host::Wake,
    interpreter::Phase,
};
use archipelago_tests::support::{Gate, throw, until};

/// SPEC: H3
#[test]
fn a_thread_runs_in_its_interpreter() {
    let runtime = Runtime::new().unwrap();
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        let id = runtime.create(&config, None).unwrap().interpreter();
        let workers: Vec<_> = (0..4u64)
            .map(|n| {
                let work = move |cx: &mut archipelago::Attached<'_>| {
                    let object = cx.alloc_plain(n).unwrap();
                    cx.detach(|| ());
                    (cx.id(), *object.get(cx))
                };
                runtime.spawn(id, work).unwrap()
            })
            .collect();
        for (n, worker) in workers.into_iter().enumerate() {
            assert_eq!(worker.interpreter(), id);
            assert_eq!(worker.join().unwrap(), (id, n as u64));
        }
        assert_eq!(runtime.interpreter(id).unwrap().threads(), Ok(0));
    }
}

/// SPEC: H3, C6
/// CPython: test_threading.SubinterpThreadingTests.test_threads_not_allowed,
/// CPython: test_threading.SubinterpThreadingTests.test_daemon_threads_not_allowed,
/// CPython: test__interpreters.RunStringTests.test_create_daemon_thread
#[test]
fn threads_are_refused_by_the_config() {
    let runtime = Runtime::new().unwrap();
    let refused = |answer: Result<archipelago::JoinHandle<()>, Error>, id, reason| match answer {
        Err(Error::Kernel(Kernel::Permit(refusal))) => {
            assert_eq!((refusal.interpreter, refusal.reason), (id, reason));
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a thread was started"),
    };
    let none = InterpreterConfig::isolated().with_allow_threads(false);
    let none = runtime.create(&none, None).unwrap().interpreter();
    refused(runtime.spawn(none, |_| ()), none, PermitError::Threads);
    refused(runtime.spawn_daemon(none, |_| ()), none, PermitError::Threads);
    let no_daemons = runtime.create(&InterpreterConfig::isolated(), None).unwrap().interpreter();
    runtime.spawn(no_daemons, |_| ()).unwrap().join().unwrap();
    refused(runtime.spawn_daemon(no_daemons, |_| ()), no_daemons, PermitError::DaemonThreads);
    let legacy = runtime.create(&InterpreterConfig::legacy(), None).unwrap().interpreter();
    runtime.spawn_daemon(legacy, |_| ()).unwrap().join().unwrap();
}

/// SPEC: H3, L10
#[test]
fn a_thread_that_comes_too_late_says_so() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.create(&InterpreterConfig::legacy(), None).unwrap().interpreter();
    let interpreter = runtime.interpreter(id).unwrap();
    let (inside, back) = (Gate::new(), Gate::new());
    let gates = (inside.clone(), back.clone());
    let sleeper = runtime.spawn_daemon(id, move |cx| {
        cx.detach(|| {
            gates.0.open();
            gates.1.wait();
        });
        cx.safepoint()
    });
    inside.wait();
    assert_eq!(runtime.end(id, Some(Duration::ZERO)), Err(EndError::StillActive));
    let late = runtime.spawn_daemon(id, |_| ()).unwrap().join();
    assert!(matches!(late, Err(JoinError::Attach(AttachError::Finalizing))), "{late:?}");
    let late = runtime.spawn(id, |_| ()).err();
    assert!(matches!(late, Some(Error::Kernel(Kernel::Thread(ThreadError::Finalizing)))), "{late:?}");
    back.open();
    assert_eq!(sleeper.unwrap().join().unwrap(), Err(Interrupt::Finalizing));
    assert_eq!(interpreter.phase(), Ok(Phase::Ended));
    let gone = runtime.spawn(id, |_| ());
    assert!(matches!(gone.err(), Some(Error::Kernel(Kernel::Lookup(LookupError::NotFound)))));
}

/// The end waits for a thread, whatever it still does; a daemon is told.
///
/// SPEC: H3, L8, T7
/// CPython: test_threading.SubinterpThreadingTests.test_threads_join
/// CPython: test_threading.SubinterpThreadingTests.test_threads_join_2
#[test]
fn threads_are_joined_and_daemons_are_told() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.create(&InterpreterConfig::legacy(), None).unwrap().interpreter();
    let (both, go) = ((Gate::new(), Gate::new()), Gate::new());
    let gates = (both.clone(), go.clone());
    let worker = runtime.spawn(id, move |cx| {
        cx.detach(|| {
            gates.0.0.open();
            gates.1.wait();
        });
        let other = cx.alloc_plain(5_u8).ok().map(|object| *object.get(cx));
        (cx.safepoint(), other)
    });
    let inside = both.1.clone();
    let daemon = runtime.spawn_daemon(id, move |cx| {
        cx.detach(|| inside.open());
        loop {
            if let Err(interrupt) = cx.safepoint() {
                return interrupt;
            }
        }
    });
    both.0.wait();
    both.1.wait();
    assert_eq!(runtime.end(id, Some(Duration::ZERO)), Err(EndError::StillRunning));
    assert_eq!(runtime.interpreter(id).unwrap().phase(), Ok(Phase::Running));
    go.open();
    assert!(runtime.end(id, None).unwrap().is_clean());
    assert_eq!(worker.unwrap().join().unwrap(), (Ok(()), Some(5)), "nothing was refused");
    assert_eq!(daemon.unwrap().join().unwrap(), Interrupt::Finalizing);
}

/// SPEC: H3
#[test]
fn a_panic_is_the_joiners() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.create(&InterpreterConfig::isolated(), None).unwrap().interpreter();
    let worker = runtime.spawn(id, |_| throw()).unwrap();
    let Err(JoinError::Panicked(payload)) = worker.join() else { panic!("it panicked") };
    assert!(payload.into_inner().is::<()>());
    fn shared<T: Send + Sync>() {}
    shared::<Error>();
    assert_eq!(runtime.spawn(id, |cx| cx.id()).unwrap().join().unwrap(), id);
}

/// SPEC: E5
#[test]
fn deadlines_pass_by_themselves() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut other = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    other.attach(|cx| cx.set_deadline(Some(Duration::from_secs(1000)))).unwrap().unwrap();
    for _ in 0..3 {
        state
            .attach(|cx| {
                cx.set_deadline(Some(Duration::from_millis(2))).unwrap();
                until("the deadline", || cx.safepoint() == Err(Interrupt::Deadline));
                let woken = Gate::new();
                cx.set_deadline(Some(Duration::from_millis(2))).unwrap();
                // It may have passed before the wait began.
                let told = match cx.wait(&woken as &dyn Wake, || woken.wait()) {
                    Ok(()) => cx.safepoint(),
                    Err(interrupt) => Err(interrupt),
                };
                assert_eq!(told, Err(Interrupt::Deadline));
            })
            .unwrap();
    }
    assert_eq!(other.attach(|cx| cx.safepoint()), Ok(Ok(())));
}

/// SPEC: L10
#[test]
fn a_guard_goes_to_another_thread() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.create(&InterpreterConfig::isolated(), None).unwrap().interpreter();
    let (guard, second) = (runtime.guard(id).unwrap(), runtime.guard(id).unwrap());
    let thread = std::thread::spawn(move || {
        let answer = guard.ensure(|cx| *cx.alloc_plain(7u8).unwrap().get(cx));
        assert_eq!((guard.get().view().id(), guard.id()), (id, id));
        answer
    });
    assert_eq!(thread.join().unwrap(), Ok(7));
    assert_eq!(runtime.end(id, Some(Duration::ZERO)), Err(EndError::StillGuarded));
    drop(second);
    assert!(runtime.end(id, None).unwrap().is_clean());
}
