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

use core::{alloc::Layout, cell::UnsafeCell, marker::PhantomData, mem, mem::MaybeUninit, ptr::NonNull};

use archipelago_kernel::{
    host::HeapState,
    memory::{AllocCause, Asker},
};

use crate::{
    Below, Hook, Misuse, MisuseKind, Register, Site,
    coffin::{Coffin, DEAD, FRESH, GUARD, History, Known, plan},
    graves::{Grave, Graves, give_back, insist},
    register::Registered,
    tree::{Links, Tree},
};

/// What the host tells the debug wrapper, and what it is told.
pub trait Watch: Send + 'static {
    /// Something is wrong. Where it returns, a wrong free or resize is left out: the block is as live as it was. Everything
    /// else goes on. It must not use the heap or raw domain.
    fn report(misuse: &Misuse);

    /// Where the program is. With `std`, `site` answers the thread's scopes, as `StdWatch` does.
    fn site() -> Site {
        Site::UNKNOWN
    }

    /// Whether this thread may use memory for `asker`: whether it is attached to the interpreter, where the host can tell
    /// (`thread::current`).
    fn may_use(asker: Asker) -> bool {
        let _ = asker;
        true
    }

    /// Where a new block is entered. With it, a block of another interpreter's heap is told from an address that is no block
    /// at all. A block leaves the register it was entered in, whatever is answered then; but what one register has, another
    /// cannot tell, so it should always be the same one.
    fn register() -> Option<&'static dyn Register> {
        None
    }
}

/// Puts guards and fill bytes around blocks, and keeps up to `KEEP` bytes of those that were given back.
pub struct Debugging<W: Watch, const KEEP: usize = 65536> {
    blocks: Tree,
    graves: Graves,
    serial: u64,
    /// Whether a block was ever entered in a register.
    has_entered: bool,
    _watch: PhantomData<fn() -> W>,
}

// SAFETY: [W2], [W3] what tree and list lead to belongs to this value.
unsafe impl<W: Watch, const KEEP: usize> Send for Debugging<W, KEEP> {}

impl<W: Watch, const KEEP: usize> Debugging<W, KEEP> {
    /// Nothing is live.
    pub const fn new() -> Self {
        Debugging {
            blocks: Tree::new(),
            graves: Graves::new(),
            serial: 0,
            has_entered: false,
            _watch: PhantomData,
        }
    }

    /// Looks at the guards of all live blocks and at the fill of all that were given back, and reports what was written to.
    pub fn check(&mut self) {
        let mut at = self.blocks.first().cast::<Coffin>();
        // SAFETY: [W3].
        unsafe {
            while let Some(coffin) = at.as_ref() {
                Self::check_block(coffin);
                at = coffin.links.above.cast();
            }
        }
    }

    fn report(kind: MisuseKind, known: Known) {
        W::report(&known.misuse(kind, W::site()));
    }

    /// Whether this thread may use the heap at all.
    fn check_thread(asker: Option<Asker>, coffin: &Coffin) {
        if asker.is_some_and(|asker| !W::may_use(asker)) {
            Self::report(MisuseKind::NotAttached, coffin.known());
        }
    }

