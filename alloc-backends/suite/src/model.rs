//! A model that knows every live block and checks every answer.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};
use std::collections::BTreeMap;

use archipelago_kernel::memory::AllocCause;

use crate::Subject;

/// A live block, filled with one byte.
#[derive(Clone, Copy)]
struct Live {
    start: NonNull<u8>,
    layout: Layout,
    fill: u8,
}

/// A subject and what it must have live, by address.
pub struct Model<S> {
    subject: S,
    live: BTreeMap<usize, Live>,
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
        self.live.values().map(|live| live.layout.size()).sum()
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
            assert!(below + live.layout.size() <= address, "overlaps the block below");
        }
        if let Some((above, _)) = self.live.range(address..).next() {
            assert!(address + layout.size() <= *above, "overlaps the block above");
        }
        self.next_fill = self.next_fill.wrapping_add(1);
        let live = Live { start, layout, fill: self.next_fill };
        fill(live, 0);
        self.live.insert(address, live);
        Ok(address)
    }

    /// Checks the contents of a block and gives it back.
    pub fn deallocate(&mut self, address: usize) {
        let live = self.live.remove(&address).expect("a live block");
        check(live, live.layout.size());
        // SAFETY: it was live, was returned for this layout, and left the model just now.
        unsafe { self.subject.deallocate(live.start, live.layout) };
    }

    /// Resizes a block in place and checks that what both sizes have in common was kept.
    pub fn resize(&mut self, address: usize, size: usize) -> Result<(), AllocCause> {
        let live = *self.live.get(&address).expect("a live block");
        check(live, live.layout.size());
        let new = Layout::from_size_align(size, live.layout.align()).expect("a layout");
        // SAFETY: the block is live and was returned for this layout; the alignment is the same.
        let answer = unsafe { self.subject.resize(live.start, live.layout, new) };
        let kept = live.layout.size().min(size);
        match answer {
            Ok(()) => {
                if let Some((above, _)) = self.live.range(address + 1..).next() {
                    assert!(address + size <= *above, "grew into the block above");
                }
                let resized = Live { layout: new, ..live };
                check(resized, kept);
                fill(resized, kept);
                self.live.insert(address, resized);
            }
            Err(_) => check(live, live.layout.size()),
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
        self.live.values().for_each(|live| check(*live, live.layout.size()));
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

fn fill(live: Live, from: usize) {
    // SAFETY: the block is live, at least `layout.size()` bytes long, and nothing refers to it.
    unsafe { live.start.add(from).write_bytes(live.fill, live.layout.size() - from) };
}

fn check(live: Live, len: usize) {
    // SAFETY: the first `len` bytes were filled, and nothing writes to them while the slice lives.
    let bytes = unsafe { core::slice::from_raw_parts(live.start.as_ptr(), len) };
    // Compared in whole chunks, which Miri does natively.
    let chunk = [live.fill; 256];
    assert!(bytes.chunks(256).all(|part| part == &chunk[..part.len()]), "the contents changed");
}
