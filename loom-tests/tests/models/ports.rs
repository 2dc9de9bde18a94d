//! Group i: what is asked through a port while somebody else has the runtime's lock.

use core::sync::atomic::Ordering::Relaxed;

use archipelago_kernel::{
    ThreadState,
    error::{Interrupt, PendingError},
};
use archipelago_loom_tests::{Flag, LoomHost, as_handler, model, own_gil, port, second};
use loom::thread;

use crate::pending::call;

type State = ThreadState<'static, LoomHost>;

/// How often a thread state is told of an interrupt: once or never.
fn told(state: &mut State) -> bool {
    state
        .attach(|cx| {
            let told = cx.safepoint() == Err(Interrupt::Requested);
            assert_eq!(cx.safepoint(), Ok(()), "once");
            told
        })
        .unwrap()
}

/// Model 8: an interrupt while the lock is taken is delivered by whoever has it, and to that interpreter only.
#[test]
fn interrupt_against_the_lock() {
    model("ports::interrupt_against_the_lock", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut state, mut apart) = (own_gil(rt), own_gil(rt));
        let port = port(&state);
        let thread = thread::spawn(move || as_handler(|| port.interrupt()).unwrap());
        assert_eq!(rt.count(), Ok(3));
        thread.join().unwrap();
        assert_eq!((told(&mut state), told(&mut apart)), (true, false));
    });
}

/// Model 8: two handlers and somebody else at the lock: nothing that was asked for is lost on the way.
#[test]
fn two_handlers_and_the_lock() {
    model("ports::two_handlers_and_the_lock", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut a, mut b) = (own_gil(rt), own_gil(rt));
        let handlers = [port(&a), port(&b)].map(|port| thread::spawn(move || port.interrupt().unwrap()));
        assert_eq!(rt.count(), Ok(3));
        for handler in handlers {
            handler.join().unwrap();
        }
        assert_eq!((told(&mut a), told(&mut b)), (true, true));
    });
}

/// Model 8: two handlers ask one interpreter for different things at the same time: it is told of both.
#[test]
fn two_requests_at_once() {
    model("ports::two_requests_at_once", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (port, (call, ran)) = (port(&state), call());
        let thread = thread::spawn(move || port.interrupt().unwrap());
        port.add(call).unwrap();
        thread.join().unwrap();
        assert!(told(&mut state));
        assert_eq!(ran.load(Relaxed), 1);
        port.add(call).unwrap();
        assert!(!told(&mut state), "not again");
    });
}

/// Model 8: a thread state that was there throughout is told, whichever come and go beside it.
#[test]
fn interrupt_against_new_thread_state() {
    model("ports::interrupt_against_new_thread_state", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut keeper = own_gil(rt);
        let (id, port) = (keeper.interpreter(), port(&keeper));
        let thread = thread::spawn(move || port.interrupt().unwrap());
        let mut new = rt.thread_state(id).unwrap();
        thread.join().unwrap();
        assert!(told(&mut keeper));
        // Or it came too late.
        told(&mut new);
    });
}

/// Model 6 and 8: a thread state goes while its interpreter is interrupted.
#[test]
fn interrupt_against_delete() {
    model("ports::interrupt_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (mut keeper, mut apart) = (own_gil(rt), own_gil(rt));
        let (going, port, id) = (second(&keeper), port(&keeper), apart.interpreter());
        let thread = thread::spawn(move || port.interrupt().unwrap());
        drop(going.take());
        // In the slot that became free, another interpreter's.
        let mut next = rt.thread_state(id).unwrap();
        thread.join().unwrap();
        assert!(told(&mut keeper));
        assert!(!told(&mut next) && !told(&mut apart), "not for them");
    });
}

/// Model 8: an interrupt against the end: what was asked of one interpreter does not reach the next in its slot.
#[test]
fn interrupt_against_end() {
    model("ports::interrupt_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let port = port(&state);
        let thread = thread::spawn(move || port.interrupt());
        rt.end(state.interpreter(), None).unwrap();
        let mut next = own_gil(rt);
        assert!(matches!(thread.join().unwrap(), Ok(()) | Err(PendingError::Ended)));
        assert!(!told(&mut next), "not for this one");
        assert_eq!(port.interrupt(), Err(PendingError::Ended));
    });
}

/// Model 8: as before, with somebody else at the lock, to whom the interrupt is left.
#[test]
fn interrupt_against_end_and_the_lock() {
    model("ports::interrupt_against_end_and_the_lock", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let old = port(&state);
        let holder = thread::spawn(move || rt.count().unwrap());
        let handler = thread::spawn(move || old.interrupt().is_ok());
        rt.end(state.interpreter(), None).unwrap();
        let mut next = own_gil(rt);
        holder.join().unwrap();
        handler.join().unwrap();
        // The next request delivers whatever waits.
        let (call, ran) = call();
        port(&next).add(call).unwrap();
        assert!(!told(&mut next), "not for this one");
        assert_eq!(ran.load(Relaxed), 1);
    });
}

/// Model 8 and 10: an interrupt from a handler ends a blocked wait, also where somebody else has the lock.
#[test]
fn interrupt_against_wait() {
    model("ports::interrupt_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let port = port(&state);
        let handler = thread::spawn(move || port.interrupt().unwrap());
        state
            .attach(|cx| {
                let flag = Flag::default();
                let told = cx.wait(&flag, || flag.block()).and_then(|()| cx.safepoint());
                assert_eq!(told, Err(Interrupt::Requested));
            })
            .unwrap();
        handler.join().unwrap();
    });
}
