//! What the tiers are instantiated for.
#![allow(unsafe_code)]

use archipelago_kernel::host::{RawGil, RawLock};

/// What the basic tier needs; the two raw traits are alike but different.
///
/// # Safety
/// As for [`RawLock`].
pub unsafe trait Basic: Send + Sync + 'static {
    /// What the release needs.
    type Held;
    /// A free one.
    fn new() -> Self;
    /// Waits until it is held.
    fn lock(&self) -> Self::Held;
    /// Takes it if it is free.
    fn try_lock(&self) -> Option<Self::Held>;
    /// Releases it.
    ///
    /// # Safety
    /// As for [`RawLock::unlock`].
    unsafe fn unlock(&self, held: Self::Held);
}

/// A lock for the basic tier.
pub struct AsLock<L>(pub L);
/// A GIL for the basic tier.
pub struct AsGil<G>(pub G);

macro_rules! basic {
    ($wrapper:ident, $raw:ident) => {
        // SAFETY: forwards to a type with the same contract.
        unsafe impl<T: $raw> Basic for $wrapper<T> {
            type Held = T::Held;

            fn new() -> Self {
                $wrapper(T::new())
            }

            fn lock(&self) -> T::Held {
                self.0.lock()
            }

            fn try_lock(&self) -> Option<T::Held> {
                self.0.try_lock()
            }

            unsafe fn unlock(&self, held: T::Held) {
                // SAFETY: passed on from the caller.
                unsafe { self.0.unlock(held) }
            }
        }
    };
}

basic!(AsLock, RawLock);
basic!(AsGil, RawGil);
