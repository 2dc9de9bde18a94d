//! Group e: pending calls.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::time::Duration;

use archipelago_kernel::{
    Attached,
    error::{EndError, PendingError},
    eval::{PendingCall, PendingFailed, PendingFn},
};
use archipelago_loom_tests::{Flag, LoomHost, model, own_gil, port, second};
use loom::thread;

/// How often a call ran. Not loom's, so that it orders nothing.
pub(crate) type Ran = &'static AtomicUsize;

pub(crate) fn count(_: &mut Attached<'_, LoomHost>, ran: usize) -> Result<(), PendingFailed> {
    // SAFETY: the argument of `call` below.
    let ran: Ran = unsafe { &*core::ptr::with_exposed_provenance(ran) };
    ran.fetch_add(1, Relaxed);
    Ok(())
}

/// Nodes live for ever: each execution leaks its own.
pub(crate) fn call() -> (&'static PendingCall<LoomHost>, Ran) {
    call_of(count)
}

/// An argument of [`count`], and what it counts.
pub(crate) fn counter() -> (usize, Ran) {
    let ran: Ran = Box::leak(Box::new(AtomicUsize::new(0)));
    (core::ptr::from_ref(ran).expose_provenance(), ran)
}

/// Blocks in the interpreter until the call has run.
pub(crate) fn until_ran(cx: &mut Attached<'_, LoomHost>, ran: Ran) {
    while ran.load(Relaxed) == 0 {
        let flag = Flag::default();
        // The wait itself runs a call that is there already, and would then block for ever.
        if cx.safepoint().is_ok() && ran.load(Relaxed) == 0 {
            let _ = cx.wait(&flag, || {
                if ran.load(Relaxed) == 0 {
                    flag.block()
                }
            });
        }
    }
}

fn call_of(run: PendingFn<LoomHost>) -> (&'static PendingCall<LoomHost>, Ran) {
    let (argument, ran) = counter();
    (Box::leak(Box::new(PendingCall::new(run, argument))), ran)
}

/// Model 8: a call that is added while code runs is run by it.
#[test]
fn add_against_safepoint() {
    model("pending::add_against_safepoint", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (port, (call, ran)) = (port(&state), call());
        let thread = thread::spawn(move || port.add(call).unwrap());
        state
            .attach(|cx| {
                while ran.load(Relaxed) == 0 {
                    cx.safepoint().unwrap();
                    thread::yield_now();
                }
            })
            .unwrap();
        thread.join().unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 1, "once");
        assert!(!call.is_queued());
    });
}

/// Model 8: two adders to one interpreter: both calls run at the next safepoint.
#[test]
fn two_adders() {
    model("pending::two_adders", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (port, (first, ran), (last, ran2)) = (port(&state), call(), call());
        let thread = thread::spawn(move || port.add(first).unwrap());
        port.add(last).unwrap();
        thread.join().unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!((ran.load(Relaxed), ran2.load(Relaxed)), (1, 1));
    });
}

/// Model 8: two adders to two interpreters, which get in each other's way at the lock.
#[test]
fn two_adders_apart() {
    model("pending::two_adders_apart", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut a, mut b) = (own_gil(rt), own_gil(rt));
        let ((first, ran), (last, ran2)) = (call(), call());
        let (to_a, to_b) = (port(&a), port(&b));
        let thread = thread::spawn(move || to_a.add(first).unwrap());
        to_b.add(last).unwrap();
        thread.join().unwrap();
        a.attach(|cx| cx.safepoint().unwrap()).unwrap();
        b.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!((ran.load(Relaxed), ran2.load(Relaxed)), (1, 1));
    });
}

/// Model 8: two adders and somebody else at the lock.
#[test]
fn two_adders_and_the_lock() {
    model("pending::two_adders_and_the_lock", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut a, mut b) = (own_gil(rt), own_gil(rt));
        let ((first, ran), (last, ran2)) = (call(), call());
        let (to_a, to_b) = (port(&a), port(&b));
        let one = thread::spawn(move || to_a.add(first).unwrap());
        let two = thread::spawn(move || to_b.add(last).unwrap());
        assert_eq!(rt.count(), Ok(3));
        one.join().unwrap();
        two.join().unwrap();
        a.attach(|cx| cx.safepoint().unwrap()).unwrap();
        b.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!((ran.load(Relaxed), ran2.load(Relaxed)), (1, 1));
    });
}

