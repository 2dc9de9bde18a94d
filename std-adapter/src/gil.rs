//! The GIL of this host: a lock that is handed over directly and waited for asleep, in order of arrival.
#![allow(unsafe_code)]

use core::{
    hint::spin_loop,
    ptr,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use std::{sync::Arc, time::Instant};

use archipelago_kernel::host::{RawGil, RawGilFair, RawGilTimed};

use crate::parking::{Queue, Sleeper};

/// A thread holds it.
const LOCKED: u8 = 0b001;
/// Whoever is first in the queue sleeps, or is about to: a release has to wake it. Set beside `LOCKED` by whoever goes to
/// sleep, and by whoever leaves others behind in the queue; cleared under the queue's lock, before the first one is woken.
const SLEEPS: u8 = 0b010;
/// The queue is not empty. Changed under the queue's lock only.
const QUEUED: u8 = 0b100;

/// Rounds of spinning before a thread sleeps, each twice as long as the one before: some microseconds in all.
const ROUNDS: u32 = 6;

/// A parking lock for GILs: one byte, and a queue elsewhere while somebody waits.
///
/// | | `LOCKED` | the queue |
/// |---|---|---|
/// | release | goes down; then, if `SLEEPS` was up, the first is woken, keeps its place and competes | as it was |
/// | hand-over | stays up | the first leaves it, and has the lock |
/// | a thread in the queue finds the lock free | it takes it up | it leaves |
///
/// A GIL is held for milliseconds. A mutex that gives its time slice away several times before it parks a thread waits as
/// many slices of other processes: who should have asked after 5 ms asks after 30. So this lock spins for a moment, and
/// then sleeps. And who wakes to ask for the GIL stays in the queue, else nobody could say how long anybody waits.
#[derive(Debug)]
pub struct ParkingGil(AtomicU8);

impl ParkingGil {
    /// A free one.
    pub const fn new() -> Self {
        ParkingGil(AtomicU8::new(0))
    }

    fn queue(&self) -> Queue {
        Queue::lock(ptr::from_ref(self).addr())
    }

    #[inline]
    fn take(&self) -> bool {
        self.0.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes it if it is free, also past threads that wait.
    #[cold]
    fn overtake(&self) -> bool {
        let free = |state| (state & LOCKED == 0).then_some(state | LOCKED);
        self.0.try_update(Ordering::Acquire, Ordering::Relaxed, free).is_ok()
    }

    /// Takes it if it is free; else sets `mark` beside `LOCKED`, so that the release finds it. Whether it was taken.
    fn take_or_mark(&self, mark: u8) -> bool {
        let next = |state| Some(if state & LOCKED == 0 { state | LOCKED } else { state | mark });
        let found = self.0.try_update(Ordering::Acquire, Ordering::Relaxed, next);
        found.is_ok_and(|state| state & LOCKED == 0)
    }

    /// Tries for some microseconds to take it. Not where somebody sleeps already, for longer then.
    fn spin(&self) -> bool {
        for round in 1..=ROUNDS {
            let state = self.0.load(Ordering::Relaxed);
            if state & LOCKED == 0 {
                if self.overtake() {
                    return true;
                }
            } else if state & SLEEPS != 0 {
                return false;
            }
            (0..1 << round).for_each(|_| spin_loop());
        }
        false
    }

    /// Waits until the lock is held. `next` says before the first sleep, and whenever what it said has passed, how long to
    /// wait until it is called again, or gives up: whether it is held.
    #[cold]
    fn wait(&self, next: &mut dyn FnMut() -> Option<Duration>) -> bool {
        // An instant that cannot be told is never reached.
        let after = |patience| Instant::now().checked_add(patience);
        if self.spin() {
            return true;
        }
        let Some(mut until) = next().map(after) else { return self.overtake() };
        // Somebody who was asked may let go at once.
        if self.spin() {
            return true;
        }
        let me = Sleeper::me();
        let mut queue = self.queue();
        if self.take_or_mark(QUEUED) {
            return true;
        }
        queue.enter(&me);
        drop(queue);
        loop {
            if me.is_served() {
                return true;
            }
            if self.take_or_mark(SLEEPS) {
                self.leave(&me);
                return true;
            }
            Sleeper::sleep(until);
            if !me.is_served() && self.spin() {
                self.leave(&me);
                return true;
            }
            if until.is_some_and(|until| Instant::now() >= until) && !me.is_served() {
                match next() {
                    Some(patience) => until = after(patience),
                    None => return self.give_up(&me),
                }
            }
        }
    }

    /// Out of the queue, with the lock.
    fn leave(&self, me: &Arc<Sleeper>) {
        let mut queue = self.queue();
        queue.leave(me);
        self.look_after(&queue);
    }

    /// What the bits say of the queue, for those who are left in it. The lock is held.
    fn look_after(&self, queue: &Queue) {
        if queue.is_empty() {
            self.0.fetch_and(!(QUEUED | SLEEPS), Ordering::Relaxed);
        } else {
            self.0.fetch_or(SLEEPS, Ordering::Relaxed);
        }
    }

    /// Out of the queue without the lock, or with it: whether it was handed over meanwhile.
    fn give_up(&self, me: &Arc<Sleeper>) -> bool {
        let mut queue = self.queue();
        if me.is_served() {
            return true;
        }
        queue.leave(me);
        let Some(first) = queue.first() else {
            self.0.fetch_and(!(QUEUED | SLEEPS), Ordering::Relaxed);
            return false;
        };
        // If the lock is free, it may have been this thread that was woken for it.
        let free = self.0.fetch_or(SLEEPS, Ordering::Relaxed) & LOCKED == 0;
        drop(queue);
        if free {
            first.wake();
        }
        false
    }

    /// Wakes the first in the queue after a release. Another one may have the lock meanwhile.
    #[cold]
    fn wake(&self) {
        let queue = self.queue();
        // Before it wakes: whoever sleeps again marks it again.
        self.0.fetch_and(!SLEEPS, Ordering::Relaxed);
        let first = queue.first();
        drop(queue);
        if let Some(first) = first {
            first.wake();
        }
    }

    /// Gives the lock, which stays locked, to the thread that waits longest; or releases it.
    #[cold]
    fn pass_on(&self) {
        let mut queue = self.queue();
        let Some(next) = queue.serve() else {
            self.0.fetch_and(!(LOCKED | QUEUED | SLEEPS), Ordering::Release);
            return;
        };
        self.look_after(&queue);
        drop(queue);
        next.wake();
    }
}

impl Default for ParkingGil {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: `LOCKED` goes from 0 to 1 by one compare-and-swap with acquire, or stays 1 while it is handed from the
// holder to one thread, which leaves the queue for it and is told once, with release and acquire. It goes to 0 by its
// holder only, with release; the other bits say who to wake, and nobody holds the lock by them. A free lock that nobody
// waits for is a plain byte, so it may be moved.
unsafe impl RawGil for ParkingGil {
    type Held = ();

    fn new() -> Self {
        Self::new()
    }

    #[inline]
    fn lock(&self) {
        if !self.take() {
            self.wait(&mut || Some(Duration::MAX));
        }
    }

    #[inline]
    fn try_lock(&self) -> Option<()> {
        (self.take() || self.overtake()).then_some(())
    }

    #[inline]
    unsafe fn unlock(&self, (): ()) {
        if self.0.fetch_sub(LOCKED, Ordering::Release) & SLEEPS != 0 {
            self.wake();
        }
    }
}

// SAFETY: `wait` answers true only with the lock held, and false only where `next` gave up.
unsafe impl RawGilTimed for ParkingGil {
    fn lock_for(&self, patience: Duration) -> Option<()> {
        let mut patience = Some(patience);
        (self.take() || self.wait(&mut || patience.take())).then_some(())
    }

    fn lock_asking(&self, next: &mut dyn FnMut() -> Duration) {
        if !self.take() {
            self.wait(&mut || Some(next()));
        }
    }
}

// SAFETY: where a thread stands in the queue it gets the lock, which nobody else can take meanwhile, for it stays locked.
unsafe impl RawGilFair for ParkingGil {
    unsafe fn unlock_fair(&self, (): ()) {
        if self.0.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.pass_on();
        }
    }
}
