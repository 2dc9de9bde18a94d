//! The basic tier: exclusion, refusal, publication, unwinding.
#![allow(unsafe_code)]

use core::{cell::UnsafeCell, panic::AssertUnwindSafe};
use std::{panic::catch_unwind, sync::mpsc, thread};

use crate::{Basic, rounds};

/// A plain value behind the lock under test.
pub struct Guarded<L, T> {
    /// The lock.
    pub lock: L,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is touched in `with` only, with the lock held.
unsafe impl<L: Basic, T: Send> Sync for Guarded<L, T> {}

impl<L: Basic, T> Guarded<L, T> {
    /// Behind a free lock.
    pub fn new(value: T) -> Self {
        Guarded { lock: L::new(), value: UnsafeCell::new(value) }
    }

    /// Runs `f` on the value and releases the lock, also when `f` panics.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        struct Release<'a, L: Basic>(&'a L, Option<L::Held>);
        impl<L: Basic> Drop for Release<'_, L> {
            fn drop(&mut self) {
                let held = self.1.take().expect("dropped once");
                // SAFETY: `held` comes from `lock` below, on this thread.
                unsafe { self.0.unlock(held) }
            }
        }
        let _release = Release(&self.lock, Some(self.lock.lock()));
        // SAFETY: the lock is held until `_release` drops. If it does not exclude, that is what the test
        // (or Miri) finds.
        f(unsafe { &mut *self.value.get() })
    }
}

/// No addition of four threads is lost.
pub fn excludes_four_threads<L: Basic>() {
    let counter = Guarded::<L, usize>::new(0);
    let each = rounds(20_000);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..each {
                    counter.with(|n| *n += 1);
                }
            });
        }
    });
    assert_eq!(counter.with(|n| *n), 4 * each);
}

/// Who holds it does not get it again.
pub fn refuses_a_second_try<L: Basic>() {
    let lock = L::new();
    let held = lock.try_lock().expect("a new lock is free");
    assert!(lock.try_lock().is_none());
    // SAFETY: acquired above.
    unsafe { lock.unlock(held) };
    let held = lock.lock();
    assert!(lock.try_lock().is_none());
    // SAFETY: acquired above.
    unsafe { lock.unlock(held) };
    let held = lock.try_lock().expect("it was released");
    // SAFETY: acquired above.
    unsafe { lock.unlock(held) };
}

/// Another thread does not get it before it is released.
pub fn refuses_another_threads_try<L: Basic>() {
    let lock = L::new();
    let held = lock.lock();
    thread::scope(|scope| {
        let refused = scope.spawn(|| lock.try_lock().is_none()).join().unwrap();
        assert!(refused);
    });
    // SAFETY: acquired above.
    unsafe { lock.unlock(held) };
    thread::scope(|scope| {
        scope.spawn(|| {
            let held = lock.try_lock().expect("it was released");
            // SAFETY: acquired above.
            unsafe { lock.unlock(held) };
        });
    });
}

/// The next holder sees what the last one wrote, whole.
pub fn publishes_what_was_written<L: Basic>() {
    let last = rounds(1000);
    let message = Guarded::<L, (usize, [usize; 8])>::new((0, [0; 8]));
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=last {
                message.with(|m| *m = (n, [n; 8]));
            }
        });
        scope.spawn(|| {
            let mut seen = 0;
            while seen < last {
                let (n, body) = message.with(|m| *m);
                assert_eq!(body, [n; 8], "whole messages only");
                assert!(n >= seen, "never an older message");
                seen = n;
                thread::yield_now();
            }
        });
    });
}

/// A panic of the holder releases it and spoils nothing.
pub fn survives_an_unwinding_holder<L: Basic>() {
    let value = Guarded::<L, u32>::new(1);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        value.with(|n| {
            *n = 2;
            // Unlike `panic!` this prints nothing.
            std::panic::resume_unwind(Box::new(()));
        });
    }));
    assert!(unwound.is_err());
    let (to_main, answer) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| to_main.send(value.with(|n| *n)).unwrap());
        assert_eq!(answer.recv(), Ok(2));
    });
}

/// Two of them do not get in each other's way.
pub fn nests_with_another<L: Basic>() {
    let (outer, inner) = (Guarded::<L, u32>::new(1), Guarded::<L, u32>::new(2));
    for _ in 0..rounds(100) {
        outer.with(|a| inner.with(|b| core::mem::swap(a, b)));
        thread::scope(|scope| {
            scope.spawn(|| inner.with(|b| *b += 1));
        });
    }
    assert_eq!(outer.with(|a| *a) + inner.with(|b| *b), 3 + rounds(100) as u32);
}

/// It may be moved while it is free.
pub fn works_where_it_was_moved_to<L: Basic>() {
    let pair = [Guarded::<L, u32>::new(1), Guarded::<L, u32>::new(2)];
    assert_eq!(pair[0].with(|n| *n), 1, "used and free again");
    let [first, second] = *Box::new(pair);
    let held = first.lock.lock();
    assert!(first.lock.try_lock().is_none());
    assert_eq!(second.with(|n| *n), 2, "one lock does not hold the other");
    // SAFETY: acquired above.
    unsafe { first.lock.unlock(held) };
    assert_eq!(first.with(|n| *n), 1);
}