/// Model 8: the end runs what was added before it, and refuses the rest.
#[test]
fn add_against_end() {
    model("pending::add_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (port, (call, ran)) = (port(&state), call());
        let thread = thread::spawn(move || port.add(call));
        rt.end(state.interpreter(), None).unwrap();
        match thread.join().unwrap() {
            Ok(()) => assert_eq!(ran.load(Relaxed), 1, "added, so it ran"),
            Err(error) => assert_eq!((error, ran.load(Relaxed)), (PendingError::Ended, 0)),
        }
        assert!(!call.is_queued());
    });
}

/// Model 8: an old port does not add to the slot's next interpreter.
#[test]
fn stale_port() {
    model("pending::stale_port", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (port, (call, ran)) = (port(&state), call());
        let thread = thread::spawn(move || port.add(call).is_ok());
        rt.end(state.interpreter(), None).unwrap();
        let before = ran.load(Relaxed);
        let mut next = own_gil(rt);
        let added = thread.join().unwrap();
        next.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!((before, ran.load(Relaxed)), (usize::from(added), before));
    });
}

/// Model 8: a visit that ends does not keep the last one out from completing the end.
#[test]
fn visit_against_last_one_out() {
    model("pending::visit_against_last_one_out", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (id, port, (call, ran)) = (state.interpreter(), port(&state), call());
        let adder = state
            .attach(|cx| {
                cx.detach(|| {
                    let adder = thread::spawn(move || port.add(call).is_ok());
                    let ender = thread::spawn(move || rt.end(id, Some(Duration::ZERO)));
                    assert_eq!(ender.join().unwrap(), Err(EndError::StillActive));
                    adder
                })
            })
            .unwrap();
        assert_eq!(usize::from(adder.join().unwrap()), ran.load(Relaxed));
        assert!(rt.interpreter(id).is_err(), "the last one out completed the end");
    });
}

/// Model 8: the thread state that was told goes; one that comes runs the call.
#[test]
fn add_against_delete() {
    model("pending::add_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let (id, port, (call, ran)) = (state.interpreter(), port(&state), call());
        let thread = thread::spawn(move || port.add(call).unwrap());
        drop(state);
        let mut next = rt.thread_state(id).unwrap();
        thread.join().unwrap();
        next.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 1);
    });
}

fn detaching_and_failing(cx: &mut Attached<'_, LoomHost>, ran: usize) -> Result<(), PendingFailed> {
    cx.detach(|| ());
    let _ = count(cx, ran);
    Err(PendingFailed)
}

/// Model 8: a thread state that looks while another is in the middle of a pass spends its bit; what that pass leaves is
/// run all the same, also when the other does not come back.
#[test]
fn add_against_a_pass() {
    model("pending::add_against_a_pass", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (other, port) = (second(&state), port(&state));
        let ((first, ran), (last, ran2)) = (call_of(detaching_and_failing), call());
        port.add(first).unwrap();
        port.add(last).unwrap();
        let thread = thread::spawn(move || {
            // One look; then it goes.
            let _ = other.take().attach(|cx| cx.safepoint());
        });
        let _ = state.attach(|cx| cx.safepoint());
        thread.join().unwrap();
        let _ = state.attach(|cx| cx.safepoint());
        assert_eq!((ran.load(Relaxed), ran2.load(Relaxed)), (1, 1));
    });
}

/// Model 8 and 10: a pending call ends a blocked wait.
#[test]
fn add_against_wait() {
    model("pending::add_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (port, (call, ran)) = (port(&state), call());
        let thread = thread::spawn(move || port.add(call).unwrap());
        state.attach(|cx| until_ran(cx, ran)).unwrap();
        thread.join().unwrap();
    });
}
