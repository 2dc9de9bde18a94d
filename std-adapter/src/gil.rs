//! The GIL of this host: a lock that is handed over directly and waited for asleep.
#![allow(unsafe_code)]

use core::{
    hint::spin_loop,
    ptr,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use std::time::Instant;

use archipelago_kernel::host::{RawGil, RawGilFair, RawGilTimed};
use parking_lot_core::{DEFAULT_PARK_TOKEN, ParkResult, UnparkResult, UnparkToken};

/// A thread holds it.
const LOCKED: u8 = 0b01;
/// Threads are parked, or about to be. Set beside `LOCKED` only, and cleared under the queue's lock only, so that
/// nobody sleeps unseen.
const PARKED: u8 = 0b10;

/// The unparked thread tries again.
const RETRY: UnparkToken = UnparkToken(0);
/// The unparked thread holds the lock already.
const YOURS: UnparkToken = UnparkToken(1);

/// Rounds of spinning before a thread is parked, each twice as long as the one before: some microseconds in all.
const ROUNDS: u32 = 6;

/// A parking lock for GILs. Its protocol is that of `parking_lot`'s mutex; what differs is how it is waited for.
///
/// A GIL is held for milliseconds. `parking_lot` gives its time slice away seven times before it parks a thread,
/// and where other processes want the processor each of these takes as long as a slice of theirs: a waiter that
/// should have asked after 5 ms asks after 30. So this lock spins for a moment, and then sleeps.
#[derive(Debug)]
pub struct ParkingGil(AtomicU8);

impl ParkingGil {
    /// A free one.
    pub const fn new() -> Self {
        ParkingGil(AtomicU8::new(0))
    }

    fn key(&self) -> usize {
        ptr::from_ref(self).addr()
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

    /// Waits until the lock is held, or until `until`: whether it is held.
    #[cold]
    fn wait(&self, until: Option<Instant>) -> bool {
        let (mut state, mut round) = (self.0.load(Ordering::Relaxed), 0);
        loop {
            let next = if state & LOCKED == 0 { state | LOCKED } else { state | PARKED };
            if state & LOCKED != 0 && state & PARKED == 0 && round < ROUNDS {
                round += 1;
                (0..1 << round).for_each(|_| spin_loop());
                state = self.0.load(Ordering::Relaxed);
                continue;
            }
            if next != state
                && let Err(now) =
                    self.0.compare_exchange_weak(state, next, Ordering::Acquire, Ordering::Relaxed)
            {
                state = now;
                continue;
            }
            if state & LOCKED == 0 {
                return true;
            }
            match self.park(until) {
                ParkResult::Unparked(YOURS) => return true,
                ParkResult::TimedOut => return false,
                ParkResult::Unparked(_) | ParkResult::Invalid => {}
            }
            round = 0;
            state = self.0.load(Ordering::Relaxed);
        }
    }

    fn park(&self, until: Option<Instant>) -> ParkResult {
        let blocked = || self.0.load(Ordering::Relaxed) == LOCKED | PARKED;
        let gave_up = |_, was_last| {
            if was_last {
                self.0.fetch_and(!PARKED, Ordering::Relaxed);
            }
        };
        // SAFETY: nobody else parks at the address of this lock; the callbacks touch an atomic only, so none of
        // them parks, unparks or panics.
        unsafe { parking_lot_core::park(self.key(), blocked, || {}, gave_up, DEFAULT_PARK_TOKEN, until) }
    }

    /// Wakes one thread after a release. Another one may have the lock meanwhile.
    #[cold]
    fn wake(&self) {
        let tell = |result: UnparkResult| {
            if !result.have_more_threads {
                self.0.fetch_and(!PARKED, Ordering::Relaxed);
            }
            RETRY
        };
        // SAFETY: as in `park`.
        unsafe { parking_lot_core::unpark_one(self.key(), tell) };
    }

    /// Gives the lock, which stays locked, to the thread that waits longest; or releases it.
    #[cold]
    fn pass_on(&self) {
        let tell = |result: UnparkResult| {
            let parked = if result.have_more_threads { PARKED } else { 0 };
            if result.unparked_threads == 0 {
                self.0.store(parked, Ordering::Release);
                return RETRY;
            }
            // The queue's lock orders what was written before with the thread that wakes.
            self.0.store(LOCKED | parked, Ordering::Relaxed);
            YOURS
        };
        // SAFETY: as in `park`.
        unsafe { parking_lot_core::unpark_one(self.key(), tell) };
    }
}

impl Default for ParkingGil {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: `LOCKED` goes from 0 to 1 by one compare-and-swap with acquire, or stays 1 while it is handed from the
// holder to one thread under the queue's lock. It goes to 0 by its holder only, with release. A free lock that
// nobody waits for is a plain byte, so it may be moved.
unsafe impl RawGil for ParkingGil {
    type Held = ();

    fn new() -> Self {
        Self::new()
    }

    #[inline]
    fn lock(&self) {
        if !self.take() {
            self.wait(None);
        }
    }

    #[inline]
    fn try_lock(&self) -> Option<()> {
        (self.take() || self.overtake()).then_some(())
    }

    #[inline]
    unsafe fn unlock(&self, (): ()) {
        if self.0.fetch_sub(LOCKED, Ordering::Release) & PARKED != 0 {
            self.wake();
        }
    }
}

// SAFETY: `wait` answers true only with the lock held.
unsafe impl RawGilTimed for ParkingGil {
    fn lock_for(&self, patience: Duration) -> Option<()> {
        // An instant that cannot be told is never reached.
        let until = || Instant::now().checked_add(patience);
        (self.take() || self.wait(until())).then_some(())
    }
}

// SAFETY: where a thread is parked it gets the lock, which nobody else can take meanwhile, for it stays locked.
unsafe impl RawGilFair for ParkingGil {
    unsafe fn unlock_fair(&self, (): ()) {
        if self.0.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.pass_on();
        }
    }
}
