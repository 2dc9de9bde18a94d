//! A block: where its parts lie, and how one is taken from the raw domain.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_kernel::host::{Exhausted, RawAlloc};

/// What stands in front of every payload.
pub(crate) struct Header {
    /// The newer neighbour; `None` for the newest.
    pub(crate) prev: Option<Block>,
    /// The older neighbour, or the next free block of a class.
    pub(crate) next: Option<Block>,
    /// As requested.
    pub(crate) layout: Layout,
}

/// A block of the raw domain that begins with a [`Header`], by the pointer that the raw domain returned.
pub(crate) type Block = NonNull<Header>;

/// Size classes are 16 bytes apart.
const STEP: usize = 16;

/// The number of size classes; the largest is 512 bytes.
pub(crate) const CLASSES: usize = 32;

/// What every block is aligned to, so that blocks of one class can stand in for each other.
const ALIGN: usize = 2 * size_of::<usize>();

/// Where the parts of a block lie that serves a layout. It follows from the layout alone.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// What is asked of the raw domain.
    pub(crate) raw: Layout,
    /// From the header to the payload.
    pub(crate) offset: usize,
    /// The size class, for small blocks without unusual alignment.
    pub(crate) class: Option<usize>,
}

impl Plan {
    /// `None` where the block would be larger than the address space allows.
    pub(crate) fn new(layout: Layout) -> Option<Plan> {
        let align = layout.align().max(ALIGN);
        let offset = size_of::<Header>().checked_next_multiple_of(align)?;
        let class = layout.size().saturating_sub(1) / STEP;
        let class = (class < CLASSES && align == ALIGN).then_some(class);
        let size = class.map_or(layout.size(), |class| (class + 1) * STEP);
        let raw = Layout::from_size_align(offset.checked_add(size)?, align).ok()?;
        Some(Plan { raw, offset, class })
    }

    /// The plan for the blocks of a class.
    pub(crate) fn of_class(class: usize) -> Option<Plan> {
        Plan::new(Layout::from_size_align((class + 1) * STEP, ALIGN).ok()?)
    }

    /// A block from the raw domain, its header not yet written.
    pub(crate) fn take(self, raw: &impl RawAlloc) -> Result<Block, Exhausted> {
        let answer = raw.allocate(self.raw)?;
        let start = answer.cast::<Header>();
        let honest = answer.len() >= self.raw.size()
            && start.addr().get().is_multiple_of(self.raw.align())
            && raw.region().is_none_or(|region| {
                region.start <= start.addr().get()
                    && region.end.checked_sub(start.addr().get()).is_some_and(|room| room >= self.raw.size())
            });
        if honest {
            return Ok(start);
        }
        // SAFETY: the raw domain returned it for this layout just now, and nobody else knows it.
        unsafe { raw.deallocate(answer.cast(), self.raw) };
        Err(Exhausted)
    }

    /// Gives a block back to the raw domain.
    ///
    /// # Safety
    /// `block` was taken from `raw` with an equal plan and is used no more.
    pub(crate) unsafe fn give_back(self, raw: &impl RawAlloc, block: Block) {
        // SAFETY: `take` got it from `raw` for this layout; it is live until now.
        unsafe { raw.deallocate(block.cast(), self.raw) }
    }

    /// The payload of a block.
    ///
    /// # Safety
    /// `block` was taken with an equal plan.
    pub(crate) unsafe fn payload(self, block: Block) -> NonNull<u8> {
        // SAFETY: the offset is within the block, whose size includes it.
        unsafe { block.cast::<u8>().add(self.offset) }
    }

    /// The block of a payload.
    ///
    /// # Safety
    /// `payload` is the payload of a block that was taken with an equal plan.
    pub(crate) unsafe fn block(self, payload: NonNull<u8>) -> Block {
        // SAFETY: the inverse of `payload`.
        unsafe { payload.sub(self.offset).cast() }
    }
}
