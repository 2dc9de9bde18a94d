//! A model that knows every live block and checks every answer.
#![allow(unsafe_code)]

use core::alloc::Layout;
use std::collections::BTreeMap;

use archipelago_kernel::memory::AllocCause;

use crate::{Filled, Subject};

/// A subject and what it must have live, by address.
pub struct Model<S> {
    subject: S,
    live: BTreeMap<usize, Filled>,
    next_fill: u8,
}

impl<S: Subject> Model<S> {
    /// Nothing is live yet.
    pub fn new(subject: S) -> Self {
        Model { subject, live: BTreeMap::new(), next_fill: 1 }
    }

    /// The subject.
    pub fn subject(&self) -> &S {
        &self.subject
    }

    /// The subject, to be used without serving or taking blocks.
    pub fn subject_mut(&mut self) -> &mut S {
        &mut self.subject
    }

    /// How many blocks are live.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// How many bytes they have together, as asked for.
    pub fn bytes(&self) -> usize {
        self.live.values().map(Filled::size).sum()
    }

    /// Whether nothing is live.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Allocates, checks the answer and fills the block. Returns its address.
    pub fn allocate(&mut self, layout: Layout) -> Result<usize, AllocCause> {
        let answer = self.subject.allocate(layout)?;
        let start = answer.cast::<u8>();
        let address = start.addr().get();
        assert!(answer.len() >= layout.size(), "short: {} for {layout:?}", answer.len());
        assert!(address.is_multiple_of(layout.align()), "misaligned: {address:#x} for {layout:?}");
        if let Some((below, live)) = self.live.range(..address).next_back() {
            assert!(below + live.size() <= address, "overlaps the block below");
        }
        if let Some((above, _)) = self.live.range(address..).next() {
            assert!(address + layout.size() <= *above, "overlaps the block above");
        }
        self.next_fill = self.next_fill.wrapping_add(1);
        // SAFETY: it was returned just now, for this layout.
        self.live.insert(address, unsafe { Filled::new(start, layout, self.next_fill) });
        Ok(address)
    }

    /// Checks the contents of a block and gives it back.
    pub fn deallocate(&mut self, address: usize) {
        let live = self.live.remove(&address).expect("a live block");
        live.check();
        // SAFETY: it was live, was returned for this layout, and left the model just now.
        unsafe { self.subject.deallocate(live.start(), live.layout()) };
    }

    /// Resizes a block in place and checks that what both sizes have in common was kept.
    pub fn resize(&mut self, address: usize, size: usize) -> Result<(), AllocCause> {
        let live = *self.live.get(&address).expect("a live block");
        live.check();
        let new = Layout::from_size_align(size, live.layout().align()).expect("a layout");
        // SAFETY: the block is live and was returned for this layout; the alignment is the same.
        let answer = unsafe { self.subject.resize(live.start(), live.layout(), new) };
        match answer {
            Ok(()) => {
                if let Some((above, _)) = self.live.range(address + 1..).next() {
                    assert!(address + size <= *above, "grew into the block above");
                }
                // SAFETY: it is of this layout now.
                self.live.insert(address, unsafe { live.resized(live.start(), new) });
            }
            Err(_) => live.check(),
        }
        answer
    }

    /// The address of the n-th live block, counted round.
    pub fn nth(&self, n: usize) -> Option<usize> {
        let count = self.live.len();
        self.live.keys().nth(n.checked_rem(count)?).copied()
    }

    /// Moves the allocator's value.
    pub fn relocate(&mut self) {
        self.subject.relocate();
    }

    /// Lets the subject look at itself.
    pub fn inspect(&self) {
        self.subject.inspect(self.live.len());
    }

    /// Checks the contents of every live block, and lets the subject look at itself.
    pub fn check(&self) {
        self.inspect();
        self.live.values().for_each(Filled::check);
    }

    /// Gives every block back, from the lowest address up.
    pub fn clear(&mut self) {
        while let Some(address) = self.nth(0) {
            self.deallocate(address);
        }
    }

    /// Forgets every block without giving it back.
    pub fn abandon(self) -> S {
        self.check();
        self.subject
    }
}
