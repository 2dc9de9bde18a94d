//! Several pools as one.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use heapless::Vec;

use crate::{Alignment, Pool, PoolUsage};

/// How many pools there can be in one set.
pub const MOST_POOLS: usize = 8;

/// Pools by the size of their blocks, the smallest first: a [`Pool`], or a tuple of up to eight.
///
/// What stands behind it is the crate's own.
pub trait Pools: sealed::Set {}

impl<T: sealed::Set> Pools for T {}

pub(crate) mod sealed {
    use super::{Layout, MOST_POOLS, NonNull, PoolUsage, Vec};

    /// What [`PoolRaw`](crate::PoolRaw) does with its pools.
    pub trait Set: Send + 'static {
        /// Fails to compile where the sizes do not ascend.
        const NEW: Self;

        /// # Safety
        /// The lock of the pools is held.
        unsafe fn take(&self, layout: Layout) -> Option<NonNull<[u8]>>;

        /// # Safety
        /// The lock of the pools is held; `block` was taken here and is live.
        unsafe fn put(&self, block: NonNull<u8>);

        /// Whether the block that begins there has room for so much.
        fn has_room(&self, block: NonNull<u8>, size: usize) -> bool;

        /// # Safety
        /// The lock of the pools is held.
        unsafe fn usage(&self) -> Vec<PoolUsage, MOST_POOLS>;
    }
}

/// Pairs of letters for each pool of a tuple: its size, its count, its alignment and its place.
macro_rules! sets {
    ($(($($size:ident $count:ident $align:ident $place:tt),+))+) => { $(
        impl<$(const $size: usize, const $count: usize, $align: Alignment),+> sealed::Set
            for ($(Pool<$size, $count, $align>,)+)
        {
            const NEW: Self = {
                let (sizes, mut n) = ([$($size),+], 1);
                while n < sizes.len() {
                    assert!(sizes[n - 1] <= sizes[n], "the pool with the smallest blocks comes first");
                    n += 1;
                }
                ($(Pool::<$size, $count, $align>::new(),)+)
            };

            unsafe fn take(&self, layout: Layout) -> Option<NonNull<[u8]>> {
                // SAFETY: passed on.
                unsafe { None$(.or_else(|| self.$place.take(layout)))+ }
            }

            unsafe fn put(&self, block: NonNull<u8>) {
                // SAFETY: passed on; a pool that the block is not of leaves it alone.
                unsafe {
                    let _ = false $(|| self.$place.put(block))+;
                }
            }

            fn has_room(&self, block: NonNull<u8>, size: usize) -> bool {
                None$(.or_else(|| self.$place.has_room(block, size)))+.unwrap_or(false)
            }

            unsafe fn usage(&self) -> Vec<PoolUsage, MOST_POOLS> {
                let mut usage = Vec::new();
                // SAFETY: passed on.
                unsafe {
                    // There is room: a tuple has eight at most.
                    $(let _ = usage.push(self.$place.usage());)+
                }
                usage
            }
        }
    )+ };
}

sets! {
    (S0 C0 A0 0)
    (S0 C0 A0 0, S1 C1 A1 1)
    (S0 C0 A0 0, S1 C1 A1 1, S2 C2 A2 2)
    (S0 C0 A0 0, S1 C1 A1 1, S2 C2 A2 2, S3 C3 A3 3)
    (S0 C0 A0 0, S1 C1 A1 1, S2 C2 A2 2, S3 C3 A3 3, S4 C4 A4 4)
    (S0 C0 A0 0, S1 C1 A1 1, S2 C2 A2 2, S3 C3 A3 3, S4 C4 A4 4, S5 C5 A5 5)
    (S0 C0 A0 0, S1 C1 A1 1, S2 C2 A2 2, S3 C3 A3 3, S4 C4 A4 4, S5 C5 A5 5, S6 C6 A6 6)
    (S0 C0 A0 0, S1 C1 A1 1, S2 C2 A2 2, S3 C3 A3 3, S4 C4 A4 4, S5 C5 A5 5, S6 C6 A6 6, S7 C7 A7 7)
}
