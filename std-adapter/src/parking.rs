//! Where threads sleep: queues by the address of what is waited for, in order of arrival.
//!
//! A table of our own, for two things that `parking_lot_core`'s does not do. A thread keeps its place in the queue while it
//! is awake for a moment, to ask for what it waits for; and nothing here is out of this crate's reach after a fork.

use core::sync::atomic::{AtomicBool, Ordering};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, Thread},
    time::Instant,
};

/// A power of two: ten thousand waiters at as many addresses leave about forty to a bucket.
const BUCKETS: usize = 256;

/// A line of the processor's cache each: a neighbour's lock is no business of this one's.
#[repr(align(64))]
struct Bucket(Mutex<VecDeque<(usize, Arc<Sleeper>)>>);

static TABLE: [Bucket; BUCKETS] = [const { Bucket(Mutex::new(VecDeque::new())) }; BUCKETS];

thread_local! {
    static ME: Arc<Sleeper> = Arc::new(Sleeper::new());
}

/// A thread that stands in a queue, or did. It waits for one thing at a time.
pub(crate) struct Sleeper {
    /// It was taken out of the queue, which is all that whoever did it had to say. Set under the queue's lock.
    served: AtomicBool,
    thread: Thread,
}

impl Sleeper {
    fn new() -> Self {
        Sleeper { served: AtomicBool::new(false), thread: thread::current() }
    }

    /// This thread. While its thread-locals go it has none, and makes one.
    pub(crate) fn me() -> Arc<Self> {
        ME.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Sleeper::new()))
    }

    /// Whether it was served. What was written before it was is visible then.
    pub(crate) fn is_served(&self) -> bool {
        self.served.load(Ordering::Acquire)
    }

    /// Ends its sleep, now or the next. Without the queue's lock, which it may want at once.
    pub(crate) fn wake(&self) {
        self.thread.unpark();
    }

    /// Sleeps until somebody wakes this thread, or until `until`. It may wake for nothing.
    pub(crate) fn sleep(until: Option<Instant>) {
        match until {
            None => thread::park(),
            Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
        }
    }
}

/// The queue at one address, locked.
pub(crate) struct Queue(usize, MutexGuard<'static, VecDeque<(usize, Arc<Sleeper>)>>);

impl Queue {
    pub(crate) fn lock(key: usize) -> Self {
        // Addresses differ in their middle bits; the product's upper ones depend on all of them.
        let mixed = (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bucket = &TABLE[(mixed >> (64 - BUCKETS.trailing_zeros())) as usize];
        // Whoever panicked here was asking whether to wait, and left the queue as it was.
        Queue(key, bucket.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// To the end of the queue.
    pub(crate) fn enter(&mut self, sleeper: &Arc<Sleeper>) {
        sleeper.served.store(false, Ordering::Relaxed);
        self.1.push_back((self.0, Arc::clone(sleeper)));
    }

    /// Out of the queue, from wherever it stands.
    pub(crate) fn leave(&mut self, sleeper: &Arc<Sleeper>) {
        if let Some(place) = self.1.iter().position(|(_, other)| Arc::ptr_eq(other, sleeper)) {
            self.1.remove(place);
        }
    }

    /// Whoever has stood here longest.
    pub(crate) fn first(&self) -> Option<Arc<Sleeper>> {
        self.1.iter().find(|(key, _)| *key == self.0).map(|(_, sleeper)| Arc::clone(sleeper))
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.1.iter().any(|(key, _)| *key == self.0)
    }

    /// Takes whoever has stood here longest out and serves it. The caller wakes it after the queue.
    pub(crate) fn serve(&mut self) -> Option<Arc<Sleeper>> {
        let place = self.1.iter().position(|(key, _)| *key == self.0)?;
        let (_, sleeper) = self.1.remove(place)?;
        sleeper.served.store(true, Ordering::Release);
        Some(sleeper)
    }
}
