//! `Debug`: fill bytes, guards, serial numbers and owners around every block.
//!
//! ```text
//! whole block from below      block                 end
//! | Coffin | 0xFD .. 0xFD     | 0xCD, then its data | 16 * 0xFD |
//! ```
//!
//! A block that is given back is filled with 0xDD and kept for a while: a write to it, or a second free, is seen as long as
//! it is there. Which addresses are blocks is looked up in a tree, so nothing is read through a wrong pointer.

#![allow(unsafe_code)]

use core::{alloc::Layout, marker::PhantomData, mem, ptr::NonNull};

use archipelago_kernel::{
    host::HeapState,
    memory::{AllocCause, Asker},
};

use crate::{
    Below, Hook, Misuse, MisuseKind, Site,
    graves::{Grave, Graves, give_back, insist},
    tree::{Links, Tree},
};

/// What a fresh block is filled with.
const FRESH: u8 = 0xcd;
/// What a block is filled with that was given back.
const DEAD: u8 = 0xdd;
/// What lies on both sides of a block.
const GUARD: u8 = 0xfd;
/// How much of it lies there at least.
const GUARD_BYTES: usize = 16;

/// What the host tells the debug wrapper, and what it is told.
pub trait Watch: Send + 'static {
    /// Something is wrong. Where it returns, a wrong free is left out, and everything else goes on. It must not use
    /// the heap or raw domain.
    fn report(misuse: &Misuse);

    /// Where the program is.
    fn site() -> Site {
        Site::UNKNOWN
    }

    /// Whether this thread may use memory for `asker`: whether it is attached to the interpreter, where the host can tell
    /// (`thread::current`).
    fn may_use(asker: Asker) -> bool {
        let _ = asker;
        true
    }
}

/// In front of a block.
#[repr(C)]
struct Coffin {
    /// First, so that one is a pointer to the other.
    links: Links,
    grave: Grave,
    layout: Layout,
    serial: u64,
    allocated: Site,
    freed: Option<Site>,
}

/// Puts guards and fill bytes around blocks, and keeps up to `KEEP` bytes of those that were given back.
pub struct Debugging<W, const KEEP: usize = 65536> {
    blocks: Tree,
    graves: Graves,
    serial: u64,
    _watch: PhantomData<fn() -> W>,
}

// SAFETY: [W2], [W3] what tree and list lead to belongs to this value.
unsafe impl<W, const KEEP: usize> Send for Debugging<W, KEEP> {}

/// The layout of the whole block, and where the caller's part lies in it.
fn plan(layout: Layout) -> Result<(Layout, usize), AllocCause> {
    let front = Layout::new::<(Coffin, [u8; GUARD_BYTES])>();
    let (whole, offset) = front.extend(layout).map_err(|_| AllocCause::TooLarge)?;
    let guard = Layout::new::<[u8; GUARD_BYTES]>();
    let (whole, _) = whole.extend(guard).map_err(|_| AllocCause::TooLarge)?;
    Ok((whole, offset))
}

impl<W: Watch, const KEEP: usize> Debugging<W, KEEP> {
    /// Nothing is live.
    pub const fn new() -> Self {
        Debugging { blocks: Tree::new(), graves: Graves::new(), serial: 0, _watch: PhantomData }
    }

    /// Looks at the guards of all live blocks and at the fill of all that were given back, and reports what was written to.
    pub fn check(&mut self) {
        let mut at = self.blocks.first().cast::<Coffin>();
        // SAFETY: [W3].
        unsafe {
            while let Some(coffin) = at.as_ref() {
                Self::check_guards(coffin);
                if coffin.freed.is_some() {
                    Self::check_dead(coffin);
                }
                at = coffin.links.above.cast();
            }
        }
    }

    fn report(kind: MisuseKind, address: usize, coffin: Option<&Coffin>) {
        W::report(&Misuse {
            kind,
            address,
            size: coffin.map_or(0, |coffin| coffin.layout.size()),
            serial: coffin.map(|coffin| coffin.serial),
            owner: coffin.and_then(|coffin| coffin.grave.asker),
            allocated: coffin.map_or(Site::UNKNOWN, |coffin| coffin.allocated),
            freed: coffin.and_then(|coffin| coffin.freed),
            found: W::site(),
        });
    }

    /// Whether this thread may use the heap at all.
    fn check_thread(asker: Option<Asker>, address: usize, coffin: Option<&Coffin>) {
        if asker.is_some_and(|asker| !W::may_use(asker)) {
            Self::report(MisuseKind::NotAttached, address, coffin);
        }
    }

