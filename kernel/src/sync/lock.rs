//! A short lock around data, with the lock order asserted in debug builds.
#![allow(unsafe_code)]

use core::marker::PhantomData;

use crate::host::{CurrentSlot, RawLock, run_held};

#[cfg(not(archipelago_loom))]
use core::cell::UnsafeCell;
#[cfg(archipelago_loom)]
use loom::cell::UnsafeCell;

/// The runtime's lock and what it protects.
///
/// Lock order (SPEC R8, docs/soundness/locks.md): a GIL, then this lock, then whatever a backend locks
/// inside. So no GIL is taken, no memory is allocated and nothing of the host but `Wake::wake` and comparisons of
/// its clock is called under it.
///
/// In debug builds the word in the slot of a thread inside the lock is odd, which is how the order is asserted: the
/// slot is the one thing that tells threads apart for sure.
pub(crate) struct Lock<L: RawLock, T> {
    raw: L,
    data: UnsafeCell<T>,
}

// SAFETY: the raw lock admits one thread at a time to `data` (contract of `RawLock`), so `T: Send` is enough.
unsafe impl<L: RawLock, T: Send> Sync for Lock<L, T> {}

impl<L: RawLock, T> Lock<L, T> {
    const_unless_loom! {
        pub(crate) const fn new(raw: L, data: T) -> Self {
            Lock { raw, data: UnsafeCell::new(data) }
        }
    }

    /// Runs `f` on the data. `S` is the host's slot.
    pub(crate) fn with<S: CurrentSlot, R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        assert_outside::<S>();
        let held = self.raw.lock();
        self.run::<S, R>(held, f)
    }

    /// As [`with`](Self::with), or `None` where the lock is not free: for interrupt handlers.
    pub(crate) fn try_with<S: CurrentSlot, R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let held = self.raw.try_lock()?;
        Some(self.run::<S, R>(held, f))
    }

    fn run<S: CurrentSlot, R>(&self, held: L::Held, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: `held` comes from the acquisition in `with` or `try_with` on this thread, and `f` is the kernel's: it takes
        // no short lock but backends', which release theirs. While the lock is held this is the only access.
        unsafe {
            run_held(&self.raw, held, || {
                let _inside = Inside::<S>::enter();
                self.access(f)
            })
        }
    }

    #[cfg(not(archipelago_loom))]
    unsafe fn access<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the caller holds the lock.
        f(unsafe { &mut *self.data.get() })
    }

    #[cfg(archipelago_loom)]
    unsafe fn access<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the caller holds the lock; loom checks it.
        self.data.with_mut(|data| f(unsafe { &mut *data }))
    }

    /// For the owner of the lock, who needs no locking.
    #[cfg(not(archipelago_loom))]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    /// For the owner of the lock, who needs no locking.
    #[cfg(archipelago_loom)]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` excludes every other access.
        self.data.with_mut(|data| unsafe { &mut *data })
    }
}

/// A thread is inside a lock. Dropping it leaves.
struct Inside<S: CurrentSlot> {
    #[cfg(debug_assertions)]
    before: *const (),
    slot: PhantomData<*const S>,
}

#[cfg(debug_assertions)]
impl<S: CurrentSlot> Inside<S> {
    fn enter() -> Self {
        let before = S::get();
        // SAFETY: the kernel writes its own slot; whoever reads it meanwhile does so through `slot_word`.
        unsafe { S::set(before.map_addr(|word| word | 1)) };
        Inside { before, slot: PhantomData }
    }
}

#[cfg(debug_assertions)]
impl<S: CurrentSlot> Drop for Inside<S> {
    fn drop(&mut self) {
        // SAFETY: as in `enter`; no frame is opened inside the lock, so this is the word of before.
        unsafe { S::set(self.before) };
    }
}

#[cfg(not(debug_assertions))]
impl<S: CurrentSlot> Inside<S> {
    fn enter() -> Self {
        Inside { slot: PhantomData }
    }
}

/// A thread inside the lock must not take it again, nor a GIL.
#[inline]
pub(crate) fn assert_outside<S: CurrentSlot>() {
    debug_assert!(
        S::get().addr() & 1 == 0,
        "lock order: a GIL or the runtime's lock was asked for inside the runtime's lock"
    );
}

/// The word of this thread, also inside the lock.
#[inline]
pub(crate) fn slot_word<S: CurrentSlot>() -> *const () {
    let word = S::get();
    if cfg!(debug_assertions) { word.map_addr(|word| word & !1) } else { word }
}
