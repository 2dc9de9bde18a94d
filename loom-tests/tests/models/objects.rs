//! Group g: releases owed from outside, and observers.
#![allow(unsafe_code)]

use core::mem;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use archipelago_kernel::{
    guest::Plain,
    object::Edge,
    observe::{Event, Observer, ObserverNode, Veto},
};
use archipelago_loom_tests::{model, own_gil};
use loom::thread;

/// Counts its drops. Not loom's, so that it orders nothing.
struct Noisy(&'static AtomicUsize);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn counter() -> &'static AtomicUsize {
    Box::leak(Box::new(AtomicUsize::new(0)))
}

/// Drops an edge on a thread that has no token.
pub(crate) fn drop_elsewhere<T: Send + 'static>(edge: Edge<'_, Plain<T>>) -> thread::JoinHandle<()> {
    // SAFETY: only the lifetime is changed, for a thread that is joined before the frame closes.
    let edge: Edge<'static, Plain<T>> = unsafe { mem::transmute(edge) };
    thread::spawn(move || drop(edge))
}

/// Releases that are owed from another thread against those that are settled: the value is dropped once, after the last.
#[test]
fn owed_against_settle() {
    model("objects::owed_against_settle", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let dropped = counter();
        state
            .attach(|cx| {
                let object = cx.alloc_plain(Noisy(dropped)).ok().unwrap();
                let (mine, theirs) = (object.local(cx).to_owned(), object.local(cx).to_owned());
                let thread = drop_elsewhere(theirs.into_edge());
                cx.detach(|| drop(mine));
                cx.settle();
                assert_eq!(dropped.load(Relaxed), 0, "one reference is left");
                object.release(cx);
                cx.detach(|| thread.join().unwrap());
                cx.settle();
                assert_eq!(dropped.load(Relaxed), 1);
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    });
}

/// Two threads owe releases of one object and of another at the same time.
#[test]
fn owed_from_two_threads() {
    model("objects::owed_from_two_threads", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let dropped = counter();
        state
            .attach(|cx| {
                let one = cx.alloc_plain(Noisy(dropped)).ok().unwrap();
                let other = cx.alloc_plain(Noisy(dropped)).ok().unwrap();
                let first = drop_elsewhere(one.local(cx).to_owned().into_edge());
                let second = drop_elsewhere(one.into_edge());
                cx.detach(|| drop(other));
                cx.settle();
                cx.detach(|| {
                    first.join().unwrap();
                    second.join().unwrap();
                });
                cx.settle();
                assert_eq!(dropped.load(Relaxed), 2, "each once");
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    });
}

struct Tally(&'static AtomicUsize);

impl Observer for Tally {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        if matches!(event, Event::InterpreterCreated { .. }) {
            self.0.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}

/// Observers that are added at the same time are all told, and one node is listed once.
#[test]
fn observers_at_once() {
    model("objects::observers_at_once", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (first, second) = (counter(), counter());
        let node = |told| -> &'static ObserverNode {
            Box::leak(Box::new(ObserverNode::new(Box::leak(Box::new(Tally(told))))))
        };
        let (shared, own) = (node(first), node(second));
        let thread = thread::spawn(move || rt.observe(shared));
        let listed = (rt.observe(own), rt.observe(shared));
        drop(own_gil(rt));
        let theirs = thread.join().unwrap();
        assert!(listed.0 && listed.1 != theirs, "a node is listed once");
        assert_eq!(second.load(Relaxed), 1);
        let before = first.load(Relaxed);
        drop(own_gil(rt));
        assert_eq!((first.load(Relaxed), second.load(Relaxed)), (before + 1, 2));
    });
}
