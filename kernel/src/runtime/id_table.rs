//! Interpreters by number: chains in a table that doubles. Numbers are given out in order, so their low bits
//! spread them evenly.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::interpreter::InterpreterHead;

type Bucket = *const InterpreterHead;

const FIRST: usize = 8;

pub(crate) struct IdTable {
    /// In use until the first growth, so that a small runtime takes no memory for it.
    first: [Bucket; FIRST],
    grown: Option<(NonNull<Bucket>, usize)>,
}

impl IdTable {
    pub(crate) const fn new() -> Self {
        IdTable { first: [ptr::null(); FIRST], grown: None }
    }

    fn buckets(&mut self) -> &mut [Bucket] {
        match self.grown {
            // SAFETY: `grow` was given that many initialized buckets, which nobody else uses.
            Some((start, len)) => unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) },
            None => &mut self.first,
        }
    }

    fn len(&self) -> usize {
        self.grown.map_or(FIRST, |(_, len)| len)
    }

    /// Whether another interpreter may be inserted beside `count`.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        count < self.len() * 2
    }

    /// What the next larger table takes.
    pub(crate) fn next_layout(&self) -> Option<(Layout, usize)> {
        let len = self.len().checked_mul(4)?;
        Some((Layout::array::<Bucket>(len).ok()?, len))
    }

    /// Moves to a table of `len` buckets at `start`, and answers the old one if it was allocated.
    ///
    /// # Safety
    /// `start` is memory for `len` buckets that nobody else uses; `len` is a power of two.
    pub(crate) unsafe fn grow(
        &mut self,
        start: NonNull<Bucket>,
        len: usize,
    ) -> Option<(NonNull<u8>, Layout)> {
        for n in 0..len {
            // SAFETY: passed on from the caller.
            unsafe { start.add(n).write(ptr::null()) };
        }
        let mut old = IdTable { first: self.first, grown: self.grown };
        self.grown = Some((start, len));
        for bucket in old.buckets() {
            let mut at = *bucket;
            // SAFETY: listed heads are slots of this runtime.
            while let Some(head) = unsafe { at.as_ref() } {
                let next = head.chain.get();
                self.insert(at);
                at = next;
            }
        }
        old.take()
    }

    /// Forgets the table; the memory, if it was allocated.
    pub(crate) fn take(&mut self) -> Option<(NonNull<u8>, Layout)> {
        self.first = [ptr::null(); FIRST];
        let (start, len) = self.grown.take()?;
        Some((start.cast(), Layout::array::<Bucket>(len).ok()?))
    }

    pub(crate) fn insert(&mut self, slot: Bucket) {
        // SAFETY: the slot belongs to this runtime and is type-stable.
        let head = unsafe { &*slot };
        let bucket = self.bucket(head.id.get().number);
        head.chain.set(*bucket);
        *bucket = slot;
    }

    pub(crate) fn remove(&mut self, head: &InterpreterHead) {
        let bucket = self.bucket(head.id.get().number);
        if ptr::eq(*bucket, head) {
            *bucket = head.chain.get();
            return;
        }
        let mut at = *bucket;
        // SAFETY: listed heads are slots of this runtime.
        while let Some(before) = unsafe { at.as_ref() } {
            if ptr::eq(before.chain.get(), head) {
                before.chain.set(head.chain.get());
                return;
            }
            at = before.chain.get();
        }
    }

    pub(crate) fn find(&self, number: u64) -> Bucket {
        let index = self.index(number);
        let mut at = match self.grown {
            // SAFETY: as in `buckets`; the index is below the length.
            Some((start, _)) => unsafe { start.add(index).read() },
            None => self.first[index],
        };
        // SAFETY: listed heads are slots of this runtime.
        while let Some(head) = unsafe { at.as_ref() } {
            if head.id.get().number == number {
                return at;
            }
            at = head.chain.get();
        }
        ptr::null()
    }

    fn index(&self, number: u64) -> usize {
        // The length is a power of two, so the low bits are enough.
        number as usize & (self.len() - 1)
    }

    fn bucket(&mut self, number: u64) -> &mut Bucket {
        let index = self.index(number);
        &mut self.buckets()[index]
    }
}
