//! The kernel's own slots for pending calls, in blocks of the raw domain that are taken when first needed (SPEC E2).
//!
//! ```text
//! bit n of `free`   1 nobody's → 0 taken (`take`; whoever finds it up) → 1 (`take_out`, once the call was copied out)
//! `next`, `first`   null → a block (whoever is first; who comes second gives its own back), until the interpreter is cleared
//! ```
//!
//! A bit is admission and slot in one step, and there are as many bits as slots were asked for: so a capacity is exact, and
//! nothing is counted. What a call found full was full, slot by slot, while it looked.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::{
    error::PendingError,
    eval::pending::{Call, PendingNode, QueuedCall},
    host::Host,
    memory::RawDomain,
    sync::{AtomicPtr, AtomicU32, Cell, Ordering},
};

/// Slots of a block.
const MOST: u32 = u32::BITS;

/// Invariant [Q1]: a slot is touched by whoever took its bit until it is pushed, by whoever takes it out of the list until
/// the bit is given back, and by nobody else. Blocks are given back in CLEARING, when nobody is left who adds and the list
/// is empty.
#[repr(C)]
pub(super) struct CallSlot<H: Host> {
    /// First, so that a pointer to the slot is one to its node.
    node: PendingNode,
    call: Cell<Call<H>>,
}

/// Its slots follow it.
#[repr(C)]
struct Block<H: Host> {
    free: AtomicU32,
    len: u32,
    next: AtomicPtr<Block<H>>,
    slots: [CallSlot<H>; 0],
}

impl<H: Host> CallSlot<H> {
    /// Copies the call out and gives the slot back.
    ///
    /// # Safety
    /// [Q1] `slot` was taken out of a list just now; it is the one at `place` of its block.
    pub(super) unsafe fn take_out(slot: *mut Self, place: u32) -> Call<H> {
        // SAFETY: [Q1] the pointer came from `Block::slot`, so it may be used for the whole block.
        unsafe {
            let call = (*slot).call.get();
            let block = &*slot.sub(place as usize).cast::<Block<H>>().sub(1);
            block.free.fetch_or(1 << place, Ordering::Release);
            call
        }
    }
}

impl<H: Host> Block<H> {
    fn layout(len: u32) -> Layout {
        let slots = Layout::array::<CallSlot<H>>(len as usize);
        // At most `MOST` slots are far from an overflow.
        slots
            .and_then(|slots| Layout::new::<Self>().extend(slots))
            .map_or(Layout::new::<Self>(), |both| both.0)
    }

    fn take(raw: RawDomain<'_, H::Raw>, len: u32) -> Result<NonNull<Self>, PendingError> {
        fn nothing<H: Host>(
            _: &mut crate::thread::Attached<'_, H>,
            _: usize,
        ) -> Result<(), super::PendingFailed> {
            Ok(())
        }
        let block = raw.take(Self::layout(len)).map_err(|_| PendingError::NoMemory)?.cast::<Self>();
        let free = u32::MAX >> (MOST - len);
        // SAFETY: the block is fresh, and has room for itself and `len` slots.
        unsafe {
            block.write(Block {
                free: AtomicU32::new(free),
                len,
                next: AtomicPtr::new(ptr::null_mut()),
                slots: [],
            });
            for place in 0..len {
                let call = Cell::new(Call { run: nothing::<H>, argument: 0 });
                Self::slot(block, place).write(CallSlot { node: PendingNode::of_slot(place), call });
            }
        }
        Ok(block)
    }

    /// # Safety
    /// `place` is below the block's `len`.
    unsafe fn slot(block: NonNull<Self>, place: u32) -> *mut CallSlot<H> {
        // SAFETY: the slots follow the block (contract of `layout`).
        unsafe { block.add(1).cast::<CallSlot<H>>().add(place as usize).as_ptr() }
    }

    /// Takes a free slot.
    fn take_slot(&self) -> Option<u32> {
        let mut free = self.free.load(Ordering::Relaxed);
        while free != 0 {
            let bit = free & free.wrapping_neg();
            // Acquire: whoever had the slot before has copied its call out.
            let before = self.free.fetch_and(!bit, Ordering::Acquire);
            if before & bit != 0 {
                return Some(bit.trailing_zeros());
            }
            free = before;
        }
        None
    }

