//! A register of the blocks of several debugged heaps: what a heap does not know, another one may.

#![allow(unsafe_code)]

use core::{cell::UnsafeCell, mem, ptr::NonNull};

use archipelago_kernel::host::RawLock;

use crate::{
    coffin::{Coffin, Known, entry},
    tree::{Links, Tree},
};

/// What the register knows of a block: a copy, for the coffin is its heap's.
#[repr(C)]
pub(crate) struct Entry {
    /// First, so that one is a pointer to the other. Its start is that of the whole block.
    links: Links,
    /// One past the whole block.
    end: usize,
    known: Known,
    is_listed: bool,
}

impl Entry {
    pub(crate) fn new(coffin: &Coffin) -> Self {
        let Links { start, key, .. } = coffin.links;
        let end = start.addr().get() + coffin.grave.whole.size();
        Entry { links: Links::new(start, key), end, known: coffin.known(), is_listed: false }
    }

    fn contains(&self, address: usize) -> bool {
        (self.links.start.addr().get()..self.end).contains(&address)
    }
}

/// The blocks of all heaps that share it, by address.
///
/// Invariant \[W6\]: it leads to entries of coffins whose blocks are live or in a grave, as they are in the tree of their
/// own heap; entries are touched under the register's lock only.
pub struct Blocks(Tree);

// SAFETY: [W6] whoever has the register's lock may go where it leads.
unsafe impl Send for Blocks {}

impl Blocks {
    pub(crate) const fn new() -> Self {
        Blocks(Tree::new())
    }

    /// # Safety
    /// The coffin is whole and not in the register, and stays until it is removed.
    unsafe fn insert(&mut self, coffin: NonNull<Coffin>) {
        // SAFETY: [W6].
        unsafe {
            let at = entry(coffin);
            at.write(Entry::new(coffin.as_ref()));
            let key = (*at).links.key;
            // What lies below may be wrong, and give the same memory to two heaps.
            if self.0.at_or_below(key).as_ref().is_none_or(|links| links.key != key) {
                (*at).is_listed = true;
                self.0.insert(at.cast());
            }
        }
    }

    /// # Safety
    /// The coffin was inserted.
    unsafe fn remove(&mut self, coffin: NonNull<Coffin>) {
        // SAFETY: [W6].
        unsafe {
            let at = entry(coffin);
            if (*at).is_listed {
                self.0.remove(at.cast());
            }
        }
    }

    /// What is known of the block around `address`, the caller's part or what lies on both sides of it.
    fn find(&mut self, address: usize) -> Option<Known> {
        let lower = self.0.at_or_below(address).cast::<Entry>();
        // SAFETY: [W6].
        unsafe {
            let higher = match lower.as_ref() {
                Some(lower) => lower.links.above,
                None => self.0.first(),
            };
            let near = [lower.as_ref(), higher.cast::<Entry>().as_ref()];
            near.into_iter().flatten().find(|entry| entry.contains(address)).map(|entry| entry.known)
        }
    }
}

mod sealed {
    use super::Blocks;

    /// Runs `f` on the blocks, always the same ones and one at a time.
    pub trait With: Sync {
        fn with(&self, f: &mut dyn FnMut(&mut Blocks));
    }
}

pub(crate) use sealed::With;

/// Where heaps that are debugged enter their blocks, so that one of them can tell whose a block is that is none of its
/// own: a [`BlockRegister`], or with `std` a `StdRegister`.
pub trait Register: With {}

impl<T: With> Register for T {}

/// A register behind the lock `L`. Can be a static.
pub struct BlockRegister<L> {
    lock: L,
    blocks: UnsafeCell<Blocks>,
}

// SAFETY: [W6] the blocks are reached through `with` only, which holds the lock.
unsafe impl<L: RawLock> Sync for BlockRegister<L> {}

impl<L: RawLock> BlockRegister<L> {
    /// An empty register.
    pub const fn new(lock: L) -> Self {
        BlockRegister { lock, blocks: UnsafeCell::new(Blocks::new()) }
    }
}

impl<L: RawLock> With for BlockRegister<L> {
    fn with(&self, f: &mut dyn FnMut(&mut Blocks)) {
        // SAFETY: [W6] the lock is held while `f` runs, which is one of those below: they do not come back here and leave
        // none locked.
        unsafe { self.lock.with(|| f(&mut *self.blocks.get())) }
    }
}

/// The register that a block is entered in, if there is one.
#[derive(Clone, Copy)]
pub(crate) struct Registered(pub(crate) Option<&'static dyn Register>);

impl Registered {
    fn with(self, mut f: impl FnMut(&mut Blocks)) {
        if let Some(register) = self.0 {
            register.with(&mut f);
        }
    }

    /// # Safety
    /// As for [`Blocks::insert`].
    pub(crate) unsafe fn insert(self, coffin: NonNull<Coffin>) {
        // SAFETY: passed on.
        self.with(|blocks| unsafe { blocks.insert(coffin) });
    }

    /// # Safety
    /// The coffin was inserted, with this register.
    pub(crate) unsafe fn remove(self, coffin: NonNull<Coffin>) {
        // SAFETY: passed on.
        self.with(|blocks| unsafe { blocks.remove(coffin) });
    }

    /// Enters what became of a block.
    ///
    /// # Safety
    /// As for [`remove`](Self::remove).
    pub(crate) unsafe fn renew(self, coffin: NonNull<Coffin>) {
        self.with(|_| {
            // SAFETY: [W6]; the links are not touched.
            unsafe {
                let Entry { end, known, .. } = Entry::new(coffin.as_ref());
                let at = entry(coffin);
                ((*at).end, (*at).known) = (end, known);
            }
        });
    }

    /// What is known of the block around `address`.
    pub(crate) fn find(self, address: usize) -> Option<Known> {
        let mut found = None;
        self.with(|blocks| found = blocks.find(address));
        found
    }
}

const _: () = assert!(mem::offset_of!(Entry, links) == 0 && mem::offset_of!(Coffin, links) == 0);
