//! What `Debug` has in front of a block, and how it looks at it.

#![allow(unsafe_code)]

use core::{alloc::Layout, cell::UnsafeCell, mem::MaybeUninit, ptr::NonNull};

use archipelago_kernel::memory::{AllocCause, Asker};

use crate::{
    Site,
    graves::Grave,
    misuse::{Misuse, MisuseKind},
    register::{Entry, Registered},
    tree::Links,
};

/// What a fresh block is filled with.
pub(crate) const FRESH: u8 = 0xcd;
/// What a block is filled with that was given back.
pub(crate) const DEAD: u8 = 0xdd;
/// What lies on both sides of a block.
pub(crate) const GUARD: u8 = 0xfd;
/// How much of it lies there at least.
const GUARD_BYTES: usize = 16;

/// In front of a block.
#[repr(C)]
pub(crate) struct Coffin {
    /// First, so that one is a pointer to the other.
    pub(crate) links: Links,
    pub(crate) grave: Grave,
    pub(crate) layout: Layout,
    pub(crate) history: History,
    /// The register it was entered in, if it was: what the host answers later may be another one. Never changes.
    pub(crate) register: Registered,
    /// The register's, not to be touched without it: other threads look at it.
    pub(crate) entry: UnsafeCell<MaybeUninit<Entry>>,
}

/// What becomes of a block.
#[derive(Clone, Copy)]
pub(crate) struct History {
    pub(crate) serial: u64,
    pub(crate) allocated: Site,
    pub(crate) freed: Option<Site>,
}

/// The layout of the whole block, and where the caller's part lies in it.
pub(crate) fn plan(layout: Layout) -> Result<(Layout, usize), AllocCause> {
    let front = Layout::new::<(Coffin, [u8; GUARD_BYTES])>();
    let (whole, offset) = front.extend(layout).map_err(|_| AllocCause::TooLarge)?;
    let guard = Layout::new::<[u8; GUARD_BYTES]>();
    let (whole, _) = whole.extend(guard).map_err(|_| AllocCause::TooLarge)?;
    Ok((whole, offset))
}

/// What is known of a block, for a report.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    address: usize,
    layout: Layout,
    pub(crate) owner: Option<Asker>,
    history: History,
}

impl Known {
    pub(crate) fn new(address: usize, layout: Layout, owner: Option<Asker>, history: History) -> Self {
        Known { address, layout, owner, history }
    }

    /// Whether the block was taken for another interpreter than this one.
    pub(crate) fn is_not_of(&self, asker: Asker) -> bool {
        self.owner.is_some_and(|owner| owner.interpreter != asker.interpreter)
    }

    /// This kind of misuse of the block: of the interpreter's part of it, for that is all that a program knows.
    pub(crate) fn misuse(&self, kind: MisuseKind, found: Site) -> Misuse {
        let Known { address, layout, owner, history } = *self;
        let offset = owner.map_or(0, |owner| owner.offset(layout));
        Misuse {
            kind,
            address: address + offset,
            size: layout.size() - offset,
            serial: Some(history.serial),
            owner,
            allocated: history.allocated,
            freed: history.freed,
            found,
        }
    }
}

impl Coffin {
    pub(crate) fn known(&self) -> Known {
        Known::new(self.links.key, self.layout, self.grave.asker, self.history)
    }

    /// The bytes of a whole block, from one offset to another.
    ///
    /// # Safety
    /// \[W3\]; nothing writes to these bytes while the answer is used; they are initialized.
    unsafe fn bytes(&self, from: usize, to: usize) -> &[u8] {
        // The block's own pointer: that of the reference reaches the header only.
        let start = self.links.start.as_ptr();
        // SAFETY: the offsets lie in the whole block (the callers' are from its plan).
        unsafe { core::slice::from_raw_parts(start.add(from), to - from) }
    }

    /// What was written to in front of the block and behind it.
    ///
    /// # Safety
    /// \[W3\].
    pub(crate) unsafe fn look_at_guards(&self) -> [Option<MisuseKind>; 2] {
        let Ok((whole, offset)) = plan(self.layout) else { return [None; 2] };
        let end = offset + self.layout.size();
        // SAFETY: passed on; the guards were written when the block was taken.
        let (front, rear) =
            unsafe { (self.bytes(size_of::<Coffin>(), offset), self.bytes(end, whole.size())) };
        [
            (front.iter().rposition(|byte| *byte != GUARD))
                .map(|place| MisuseKind::Underflow { bytes: front.len() - place }),
            (rear.iter().position(|byte| *byte != GUARD))
                .map(|place| MisuseKind::Overflow { bytes: place + 1 }),
        ]
    }

    /// What was written to in a block that was given back.
    ///
    /// # Safety
    /// \[W3\]; the block was given back.
    pub(crate) unsafe fn look_at_dead(&self) -> Option<MisuseKind> {
        let (_, offset) = plan(self.layout).ok()?;
        // SAFETY: passed on; the block was filled when it was given back.
        let block = unsafe { self.bytes(offset, offset + self.layout.size()) };
        let offset = block.iter().position(|byte| *byte != DEAD)?;
        Some(MisuseKind::UseAfterFree { offset })
    }

    /// What is wrong where the block comes back from `asker` with this layout.
    pub(crate) fn wrong_return(&self, layout: Layout, asker: Option<Asker>) -> Option<MisuseKind> {
        let owner = self.grave.asker;
        if let (Some(owner), Some(asker)) = (owner, asker)
            && owner.domain != asker.domain
        {
            return Some(MisuseKind::WrongDomain { domain: asker.domain });
        }
        // As the interpreter named it, which knows nothing of the words that the kernel has in front.
        let size = layout.size().saturating_sub(owner.map_or(0, |owner| owner.offset(layout)));
        (self.layout != layout).then_some(MisuseKind::WrongLayout { size, align: layout.align() })
    }

    /// Whether an address lies in the whole block.
    pub(crate) fn contains(&self, address: usize) -> bool {
        let start = self.links.start.addr().get();
        (start..start + self.grave.whole.size()).contains(&address)
    }
}

/// The register's part of a coffin.
///
/// # Safety
/// `coffin` points to a live one.
pub(crate) unsafe fn entry(coffin: NonNull<Coffin>) -> *mut Entry {
    // SAFETY: passed on.
    unsafe { UnsafeCell::raw_get(&raw const (*coffin.as_ptr()).entry).cast() }
}
