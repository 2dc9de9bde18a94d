//! One pool: blocks of one size, and the indices of those that are free.

#![allow(unsafe_code)]

use core::{alloc::Layout, cell::UnsafeCell, mem::MaybeUninit, ptr::NonNull};

use heapless::Vec;

use crate::{A16, Alignment};

/// How much of a pool is used.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUsage {
    /// The size of its blocks.
    pub block: usize,
    /// How many it has.
    pub blocks: usize,
    /// How many are live.
    pub live: usize,
    /// How many were ever live at a time.
    pub peak: usize,
}

/// `COUNT` blocks of `BLOCK` bytes. Part of a [`PoolRaw`](crate::PoolRaw), whose lock protects it.
///
/// Invariant \[F1\]: `indices` names, each once, the blocks below `begun` that are not live; the others below `begun` are live.
pub struct Pool<const BLOCK: usize, const COUNT: usize, A: Alignment = A16> {
    books: UnsafeCell<Books<COUNT>>,
    blocks: UnsafeCell<Blocks<BLOCK, COUNT, A>>,
}

struct Books<const COUNT: usize> {
    /// Free blocks that were used before.
    indices: Vec<u16, COUNT>,
    /// How many were ever used: so a new pool is all zeros, and costs no room in an image.
    begun: usize,
    peak: usize,
}

#[repr(C)]
struct Blocks<const BLOCK: usize, const COUNT: usize, A> {
    _aligned: [A; 0],
    bytes: MaybeUninit<[[u8; BLOCK]; COUNT]>,
}

impl<const BLOCK: usize, const COUNT: usize, A: Alignment> Pool<BLOCK, COUNT, A> {
    const IS_POSSIBLE: () = {
        assert!(BLOCK > 0 && COUNT > 0, "a pool has blocks, and they have bytes");
        assert!(COUNT <= 1 << 16, "a block is named by 16 bits");
        assert!(isize::MAX as usize / BLOCK >= COUNT, "the pool fits the address space");
    };

    /// What every block is aligned to.
    pub(crate) const ALIGN: usize = {
        let by_size = 1 << BLOCK.trailing_zeros();
        if by_size < align_of::<A>() { by_size } else { align_of::<A>() }
    };

    pub(crate) const fn new() -> Self {
        const { Self::IS_POSSIBLE };
        Pool {
            books: UnsafeCell::new(Books { indices: Vec::new(), begun: 0, peak: 0 }),
            blocks: UnsafeCell::new(Blocks { _aligned: [], bytes: MaybeUninit::uninit() }),
        }
    }

    fn start(&self) -> NonNull<u8> {
        // Through the cell, so that blocks stay valid whatever references to the pool come and go.
        NonNull::from(&self.blocks).cast()
    }

    /// Which block begins at `address`.
    fn index_of(&self, address: usize) -> Option<u16> {
        let offset = address.checked_sub(self.start().addr().get())?;
        let index = offset / BLOCK;
        if index < COUNT && offset.is_multiple_of(BLOCK) { u16::try_from(index).ok() } else { None }
    }

    /// A free block, if these blocks serve `layout` and there is one.
    ///
    /// # Safety
    /// The lock of the pools is held.
    pub(crate) unsafe fn take(&self, layout: Layout) -> Option<NonNull<[u8]>> {
        if layout.size() > BLOCK || layout.align() > Self::ALIGN {
            return None;
        }
        // SAFETY: [F2] the lock is held, and no other reference to the books is alive.
        let books = unsafe { &mut *self.books.get() };
        let index = match books.indices.pop() {
            Some(index) => usize::from(index),
            None if books.begun < COUNT => {
                books.begun += 1;
                books.begun - 1
            }
            None => return None,
        };
        books.peak = books.peak.max(books.begun - books.indices.len());
        // SAFETY: [F1] the index is below `COUNT`, so the block lies in the pool.
        let block = unsafe { self.start().add(index * BLOCK) };
        Some(NonNull::slice_from_raw_parts(block, BLOCK))
    }

    /// Takes a block back, if it is one of these.
    ///
    /// # Safety
    /// The lock of the pools is held; a block of this pool that begins at `block` is live.
    pub(crate) unsafe fn put(&self, block: NonNull<u8>) -> bool {
        let Some(index) = self.index_of(block.addr().get()) else { return false };
        // SAFETY: [F2].
        let books = unsafe { &mut *self.books.get() };
        // [F1] there is room: fewer than `COUNT` are free while this one is live.
        let _ = books.indices.push(index);
        true
    }

    /// Whether `block` is one of these, and then whether it has room for `size` bytes.
    pub(crate) fn has_room(&self, block: NonNull<u8>, size: usize) -> Option<bool> {
        self.index_of(block.addr().get()).map(|_| size <= BLOCK)
    }

    /// # Safety
    /// The lock of the pools is held.
    pub(crate) unsafe fn usage(&self) -> PoolUsage {
        // SAFETY: [F2].
        let books = unsafe { &*self.books.get() };
        PoolUsage { block: BLOCK, blocks: COUNT, live: books.begun - books.indices.len(), peak: books.peak }
    }
}
