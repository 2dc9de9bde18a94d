//! Lock, waits, time and the slot. Who waits sleeps in Shuttle's eyes too, so that a wake-up that is lost is found.
#![allow(unsafe_code)]

use core::{
    cell::Cell,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::sync::Arc;

use archipelago_kernel::host::{Clock, CurrentSlot, Park, RawLock};
use shuttle::{
    sync::{Condvar, Mutex},
    thread,
};

/// A lock: who gets it is Shuttle's choice.
#[derive(Default)]
pub struct ShuttleLock {
    held: Mutex<bool>,
    free: Condvar,
}

// SAFETY: the flag is up from an acquisition until the holder's release, under the mutex.
unsafe impl RawLock for ShuttleLock {
    type Held = ();

    fn new() -> Self {
        Self::default()
    }

    fn lock(&self) {
        let mut held = self.free.wait_while(self.held.lock().unwrap(), |held| *held).unwrap();
        *held = true;
    }

    fn try_lock(&self) -> Option<()> {
        let mut held = self.held.lock().unwrap();
        (!core::mem::replace(&mut *held, true)).then_some(())
    }

    unsafe fn unlock(&self, (): ()) {
        *self.held.lock().unwrap() = false;
        self.free.notify_one();
    }
}

/// Time that passes only where somebody waits with a limit.
#[derive(Clone, Default)]
pub struct ShuttleClock(Arc<AtomicU64>);

impl Clock for ShuttleClock {
    type Instant = u64;
    const MAX: Duration = Duration::from_secs(3600);

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, at: u64, by: Duration) -> Option<u64> {
        (by <= Self::MAX).then(|| at + by.as_micros() as u64)
    }

    fn reached(&self, now: u64, at: u64) -> bool {
        at <= now
    }

    fn between(&self, earlier: u64, later: u64) -> Duration {
        Duration::from_micros(later.saturating_sub(earlier))
    }
}

/// One list for all keys. A wait with a limit runs out after one yield.
#[derive(Default)]
pub struct ShuttlePark {
    list: Mutex<()>,
    changed: Condvar,
    pub(crate) clock: ShuttleClock,
}

impl Park for ShuttlePark {
    fn park(&self, _: usize, blocked: &dyn Fn() -> bool, timeout: Option<Duration>) {
        if let Some(timeout) = timeout {
            if blocked() {
                thread::yield_now();
                self.clock.0.fetch_add(timeout.as_micros() as u64, Ordering::Relaxed);
            }
            return;
        }
        drop(self.changed.wait_while(self.list.lock().unwrap(), |()| blocked()).unwrap());
    }

    fn unpark(&self, _: usize) {
        drop(self.list.lock().unwrap());
        self.changed.notify_all();
    }
}

shuttle::thread_local! {
    static CURRENT: Cell<*const ()> = Cell::new(ptr::null());
}

/// The slot for the current thread state: a thread-local of the modelled thread.
pub struct ShuttleSlot;

// SAFETY: one cell per modelled thread, null at first, private to this module.
unsafe impl CurrentSlot for ShuttleSlot {
    fn get() -> *const () {
        CURRENT.with(Cell::get)
    }

    unsafe fn set(word: *const ()) {
        CURRENT.with(|current| current.set(word));
    }
}

/// A number per modelled thread.
pub(crate) fn thread_id() -> usize {
    CURRENT.with(|current| ptr::from_ref(current).addr())
}