    /// # Safety
    /// \[W3\].
    unsafe fn check_block(coffin: &Coffin) {
        // SAFETY: passed on; what was given back says so.
        unsafe {
            let dead = coffin.history.freed.and_then(|_| coffin.look_at_dead());
            for kind in coffin.look_at_guards().into_iter().chain([dead]).flatten() {
                Self::report(kind, coffin.known());
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
            Self::check_block(coffin.as_ref());
            coffin.as_ref().register.remove(coffin);
            self.blocks.remove(coffin.as_ptr().cast());
            let start = coffin.as_ref().links.start;
            give_back(below, grave, start);
        }
    }

    /// The live block at `address`, if it may come back from `asker` with this layout. Otherwise it is reported what is
    /// wrong.
    fn live(&mut self, address: usize, layout: Layout, asker: Option<Asker>) -> Option<NonNull<Coffin>> {
        let [lower, higher] = self.near(address);
        // SAFETY: [W3].
        let (below, above) = unsafe { (lower.as_ref(), higher.as_ref()) };
        if let Some(asker) = asker {
            let around = below.into_iter().chain(above).find(|coffin| coffin.contains(address));
            let known = match around {
                Some(coffin) => Some(coffin.known()),
                None => Registered(W::register()).find(address),
            };
            if let Some(known) = known.filter(|known| known.is_not_of(asker)) {
                let kind = MisuseKind::WrongInterpreter { number: asker.interpreter.number() };
                Self::report(kind, known);
                return None;
            }
        }
        let site = W::site();
        let misuse = match below {
            Some(coffin) if coffin.links.key == address && coffin.history.freed.is_none() => {
                match coffin.wrong_return(layout, asker) {
                    None => return NonNull::new(lower),
                    Some(kind) => coffin.known().misuse(kind, site),
                }
            }
            Some(coffin) if coffin.links.key == address => {
                coffin.known().misuse(MisuseKind::DoubleFree, site)
            }
            Some(coffin) if address - coffin.links.key < coffin.layout.size() => {
                Misuse { address, ..coffin.known().misuse(MisuseKind::InsideBlock, site) }
            }
            _ => Misuse::of_no_block(address, site),
        };
        W::report(&misuse);
        None
    }

    /// The block that begins at `key` or below it, and the one above.
    fn near(&mut self, key: usize) -> [*mut Coffin; 2] {
        let lower = self.blocks.at_or_below(key);
        // SAFETY: [W3].
        let higher = match unsafe { lower.as_ref() } {
            Some(lower) => lower.above,
            None => self.blocks.first(),
        };
        [lower.cast(), higher.cast()]
    }

    /// Reports a block that the new one overlaps.
    fn check_overlap(&mut self, start: usize, key: usize, end: usize) -> bool {
        // SAFETY: [W3].
        let coffins = self.near(key).map(|coffin| unsafe { coffin.as_ref() });
        let overlapped = coffins.into_iter().flatten().find(|coffin| {
            let first = coffin.links.start.addr().get();
            first < end && start < first + coffin.grave.whole.size()
        });
        if let Some(coffin) = overlapped {
            Self::report(MisuseKind::Overlap, coffin.known());
        }
        overlapped.is_some()
    }

    /// Forgets all blocks, which are not used any more but still there.
    fn forget(&mut self) {
        let mut at = self.blocks.first().cast::<Coffin>();
        // SAFETY: [W3].
        unsafe {
            while let Some(coffin) = NonNull::new(at) {
                coffin.as_ref().register.remove(coffin);
                at = coffin.as_ref().links.above.cast();
            }
        }
        self.blocks = Tree::new();
        self.graves = Graves::new();
    }
}

impl<W: Watch, const KEEP: usize> Drop for Debugging<W, KEEP> {
    fn drop(&mut self) {
        // The register outlives this heap, whose blocks nobody may look at any more.
        if self.has_entered {
            self.forget();
        }
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
        // The blocks of a raw domain are in none: those of heaps lie in them.
        let register = Registered(asker.and_then(|_| W::register()));
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
                history: History { serial: self.serial, allocated: W::site(), freed: None },
                register,
                entry: UnsafeCell::new(MaybeUninit::uninit()),
            });
            self.serial += 1;
            self.blocks.insert(coffin.as_ptr().cast());
            register.insert(coffin);
            self.has_entered |= register.0.is_some();
            Self::check_thread(asker, coffin.as_ref());
            Ok(NonNull::slice_from_raw_parts(block, layout.size()))
        }
    }

    fn vouches_for(
        &mut self,
        _: impl FnOnce(usize, Layout, Asker) -> bool,
        address: usize,
        layout: Layout,
        asker: Asker,
    ) -> bool {
        self.live(address, layout, Some(asker)).is_some()
    }

    unsafe fn deallocate(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        layout: Layout,
        asker: Option<Asker>,
    ) {
        let Some(found) = self.live(block.addr().get(), layout, asker) else { return };
        // SAFETY: [W3]; the reference is dropped before the block goes back. The entry is not ours, so there is never a
        // unique one.
        unsafe {
            let coffin = found.as_ref();
            Self::check_thread(asker, coffin);
            Self::check_block(coffin);
            let register = coffin.register;
            if let Ok((_, offset)) = plan(layout) {
                // The caller's pointer may be one that reaches less.
                coffin.links.start.add(offset).write_bytes(DEAD, layout.size());
            }
            (*found.as_ptr()).history.freed = Some(W::site());
            register.renew(found);
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
        let found = self.live(block.addr().get(), old, None).ok_or(AllocCause::Exhausted)?;
        // SAFETY: [W3]; one alignment, so one offset. As above: no unique reference.
        unsafe {
            let coffin = found.as_ref();
            Self::check_block(coffin);
            let register = coffin.register;
            let ((from, offset), (to, _)) = (plan(old)?, plan(new)?);
            let start = coffin.links.start;
            below.resize(start, from, to)?;
            ((*found.as_ptr()).layout, (*found.as_ptr()).grave.whole) = (new, to);
            register.renew(found);
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
        self.forget();
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
