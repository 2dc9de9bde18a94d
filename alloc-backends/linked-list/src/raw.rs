//! `linked_list_allocator` behind a lock of the host.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    cell::UnsafeCell,
    mem::MaybeUninit,
    ops::Range,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

use archipelago_kernel::host::{Exhausted, RawAlloc, RawLock};
use linked_list_allocator::Heap;

use crate::InitError;

/// Blocks begin and end at multiples of what the allocator keeps in a hole: a size and a pointer. Otherwise it
/// passes over a hole in which that much would not be left over, however large the hole is.
const UNIT: usize = 2 * size_of::<usize>();

/// A raw domain out of one region of memory.
pub struct LinkedListRaw<L> {
    lock: L,
    heap: UnsafeCell<Heap>,
    /// The region, for readers without the lock; `bottom` is 0 before there is one and is written last.
    bottom: AtomicUsize,
    top: AtomicUsize,
}

// SAFETY: `heap` is reached through `with` only, which holds the lock; `L` and `Heap` are `Send`.
unsafe impl<L: RawLock> Sync for LinkedListRaw<L> {}

impl<L: RawLock> LinkedListRaw<L> {
    /// An allocator without memory: every request is answered with [`Exhausted`].
    pub const fn new(lock: L) -> Self {
        LinkedListRaw {
            lock,
            heap: UnsafeCell::new(Heap::empty()),
            bottom: AtomicUsize::new(0),
            top: AtomicUsize::new(0),
        }
    }

    /// Gives the allocator its memory.
    pub fn init(&self, region: &'static mut [MaybeUninit<u8>]) -> Result<(), InitError> {
        let (start, len) = (NonNull::from(&mut *region).cast(), region.len());
        // SAFETY: the region is borrowed for ever and nobody else can reach it.
        unsafe { self.init_at(start, len) }
    }

    /// Gives the allocator its memory, by address: what a linker script left free, for instance.
    ///
    /// # Safety
    /// The `len` bytes at `start` are valid for reads and writes through `start` and used by nothing else, as
    /// long as this allocator is used.
    pub unsafe fn init_at(&self, start: NonNull<u8>, len: usize) -> Result<(), InitError> {
        let skipped = start.align_offset(UNIT);
        let usable = len.saturating_sub(skipped) / UNIT * UNIT;
        if usable == 0 {
            return Err(InitError::TooSmall);
        }
        self.with(|heap| {
            if !heap.bottom().is_null() {
                return Err(InitError::AlreadyInitialized);
            }
            // SAFETY: the heap is empty, the memory is its own (contract of `init_at`), and what remains of it
            // has room for a hole.
            unsafe { heap.init(start.as_ptr().add(skipped), usable) };
            self.top.store(heap.top().addr(), Ordering::Relaxed);
            self.bottom.store(heap.bottom().addr(), Ordering::Release);
            Ok(())
        })
    }

    /// Bytes in live blocks, rounding included.
    pub fn used(&self) -> usize {
        self.with(|heap| heap.used())
    }

    /// Bytes in holes. One block may not get them all: they may lie apart.
    pub fn free(&self) -> usize {
        self.with(|heap| heap.free())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Heap) -> T) -> T {
        // SAFETY: the lock is held while `f` runs, which is ours, does not come back here and leaves none locked. The
        // allocator panics where it finds a wrong block.
        unsafe { self.lock.with(|| f(&mut *self.heap.get())) }
    }
}

/// `layout` with the size that a block of it has.
fn rounded(layout: Layout) -> Option<Layout> {
    let size = layout.size().max(1).checked_next_multiple_of(UNIT)?;
    Layout::from_size_align(size, layout.align()).ok()
}

// SAFETY: the allocator below serves live blocks that do not overlap, out of a region that does not move and
// that it has for itself (contract of `init_at`); moving this value moves the head of its list of holes, to
// which no hole points. Every access holds the lock.
unsafe impl<L: RawLock> RawAlloc for LinkedListRaw<L> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        let asked = rounded(layout).ok_or(Exhausted)?;
        self.with(|heap| {
            // Where no multiple of the alignment lies above the region the address below would wrap to 0.
            heap.top().addr().checked_next_multiple_of(asked.align()).ok_or(Exhausted)?;
            heap.allocate_first_fit(asked).map_err(|()| Exhausted)
        })
        .map(|start| NonNull::slice_from_raw_parts(start, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if let Some(served) = rounded(layout) {
            // SAFETY: `block` is live and was served for the same rounded layout, as `resize` changes a block
            // to layouts that are rounded alike only.
            self.with(|heap| unsafe { heap.deallocate(block, served) });
        }
    }

    unsafe fn resize(&self, _: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        if rounded(old) == rounded(new) { Ok(()) } else { Err(Exhausted) }
    }

    fn region(&self) -> Option<Range<usize>> {
        match self.bottom.load(Ordering::Acquire) {
            0 => None,
            bottom => Some(bottom..self.top.load(Ordering::Relaxed)),
        }
    }
}
