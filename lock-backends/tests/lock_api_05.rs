//! The suite on `lock_api` 0.5, with the mutexes of `parking_lot` 0.13 and one whose guard state is checked.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU32, Ordering};

use archipelago_kernel::host::{RawGil, RawLock};
use archipelago_lock_suite::{AsGil, AsLock, tier};
use archipelago_locks::FromLockApi05;

tier!(stateful_as_lock: AsLock<FromLockApi05<Stateful>>; basic);
tier!(stateful_as_lock_elsewhere: AsLock<FromLockApi05<Stateful>>; other_thread);
tier!(stateful_as_gil: AsGil<FromLockApi05<Stateful>>; basic);
tier!(stateful_as_gil_elsewhere: AsGil<FromLockApi05<Stateful>>; other_thread);

// `parking_lot` 0.13 waits with a system call that Miri does not know on 32 bits.
#[cfg(not(all(miri, target_pointer_width = "32")))]
mod parking_lot {
    use super::{AsGil, AsLock, FromLockApi05, RawGil, tier};
    use parking_lot_013::{RawFairMutex, RawMutex};

    tier!(as_lock: AsLock<FromLockApi05<RawMutex>>; basic);
    tier!(as_lock_elsewhere: AsLock<FromLockApi05<RawMutex>>; other_thread);
    tier!(as_gil: AsGil<FromLockApi05<RawMutex>>; basic);
    tier!(as_gil_elsewhere: AsGil<FromLockApi05<RawMutex>>; other_thread);
    tier!(timed: FromLockApi05<RawMutex>; timed);
    tier!(fair: FromLockApi05<RawMutex>; fair);
    tier!(fair_mutex_as_gil: AsGil<FromLockApi05<RawFairMutex>>; basic);

    static STATIC: FromLockApi05<RawMutex> = FromLockApi05::new_const();

    #[test]
    fn a_static_is_free() {
        assert!(STATIC.try_lock().is_some());
    }
}

/// A spin lock that numbers its acquisitions: the release must bring the number of its own.
pub struct Stateful {
    /// Even when free; the number of the holder when odd.
    turn: AtomicU32,
}

// SAFETY: one compare-and-swap makes an even number odd, with acquire; `unlock` makes it even, with release.
unsafe impl lock_api_05::RawMutex for Stateful {
    const INIT: Self = Stateful { turn: AtomicU32::new(0) };
    type Guard = u32;

    fn lock(&self) -> u32 {
        loop {
            if let Some(turn) = self.try_lock() {
                return turn;
            }
            std::thread::yield_now();
        }
    }

    fn try_lock(&self) -> Option<u32> {
        let free = self.turn.load(Ordering::Relaxed) & !1;
        let taken = self.turn.compare_exchange(free, free + 1, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then_some(free + 1)
    }

    unsafe fn unlock(&self, turn: u32) {
        assert_eq!(self.turn.load(Ordering::Relaxed), turn, "the state of another acquisition");
        self.turn.store(turn + 1, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.turn.load(Ordering::Relaxed) & 1 == 1
    }
}

#[test]
fn the_guard_state_is_what_held_carries() {
    let lock = <FromLockApi05<Stateful> as RawLock>::new();
    for expected in [1, 3, 5] {
        let held = RawLock::lock(&lock);
        assert_eq!(held, expected);
        // SAFETY: acquired above.
        unsafe { RawLock::unlock(&lock, held) };
    }
}