    /// The bytes of a whole block, from one offset to another.
    ///
    /// # Safety
    /// \[W3\]; nothing writes to these bytes while the answer is used; they are initialized.
    unsafe fn bytes(coffin: &Coffin, from: usize, to: usize) -> &[u8] {
        // The block's own pointer: that of the reference reaches the header only.
        let start = coffin.links.start.as_ptr();
        // SAFETY: the offsets lie in the whole block (the callers' are from its plan).
        unsafe { core::slice::from_raw_parts(start.add(from), to - from) }
    }

    /// # Safety
    /// \[W3\].
    unsafe fn check_guards(coffin: &Coffin) {
        let Ok((whole, offset)) = plan(coffin.layout) else { return };
        let end = offset + coffin.layout.size();
        // SAFETY: passed on; the guards were written when the block was taken.
        unsafe {
            let front = Self::bytes(coffin, size_of::<Coffin>(), offset);
            if let Some(place) = front.iter().rposition(|byte| *byte != GUARD) {
                let bytes = front.len() - place;
                Self::report(MisuseKind::Underflow { bytes }, coffin.links.key, Some(coffin));
            }
            let rear = Self::bytes(coffin, end, whole.size());
            if let Some(place) = rear.iter().position(|byte| *byte != GUARD) {
                let bytes = place + 1;
                Self::report(MisuseKind::Overflow { bytes }, coffin.links.key, Some(coffin));
            }
        }
    }

    /// # Safety
    /// \[W3\]; the block was given back.
    unsafe fn check_dead(coffin: &Coffin) {
        let Ok((_, offset)) = plan(coffin.layout) else { return };
        // SAFETY: passed on; the block was filled when it was given back.
        unsafe {
            let block = Self::bytes(coffin, offset, offset + coffin.layout.size());
            if let Some(offset) = block.iter().position(|byte| *byte != DEAD) {
                Self::report(MisuseKind::UseAfterFree { offset }, coffin.links.key, Some(coffin));
            }
        }
    }

    /// Gives back the block of a grave that was taken out of the list.
    ///
    /// # Safety
    /// \[W2\]; `below` is the one of every other call.
    unsafe fn bury(&mut self, below: &mut impl Below, grave: NonNull<Grave>) {
        // SAFETY: every grave of this list is part of a coffin.
        unsafe {
            let coffin = grave.byte_sub(mem::offset_of!(Coffin, grave)).cast::<Coffin>();
            Self::check_guards(coffin.as_ref());
            Self::check_dead(coffin.as_ref());
            self.blocks.remove(coffin.as_ptr().cast());
            let start = coffin.as_ref().links.start;
            give_back(below, grave, start);
        }
    }

    /// The live block at `address`. Otherwise it is reported what is wrong.
    fn live(&mut self, address: usize) -> Option<NonNull<Coffin>> {
        let nearest = self.blocks.at_or_below(address).cast::<Coffin>();
        // SAFETY: [W3].
        let coffin = unsafe { nearest.as_ref() };
        match coffin {
            Some(coffin) if coffin.links.key == address && coffin.freed.is_none() => {
                return NonNull::new(nearest);
            }
            Some(coffin) if coffin.links.key == address => {
                Self::report(MisuseKind::DoubleFree, address, Some(coffin));
            }
            Some(coffin) if address - coffin.links.key < coffin.layout.size() => {
                Self::report(MisuseKind::InsideBlock, address, Some(coffin));
            }
            _ => Self::report(MisuseKind::ForeignBlock, address, None),
        }
        None
    }

    /// Reports a block that the new one overlaps.
    fn check_overlap(&mut self, start: usize, key: usize, end: usize) -> bool {
        let lower = self.blocks.at_or_below(key).cast::<Coffin>();
        // SAFETY: [W3].
        let coffins = unsafe {
            let higher = match lower.as_ref() {
                Some(lower) => lower.links.above.cast::<Coffin>(),
                None => self.blocks.first().cast(),
            };
            [lower.as_ref(), higher.as_ref()]
        };
        let overlapped = coffins.into_iter().flatten().find(|coffin| {
            let first = coffin.links.start.addr().get();
            first < end && start < first + coffin.grave.whole.size()
        });
        if let Some(coffin) = overlapped {
            Self::report(MisuseKind::Overlap, coffin.links.key, Some(coffin));
        }
        overlapped.is_some()
    }
}