    /// Gives the blocks from this one on back.
    ///
    /// # Safety
    /// [Q1] nobody uses them.
    unsafe fn give_back(mut block: *mut Self, raw: RawDomain<'_, H::Raw>) {
        while let Some(at) = NonNull::new(block) {
            // SAFETY: [Q1] it is unused, and came from the raw domain with this layout.
            unsafe {
                let len = at.as_ref().len;
                block = at.as_ref().next.load(Ordering::Acquire);
                for place in 0..len {
                    Self::slot(at, place).drop_in_place();
                }
                at.drop_in_place();
                raw.deallocate(at.cast(), Self::layout(len));
            }
        }
    }
}

/// Blocks of slots.
pub(crate) struct CallSlots<H: Host> {
    first: AtomicPtr<Block<H>>,
}

impl<H: Host> CallSlots<H> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            CallSlots { first: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// A slot with the call in it, for a list. `more`: a block more, where all of so many slots are taken.
    fn take_or(
        &self,
        call: Call<H>,
        more: impl Fn(u32) -> Result<NonNull<Block<H>>, PendingError>,
        raw: RawDomain<'_, H::Raw>,
    ) -> Result<QueuedCall, PendingError> {
        let (mut link, mut there) = (&self.first, 0);
        loop {
            let Some(block) = NonNull::new(link.load(Ordering::Acquire)) else {
                let fresh = more(there)?.as_ptr();
                let null = ptr::null_mut();
                if link.compare_exchange(null, fresh, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                    // SAFETY: [Q1] nobody else has seen it.
                    unsafe { Block::give_back(fresh, raw) };
                }
                continue;
            };
            // SAFETY: [Q1] listed blocks are alive while somebody adds.
            let at = unsafe { block.as_ref() };
            if let Some(place) = at.take_slot() {
                // SAFETY: [Q1] the slot is this call's, by its bit.
                let slot = unsafe { Block::slot(block, place) };
                // SAFETY: as above.
                unsafe { (*slot).call.set(call) };
                return Ok(QueuedCall(slot.cast()));
            }
            there += at.len;
            link = &at.next;
        }
    }

    /// A slot with the call in it, for a list. `capacity`: how many slots there may be.
    pub(crate) fn take(
        &self,
        call: Call<H>,
        capacity: impl Fn() -> u32,
        raw: RawDomain<'_, H::Raw>,
    ) -> Result<QueuedCall, PendingError> {
        let more = |there| match capacity().saturating_sub(there) {
            0 => Err(PendingError::Full),
            left => Block::take(raw, left.min(MOST)),
        };
        self.take_or(call, more, raw)
    }

    /// As [`take`](Self::take), of those that were set aside; without a look at the raw domain.
    pub(crate) fn take_reserved(
        &self,
        call: Call<H>,
        raw: RawDomain<'_, H::Raw>,
    ) -> Result<QueuedCall, PendingError> {
        self.take_or(call, |_| Err(PendingError::NoSlot), raw)
    }

    /// Sees to it that there are `count` slots. On an error there are as many as before.
    pub(crate) fn reserve(&self, count: u32, raw: RawDomain<'_, H::Raw>) -> Result<(), PendingError> {
        /// Blocks that nobody else knows yet.
        struct Fresh<'a, H: Host>(*mut Block<H>, RawDomain<'a, H::Raw>);
        impl<H: Host> Drop for Fresh<'_, H> {
            fn drop(&mut self) {
                // SAFETY: [Q1] as it says.
                unsafe { Block::give_back(self.0, self.1) }
            }
        }
        loop {
            let (mut link, mut there) = (&self.first, 0_u32);
            // SAFETY: [Q1] listed blocks are alive while somebody adds.
            while let Some(block) = unsafe { link.load(Ordering::Acquire).as_ref() } {
                there = there.saturating_add(block.len);
                link = &block.next;
            }
            let mut left = count.saturating_sub(there);
            if left == 0 {
                return Ok(());
            }
            let mut fresh = Fresh(ptr::null_mut(), raw);
            while left > 0 {
                let len = left.min(MOST);
                let block = Block::take(raw, len)?;
                // SAFETY: it is fresh.
                unsafe { block.as_ref() }.next.store(fresh.0, Ordering::Relaxed);
                fresh.0 = block.as_ptr();
                left -= len;
            }
            let null = ptr::null_mut();
            if link.compare_exchange(null, fresh.0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                core::mem::forget(fresh);
                return Ok(());
            }
            // Another thread was faster, so less may be wanted now.
        }
    }

    /// Gives all blocks back.
    ///
    /// # Safety
    /// [Q1] nobody adds any more, and none of the calls waits in a list.
    pub(crate) unsafe fn give_back(&self, raw: RawDomain<'_, H::Raw>) {
        // SAFETY: passed on.
        unsafe { Block::give_back(self.first.swap(ptr::null_mut(), Ordering::AcqRel), raw) }
    }
}
