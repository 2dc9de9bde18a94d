//! Group c: requests to thread states that come and go, and blocked waits.
#![allow(unsafe_code)]

use archipelago_kernel::{error::Interrupt, host::Wake};
use archipelago_loom_tests::{Guarded, model, own_gil, second};
use loom::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// A flag to block on.
struct Flag {
    up: Mutex<bool>,
    changed: Condvar,
}

impl Flag {
    fn new() -> Self {
        Flag { up: Mutex::new(false), changed: Condvar::new() }
    }

    fn block(&self) {
        let mut up = self.up.lock().unwrap();
        while !*up {
            up = self.changed.wait(up).unwrap();
        }
    }
}

impl Wake for Flag {
    fn wake(&self) {
        *self.up.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// Model 6: an interrupt and a drop request to a thread state that is being deleted, whose slot gets the next one.
#[test]
fn requests_against_delete() {
    model("requests_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut keeper = own_gil(rt);
        let (going, number) = (second(&keeper), Guarded::new());
        let (id, theirs) = (keeper.interpreter(), number.clone());
        let thread = thread::spawn(move || {
            let mut going = going.take();
            going.attach(|_| theirs.bump()).unwrap();
            let before = going.id();
            drop(going);
            // Most often in the same slot.
            let mut next = rt.thread_state(id).unwrap();
            assert_ne!(next.id(), before);
            next.attach(|cx| {
                theirs.bump();
                assert!(matches!(cx.safepoint(), Ok(()) | Err(Interrupt::Requested)));
            })
            .unwrap();
        });
        // Waits behind the one and the other, so it asks both.
        keeper.attach(|_| number.bump()).unwrap();
        rt.interpreter(id).unwrap().interrupt().unwrap();
        thread.join().unwrap();
        keeper
            .attach(|cx| {
                assert_eq!(cx.safepoint(), Err(Interrupt::Requested));
                assert_eq!(number.get(), 3);
            })
            .unwrap();
        assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(1));
    });
}

/// Model 6: the end of an interpreter against the drop of one of its thread states.
#[test]
fn end_against_delete() {
    model("end_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let thread = thread::spawn(move || drop(other.take()));
        rt.end(state.interpreter(), None).unwrap();
        // Its thread states get the slots that became free, each its own.
        let next = own_gil(rt);
        let more = second(&next).take();
        thread.join().unwrap();
        assert_ne!(next.id(), more.id());
        assert_eq!(rt.interpreter(next.interpreter()).unwrap().threads(), Ok(2));
        drop(state);
        drop(more);
        assert_eq!(rt.interpreter(next.interpreter()).unwrap().threads(), Ok(1));
    });
}

/// Model 10: an interrupt ends a blocked wait, whenever it comes.
#[test]
fn interrupt_against_wait() {
    model("interrupt_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let id = state.interpreter();
        let thread = thread::spawn(move || rt.interpreter(id).unwrap().interrupt().unwrap());
        state
            .attach(|cx| {
                let flag = Flag::new();
                // Refused before it blocks, or woken: it does not hang, and the reason is told once.
                let told = cx.wait(&flag, || flag.block()).and_then(|()| cx.safepoint());
                assert_eq!(told, Err(Interrupt::Requested));
                assert_eq!(cx.safepoint(), Ok(()));
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 10: the end of the interpreter ends a blocked wait, and waits for its frame.
#[test]
fn end_against_wait() {
    model("end_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let thread = thread::spawn(move || {
            let _ = other.take().attach(|cx| {
                let flag = Flag::new();
                let told = cx.wait(&flag, || flag.block()).and_then(|()| cx.safepoint());
                assert_eq!(told, Err(Interrupt::Finalizing));
            });
        });
        rt.end(state.interpreter(), None).unwrap();
        thread.join().unwrap();
    });
}

/// Model 10: two reasons at once, one wait.
#[test]
fn two_interrupts_against_wait() {
    model("two_interrupts_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let id = state.interpreter();
        let flag = Arc::new(Flag::new());
        let thread = thread::spawn(move || {
            let interpreter = rt.interpreter(id).unwrap();
            interpreter.interrupt().unwrap();
            interpreter.interrupt().unwrap();
        });
        state
            .attach(|cx| {
                let told = cx.wait(&*flag, || flag.block()).and_then(|()| cx.safepoint());
                assert_eq!(told, Err(Interrupt::Requested));
            })
            .unwrap();
        thread.join().unwrap();
        // The waker is gone with the wait; an interrupt now finds none.
        rt.interpreter(id).unwrap().interrupt().unwrap();
    });
}