impl<W: Watch, const KEEP: usize> Default for Debugging<W, KEEP> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a block lies between the guards of one from below, which goes back when it left tree and graves. What is no
// live block is given to nobody.
unsafe impl<W: Watch, const KEEP: usize> Hook for Debugging<W, KEEP> {
    fn allocate(
        &mut self,
        below: &mut impl Below,
        layout: Layout,
        asker: Option<Asker>,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        let (whole, offset) = plan(layout)?;
        let start = insist(below, whole, asker, |below| {
            let any = self.graves.count() > 0;
            // SAFETY: every call gets this one.
            unsafe { self.trim(below) };
            any
        })?;
        let first = start.addr().get();
        if self.check_overlap(first, first + offset, first + whole.size()) {
            // Whose it is cannot be known any more: nobody uses it.
            return Err(AllocCause::Exhausted);
        }
        // SAFETY: the block is fresh, aligned for a coffin and as large as planned; its address is in no block of the tree.
        unsafe {
            let block = start.add(offset);
            start.write_bytes(GUARD, whole.size());
            block.write_bytes(FRESH, layout.size());
            let coffin = start.cast::<Coffin>();
            coffin.write(Coffin {
                links: Links::new(start, block.addr().get()),
                grave: Grave::new(whole, asker),
                layout,
                serial: self.serial,
                allocated: W::site(),
                freed: None,
            });
            self.serial += 1;
            self.blocks.insert(coffin.as_ptr().cast());
            Self::check_thread(asker, block.addr().get(), Some(coffin.as_ref()));
            Ok(NonNull::slice_from_raw_parts(block, layout.size()))
        }
    }

    unsafe fn deallocate(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        layout: Layout,
        asker: Option<Asker>,
    ) {
        let address = block.addr().get();
        let Some(mut found) = self.live(address) else { return };
        // SAFETY: [W3]; the reference is dropped before the block goes back.
        unsafe {
            let coffin = found.as_ref();
            Self::check_thread(asker, address, Some(coffin));
            Self::check_guards(coffin);
            if coffin.layout != layout {
                let kind = MisuseKind::WrongLayout { size: layout.size(), align: layout.align() };
                Self::report(kind, address, Some(coffin));
            }
            if let (Some(owner), Some(asker)) = (coffin.grave.asker, asker) {
                if owner.interpreter != asker.interpreter {
                    let kind = MisuseKind::WrongInterpreter { number: asker.interpreter.number() };
                    Self::report(kind, address, Some(coffin));
                }
                if owner.domain != asker.domain {
                    let kind = MisuseKind::WrongDomain { domain: asker.domain };
                    Self::report(kind, address, Some(coffin));
                }
            }
            let size = coffin.layout.size();
            if let Ok((_, offset)) = plan(coffin.layout) {
                // The caller's pointer may be one that reaches less.
                coffin.links.start.add(offset).write_bytes(DEAD, size);
            }
            found.as_mut().freed = Some(W::site());
            self.graves.push(found.byte_add(mem::offset_of!(Coffin, grave)).cast());
            while let Some(oldest) = self.graves.beyond(KEEP) {
                self.bury(below, oldest);
            }
        }
    }

    unsafe fn resize(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        let mut found = self.live(block.addr().get()).ok_or(AllocCause::Exhausted)?;
        // SAFETY: [W3]; one alignment, so one offset.
        unsafe {
            let coffin = found.as_mut();
            Self::check_guards(coffin);
            if coffin.layout != old {
                let kind = MisuseKind::WrongLayout { size: old.size(), align: old.align() };
                Self::report(kind, coffin.links.key, Some(coffin));
                return Err(AllocCause::Exhausted);
            }
            let ((from, offset), (to, _)) = (plan(old)?, plan(new)?);
            let start = coffin.links.start;
            below.resize(start, from, to)?;
            (coffin.layout, coffin.grave.whole) = (new, to);
            let (block, kept) = (start.add(offset), old.size().min(new.size()));
            block.add(kept).write_bytes(FRESH, new.size() - kept);
            block.add(new.size()).write_bytes(GUARD, to.size() - offset - new.size());
        }
        Ok(())
    }

    unsafe fn trim(&mut self, below: &mut impl Below) {
        while let Some(grave) = self.graves.pop() {
            // SAFETY: [W2].
            unsafe { self.bury(below, grave) };
        }
    }

    unsafe fn sweep(&mut self) {
        self.check();
        self.blocks = Tree::new();
        self.graves = Graves::new();
    }

    fn inspect(&self, below: HeapState) -> HeapState {
        match below {
            HeapState::Sound { blocks } => {
                HeapState::Sound { blocks: blocks.saturating_sub(self.graves.count()) }
            }
            other => other,
        }
    }
}
