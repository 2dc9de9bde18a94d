//! Signals of the operating system reach main's main thread. Each test is a process of its own: signals are the process's.
#![cfg(all(unix, not(miri)))]

use core::sync::atomic::{AtomicBool, Ordering};
use std::{
    env,
    io::ErrorKind,
    process::Command,
    sync::{Mutex, mpsc::channel},
    thread::{self, ThreadId},
};

use archipelago::{
    Attached, InterpreterConfig, Runtime,
    kernel::eval::{SignalFailed, SignalHandler},
};
use signal_hook::{
    consts::{SIGKILL, SIGUSR1, SIGUSR2},
    low_level,
};

const CHILD: &str = "ARCHIPELAGO_TEST_CHILD";

/// Runs the test again, alone in a process. `false`: this is that process.
fn parent_of(name: &str) -> bool {
    if env::var_os(CHILD).is_some() {
        return false;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    let ended = child.args(["--exact", name, "--test-threads", "1"]).env(CHILD, "1").output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    true
}

static SEEN: Mutex<Vec<(u32, ThreadId)>> = Mutex::new(Vec::new());

fn seen() -> Vec<(u32, ThreadId)> {
    SEEN.lock().unwrap().clone()
}

fn see(cx: &mut Attached<'_>, signal: u32, _: usize) -> Result<(), SignalFailed> {
    assert!(cx.id().is_main());
    SEEN.lock().unwrap().push((signal, thread::current().id()));
    Ok(())
}

/// SPEC: E4, R7, H4
/// CPython: test_threadsignals.ThreadSignals.test_signals
#[test]
fn a_signal_on_any_thread_is_handled_by_mains() {
    if parent_of("a_signal_on_any_thread_is_handled_by_mains") {
        return;
    }
    let runtime = Runtime::new().unwrap();
    let (main, me) = (runtime.main().unwrap(), thread::current().id());
    let watch = runtime.watch_signals(&[SIGUSR1, SIGUSR2]).unwrap();
    let handler = SignalHandler { run: see, argument: 0 };
    runtime
        .ensure(main, |cx| {
            for signal in [SIGUSR1, SIGUSR2] {
                assert!(cx.on_signal(signal as u32, Some(handler)).unwrap().is_none());
            }
        })
        .unwrap();
    // Others compute meanwhile, in main and elsewhere.
    let sub = runtime.create(&InterpreterConfig::isolated().with_allow_daemon_threads(true), None).unwrap();
    let compute = |id| {
        let (inside, is_inside) = channel();
        let body = move |cx: &mut Attached<'_>| {
            inside.send(()).unwrap();
            while cx.safepoint().is_ok() {}
        };
        let daemon = runtime.spawn_daemon(id, body).unwrap();
        is_inside.recv().unwrap();
        daemon
    };
    let others = [compute(main), compute(main), compute(sub.interpreter())];
    runtime
        .ensure(main, |cx| {
            for round in 1..=20 {
                let raise = move || low_level::raise(if round % 2 == 0 { SIGUSR1 } else { SIGUSR2 }).unwrap();
                cx.detach(|| thread::spawn(raise).join().unwrap());
                while seen().len() < round {
                    cx.safepoint().unwrap();
                }
            }
        })
        .unwrap();
    for (round, seen) in (1..).zip(seen()) {
        assert_eq!(seen, (if round % 2 == 0 { SIGUSR1 } else { SIGUSR2 } as u32, me));
    }
    drop(watch);
    // It is taken, and nobody hears of it: else the process would be dead now.
    low_level::raise(SIGUSR1).unwrap();
    runtime.ensure(main, |cx| cx.safepoint()).unwrap().unwrap();
    assert_eq!(seen().len(), 20);
    runtime.finalize(None).unwrap();
    for other in others {
        other.join().unwrap();
    }
}

/// SPEC: E4
#[test]
fn a_signal_wakes_mains_thread_where_it_waits() {
    if parent_of("a_signal_wakes_mains_thread_where_it_waits") {
        return;
    }
    struct Sleep(AtomicBool, thread::Thread);
    impl archipelago::kernel::host::Wake for Sleep {
        fn wake(&self) {
            self.0.store(true, Ordering::Release);
            self.1.unpark();
        }
    }
    let runtime = Runtime::new().unwrap();
    let _watch = runtime.watch_signals(&[SIGUSR1]).unwrap();
    runtime
        .ensure(runtime.main().unwrap(), |cx| {
            let _ = cx.on_signal(SIGUSR1 as u32, Some(SignalHandler { run: see, argument: 0 })).unwrap();
            let raise = thread::spawn(|| low_level::raise(SIGUSR1).unwrap());
            while seen().is_empty() {
                let sleep = Sleep(AtomicBool::new(false), thread::current());
                // Where it came before, the wait handles it and begins anew.
                let wait = || {
                    while seen().is_empty() && !sleep.0.load(Ordering::Acquire) {
                        thread::park();
                    }
                };
                cx.wait(&sleep, wait).and_then(|()| cx.safepoint()).unwrap();
            }
            raise.join().unwrap();
        })
        .unwrap();
    assert_eq!(seen().len(), 1);
}

/// SPEC: E4
#[test]
fn what_nobody_can_take_is_refused() {
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.watch_signals(&[SIGKILL]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(runtime.watch_signals(&[4096]).is_err(), "there is no such signal");
}
