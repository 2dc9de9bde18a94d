//! Freed blocks that wait before they are used again, the oldest first.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use archipelago_kernel::memory::{AllocCause, Asker};

use crate::Below;

/// In front of a block: how it goes back.
pub(crate) struct Grave {
    next: *mut Grave,
    /// The layout of the whole block.
    pub(crate) whole: Layout,
    pub(crate) asker: Option<Asker>,
}

impl Grave {
    pub(crate) fn new(whole: Layout, asker: Option<Asker>) -> Self {
        Grave { next: ptr::null_mut(), whole, asker }
    }
}

/// Invariant \[W2\]: the list leads to blocks that were taken from below with their `whole` layout, are not used, and did
/// not go back.
pub(crate) struct Graves {
    first: *mut Grave,
    last: *mut Grave,
    bytes: usize,
    count: usize,
}

impl Graves {
    pub(crate) const fn new() -> Self {
        Graves { first: ptr::null_mut(), last: ptr::null_mut(), bytes: 0, count: 0 }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// # Safety
    /// `grave` lies in a block that was taken from below for its `whole` layout and is used no more.
    pub(crate) unsafe fn push(&mut self, grave: NonNull<Grave>) {
        // SAFETY: [W2].
        unsafe {
            (*grave.as_ptr()).next = ptr::null_mut();
            match self.last.as_mut() {
                Some(last) => last.next = grave.as_ptr(),
                None => self.first = grave.as_ptr(),
            }
            self.bytes += grave.as_ref().whole.size();
        }
        self.last = grave.as_ptr();
        self.count += 1;
    }

    /// The oldest, if there is one.
    pub(crate) fn pop(&mut self) -> Option<NonNull<Grave>> {
        let grave = NonNull::new(self.first)?;
        // SAFETY: [W2].
        unsafe {
            self.first = grave.as_ref().next;
            self.bytes -= grave.as_ref().whole.size();
        }
        if self.first.is_null() {
            self.last = ptr::null_mut();
        }
        self.count -= 1;
        Some(grave)
    }

    /// The oldest, if there are more than so many bytes.
    pub(crate) fn beyond(&mut self, keep: usize) -> Option<NonNull<Grave>> {
        if self.bytes > keep { self.pop() } else { None }
    }
}

/// Gives the block around a grave back.
///
/// # Safety
/// The grave was taken out of the list of graves, and `start` is where its block begins; `below` is where that came from.
pub(crate) unsafe fn give_back(below: &mut impl Below, grave: NonNull<Grave>, start: NonNull<u8>) {
    // SAFETY: [W2].
    unsafe {
        let Grave { whole, asker, .. } = grave.read();
        below.deallocate(start, whole, asker);
    }
}

/// Asks below, and once more after `make_room` gave something back.
pub(crate) fn insist<B: Below>(
    below: &mut B,
    layout: Layout,
    asker: Option<Asker>,
    make_room: impl FnOnce(&mut B) -> bool,
) -> Result<NonNull<u8>, AllocCause> {
    match below.allocate(layout, asker) {
        Err(AllocCause::Exhausted) if make_room(below) => below.allocate(layout, asker),
        answer => answer,
    }
}
