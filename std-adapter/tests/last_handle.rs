//! What happens when the last handle to a runtime goes.
#![cfg(not(miri))]

use core::time::Duration;
use std::{sync::mpsc::channel, thread};

use archipelago::{
    InterpreterConfig, InterpreterId, Runtime,
    kernel::{
        error::Interrupt,
        observe::{Event, Observer, ObserverNode, Veto},
    },
};

/// Is told that interpreters ended, and says so.
struct Ends(std::sync::mpsc::Sender<InterpreterId>);

impl Observer for Ends {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        if let Event::InterpreterEnded { id, .. } = event {
            let _ = self.0.send(*id);
        }
        Ok(())
    }
}

/// A runtime with an interpreter where daemons may run, and where its ends are told.
fn runtime() -> (Runtime, InterpreterId, std::sync::mpsc::Receiver<InterpreterId>) {
    let (tell, told) = channel();
    let runtime = Runtime::new().unwrap();
    assert!(runtime.observe(Box::leak(Box::new(ObserverNode::new(Box::leak(Box::new(Ends(tell))))))));
    let config = InterpreterConfig::isolated().with_allow_daemon_threads(true);
    let id = runtime.create(&config, None).unwrap().interpreter();
    (runtime, id, told)
}

/// SPEC: H3, R4
/// CPython: test_threading.ThreadJoinOnShutdown.test_1_join_on_shutdown
#[test]
fn it_waits_for_threads_and_tells_daemons() {
    let (runtime, id, ended) = runtime();
    let main = runtime.main().unwrap();
    let (go, gone) = channel::<()>();
    let (reporter, report) = channel();
    let (looked, looks) = channel();
    let daemon = runtime.spawn_daemon(id, move |cx| {
        looked.send(()).unwrap();
        loop {
            if let Err(interrupt) = cx.safepoint() {
                break interrupt;
            }
        }
    });
    let worker = runtime.spawn(id, move |cx| {
        cx.detach(|| gone.recv().unwrap());
        reporter.send(cx.alloc_plain(1u8).is_ok()).unwrap();
    });
    drop(worker.unwrap());
    looks.recv().unwrap();
    // It goes on only while the handle is being dropped, or just before.
    let other = thread::spawn(move || go.send(()).unwrap());
    drop(runtime);
    assert_eq!(report.try_recv(), Ok(true), "the drop has waited, and its interpreter was as it was");
    assert_eq!([ended.recv().unwrap(), ended.recv().unwrap()], [id, main], "newest first");
    assert_eq!(daemon.unwrap().join().unwrap(), Interrupt::Finalizing);
    other.join().unwrap();
}

/// SPEC: H3, R4
#[test]
fn inside_an_interpreter_another_thread_does_it() {
    for attached in [true, false] {
        let (runtime, id, ended) = runtime();
        let main = runtime.main().unwrap();
        let (inside, is_inside) = channel();
        let compute = move |cx: &mut archipelago::Attached<'_>| {
            inside.send(()).unwrap();
            while cx.safepoint().is_ok() {}
        };
        let daemon = runtime.spawn_daemon(id, compute).unwrap();
        is_inside.recv().unwrap();
        // The last handle goes inside the thread that is to be waited for.
        let handle = runtime.clone();
        let worker = runtime.spawn(id, move |cx| {
            let detached = |handle: Runtime| drop(handle);
            if attached {
                detached(handle)
            } else {
                cx.detach(|| detached(handle))
            }
            cx.alloc_plain(1u8).is_ok()
        });
        drop(runtime);
        assert!(worker.unwrap().join().unwrap(), "nothing was pulled from under it");
        assert_eq!([ended.recv().unwrap(), ended.recv().unwrap()], [id, main]);
        daemon.join().unwrap();
    }
}

/// SPEC: H3, R4
#[test]
fn attached_to_another_runtime_another_thread_does_it() {
    let (runtime, id, ended) = runtime();
    let main = runtime.main().unwrap();
    let other = Runtime::new().unwrap();
    other.ensure(other.main().unwrap(), |_| drop(runtime)).unwrap();
    assert_eq!([ended.recv().unwrap(), ended.recv().unwrap()], [id, main]);
}

/// SPEC: H3, R4
#[test]
fn a_daemon_that_never_looks_is_not_waited_for() {
    let (runtime, id, ended) = runtime();
    let (go, gone) = channel::<()>();
    let (inside, is_inside) = channel();
    let daemon = runtime.spawn_daemon(id, move |_| {
        inside.send(()).unwrap();
        // With the GIL, so nobody can take the interpreter down.
        gone.recv().unwrap();
    });
    is_inside.recv().unwrap();
    drop(runtime);
    assert!(ended.try_recv().is_err(), "it is left alone");
    go.send(()).unwrap();
    assert_eq!(ended.recv().unwrap(), id, "and ends with its last thread");
    daemon.unwrap().join().unwrap();
}

/// SPEC: L10, R4
#[test]
fn a_guard_that_stays_is_not_waited_for() {
    let (runtime, id, ended) = runtime();
    let main = runtime.main().unwrap();
    let guard = runtime.guard(id).unwrap();
    drop(runtime);
    assert!(ended.try_recv().is_err(), "it is left alone");
    let used = thread::spawn(move || (guard.ensure(|cx| cx.alloc_plain(1u8).is_ok()), guard));
    let (answer, guard) = used.join().unwrap();
    assert_eq!((answer, guard.id()), (Ok(true), id));
    drop(guard);
    assert_eq!([ended.recv().unwrap(), ended.recv().unwrap()], [id, main]);
}

/// SPEC: R4
#[test]
fn a_callback_that_registers_another_for_ever_is_not_waited_for() {
    fn again(
        cx: &mut archipelago::Attached<'_>,
        _: usize,
    ) -> Result<(), archipelago::kernel::interpreter::ExitFailed> {
        thread::sleep(Duration::from_millis(1));
        cx.at_exit(again, 0).map(drop).map_err(|_| archipelago::kernel::interpreter::ExitFailed)
    }
    let (runtime, id, _ended) = runtime();
    runtime.ensure(id, |cx| cx.at_exit(again, 0).map(drop)).unwrap().unwrap();
    drop(runtime);
}
