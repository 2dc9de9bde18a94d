//! One heap for interpreters that have GILs of their own: PEP 684's third strategy (SPEC M3).
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use crate::{
    host::{Heap, HeapState, RawAlloc},
    memory::{AllocCause, Asker, RawDomain},
};

/// A heap that several threads may use at the same time, from the moment it is told so. An interpreter that uses main's
/// heap may then have a GIL of its own (SPEC C3).
///
/// The kernel uses every heap of such a type through these methods. Before [`share`](Self::share) one GIL orders all of
/// them, so a heap needs no lock until then.
///
/// # Safety
/// As for [`Heap`], and:
/// * Calls that keep the order below are sound, whichever threads make them.
/// * Once [`is_shared`](Self::is_shared) has answered `true` on a thread, what that thread does next comes after the
///   call of `share` and all that came before it.
/// * `Heap::SHARING` is [`Sharing::of`], and [`sweep`](Heap::sweep) makes the heap as new in this too.
///
/// # The order
/// Until `share` is called, the calls come one after the other, `share` last: each happens after the one before.
/// Afterwards calls may come from any thread at any time, each of them after `share`. Calls of `Heap` are ordered with
/// all others, always.
pub unsafe trait SharedHeap<R: RawAlloc>: Heap<R> + Sync {
    /// From now on several threads use it at the same time. It does not unwind, and may be told more than once.
    ///
    /// # Safety
    /// The order that the trait describes is kept.
    unsafe fn share(&self);

    /// Whether it was told so. May be asked from any thread at any time.
    fn is_shared(&self) -> bool;

    /// As [`Heap::allocate_at_hand`].
    ///
    /// # Safety
    /// The order that the trait describes is kept.
    unsafe fn take_at_hand(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// As [`Heap::allocate_for`].
    ///
    /// # Errors
    /// Why there is no block.
    ///
    /// # Safety
    /// The order that the trait describes is kept.
    unsafe fn take(
        &self,
        raw: RawDomain<'_, R>,
        layout: Layout,
        asker: Asker,
    ) -> Result<NonNull<[u8]>, AllocCause>;

    /// As [`Heap::deallocate_at_hand`].
    ///
    /// # Safety
    /// As there, and the order that the trait describes is kept.
    unsafe fn give_at_hand(&self, block: NonNull<u8>, layout: Layout) -> bool;

    /// As [`Heap::vouches_for`].
    ///
    /// # Safety
    /// The order that the trait describes is kept.
    #[inline]
    unsafe fn vouch(&self, address: usize, layout: Layout, asker: Asker) -> bool {
        let _ = (address, layout, asker);
        true
    }

    /// As [`Heap::deallocate_for`].
    ///
    /// # Safety
    /// As there, and the order that the trait describes is kept.
    unsafe fn give(&self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout, asker: Asker);

    /// As [`Heap::resize`].
    ///
    /// # Errors
    /// Why not; the block is as it was.
    ///
    /// # Safety
    /// As there, and the order that the trait describes is kept.
    unsafe fn fit(
        &self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause>;

    /// As [`Heap::trim`].
    ///
    /// # Safety
    /// As there, and the order that the trait describes is kept.
    unsafe fn shed(&self, raw: RawDomain<'_, R>);

    /// As [`Heap::inspect`].
    ///
    /// # Safety
    /// The order that the trait describes is kept.
    unsafe fn look(&self) -> HeapState;
}

type Take<T, R> = unsafe fn(&T, RawDomain<'_, R>, Layout, Asker) -> Result<NonNull<[u8]>, AllocCause>;
type Give<T, R> = unsafe fn(&T, RawDomain<'_, R>, NonNull<u8>, Layout, Asker);
type Vouch<T> = unsafe fn(&T, usize, Layout, Asker) -> bool;
type Fit<T, R> = unsafe fn(&T, RawDomain<'_, R>, NonNull<u8>, Layout, Layout) -> Result<(), AllocCause>;

/// The methods of a [`SharedHeap`], as a heap type names them in [`Heap::SHARING`]. It is a constant, so that every
/// call is direct, and a type that cannot be shared pays nothing.
pub struct Sharing<T, R> {
    pub(crate) share: unsafe fn(&T),
    pub(crate) is_shared: fn(&T) -> bool,
    pub(crate) take_at_hand: unsafe fn(&T, Layout) -> Option<NonNull<u8>>,
    pub(crate) give_at_hand: unsafe fn(&T, NonNull<u8>, Layout) -> bool,
    pub(crate) take: Take<T, R>,
    pub(crate) vouch: Vouch<T>,
    pub(crate) give: Give<T, R>,
    pub(crate) fit: Fit<T, R>,
    pub(crate) shed: unsafe fn(&T, RawDomain<'_, R>),
    pub(crate) look: unsafe fn(&T) -> HeapState,
}

impl<T: SharedHeap<R>, R: RawAlloc> Sharing<T, R> {
    /// The methods of `T`.
    pub const fn of() -> Self {
        Sharing {
            share: T::share,
            is_shared: T::is_shared,
            take_at_hand: T::take_at_hand,
            give_at_hand: T::give_at_hand,
            take: T::take,
            vouch: T::vouch,
            give: T::give,
            fit: T::fit,
            shed: T::shed,
            look: T::look,
        }
    }
}
