//! The block behind a map: open addressing, linear probing, hashes kept beside the entries.
//!
//! Code of the keys runs in [`Table::find`] only, with the table as it was: moving entries goes by the hashes.

#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    mem::{MaybeUninit, needs_drop, offset_of},
    ptr::NonNull,
};

use crate::{
    collections::vec::TOO_LARGE,
    host::Host,
    memory::{AllocError, Domain},
    object::{Kind, ObjectHeader, Tailed},
    thread::Attached,
};

/// [K3] The entry is live exactly while the hash is not zero.
pub(super) struct Slot<K, V> {
    hash: u32,
    entry: MaybeUninit<(K, V)>,
}

#[repr(C)]
pub(super) struct Table<K, V> {
    head: Tailed,
    pub(super) len: usize,
    /// One less than the slots, which are a power of two, of which one at least is empty.
    mask: usize,
    pub(super) seed: usize,
    slots: [Slot<K, V>; 0],
}

/// Entries that so many slots hold at most.
fn most(slots: usize) -> usize {
    slots - slots / 4
}

/// Slots for so many entries.
pub(super) fn slots_for(entries: usize) -> Option<usize> {
    let slots = entries.checked_add(entries / 3)?.checked_add(1)?.checked_next_power_of_two()?;
    Some(slots.max(4))
}

impl<K, V> Table<K, V> {
    const KIND: &'static Kind =
        &Kind::tailed::<Self>(Domain::Mem, needs_drop::<(K, V)>(), drop_entries::<K, V>);

    fn layout(slots: usize) -> Option<Layout> {
        Self::KIND.with_tail(size_of::<Slot<K, V>>().checked_mul(slots)?)
    }

    /// An empty table of a power of two of slots. Without a seed it gets one of its own: two maps do not have one order,
    /// or else filling one from the other would be slow.
    pub(super) fn make<H: Host>(
        cx: &Attached<'_, H>,
        slots: Option<usize>,
        seed: Option<usize>,
    ) -> Result<NonNull<Self>, AllocError> {
        let slots = slots.ok_or(TOO_LARGE)?;
        let layout = Self::layout(slots).ok_or(TOO_LARGE)?;
        let block = cx.allocate(Self::KIND.domain, layout)?;
        // SAFETY: [T1]; the block is fresh, of the kind, and has so many slots.
        unsafe {
            let table = ObjectHeader::install(&cx.slot().head, Self::KIND, block).cast::<Self>();
            let at = table.as_ptr();
            (&raw mut (*at).head.size).write(layout.size());
            (&raw mut (*at).len).write(0);
            (&raw mut (*at).mask).write(slots - 1);
            (&raw mut (*at).seed).write(seed.unwrap_or_else(|| table.addr().get() >> 4));
            for index in 0..slots {
                (&raw mut (*Self::slot(table, index)).hash).write(0);
            }
            Ok(table)
        }
    }

    /// # Safety
    /// The block is live, and the index not above the mask.
    unsafe fn slot(this: NonNull<Self>, index: usize) -> *mut Slot<K, V> {
        // SAFETY: passed on; the slots stand behind the words, and the pointer reaches the whole block.
        unsafe { this.byte_add(offset_of!(Self, slots)).cast::<Slot<K, V>>().as_ptr().add(index) }
    }

    /// The entry from a slot on, and the slot behind it.
    ///
    /// # Safety
    /// The block is live.
    pub(super) unsafe fn next(this: NonNull<Self>, mut index: usize) -> Option<(*mut (K, V), usize)> {
        // SAFETY: passed on.
        unsafe {
            while index <= (*this.as_ptr()).mask {
                let slot = Self::slot(this, index);
                index += 1;
                if (*slot).hash != 0 {
                    return Some(((*slot).entry.as_mut_ptr(), index));
                }
            }
        }
        None
    }

    /// Whether one more entry fits.
    ///
    /// # Safety
    /// The block is live.
    pub(super) unsafe fn room(this: NonNull<Self>) -> usize {
        // SAFETY: passed on.
        unsafe { most((*this.as_ptr()).mask + 1) - (*this.as_ptr()).len }
    }

    /// Slots.
    ///
    /// # Safety
    /// The block is live.
    pub(super) unsafe fn slots(this: NonNull<Self>) -> usize {
        // SAFETY: passed on.
        unsafe { (*this.as_ptr()).mask + 1 }
    }

    /// The slot of an entry, and the entry.
    ///
    /// # Safety
    /// The block is live, and nothing changes it meanwhile.
    pub(super) unsafe fn find(
        this: NonNull<Self>,
        hash: u32,
        mut is: impl FnMut(&K) -> bool,
    ) -> Option<(usize, *mut (K, V))> {
        // SAFETY: passed on; [K3]; one slot is empty, so this ends.
        unsafe {
            let mask = (*this.as_ptr()).mask;
            let mut index = hash as usize & mask;
            loop {
                let slot = Self::slot(this, index);
                match (*slot).hash {
                    0 => return None,
                    found if found == hash => {
                        let entry = (*slot).entry.as_mut_ptr();
                        if is(&(*entry).0) {
                            return Some((index, entry));
                        }
                    }
                    _ => {}
                }
                index = (index + 1) & mask;
            }
        }
    }

    /// Adds an entry whose key is not there.
    ///
    /// # Safety
    /// The block is live, has room, and has one user.
    pub(super) unsafe fn add(this: NonNull<Self>, hash: u32, entry: (K, V)) {
        // SAFETY: passed on; [K3].
        unsafe {
            let mask = (*this.as_ptr()).mask;
            let mut index = hash as usize & mask;
            while (*Self::slot(this, index)).hash != 0 {
                index = (index + 1) & mask;
            }
            let slot = Self::slot(this, index);
            (*slot).hash = hash;
            (*slot).entry.write(entry);
            (*this.as_ptr()).len += 1;
        }
    }

    /// Takes the entry at a slot out. Those behind it that had to make way for it move up.
    ///
    /// # Safety
    /// The block is live, has one user, and the slot an entry.
    pub(super) unsafe fn remove(this: NonNull<Self>, index: usize) -> (K, V) {
        // SAFETY: passed on; [K3]: an entry that is moved or taken out leaves a hash of zero.
        unsafe {
            let mask = (*this.as_ptr()).mask;
            let entry = (*Self::slot(this, index)).entry.assume_init_read();
            let (mut hole, mut at) = (index, index);
            loop {
                at = (at + 1) & mask;
                let slot = Self::slot(this, at);
                if (*slot).hash == 0 {
                    break;
                }
                let home = (*slot).hash as usize & mask;
                // It may stand in the hole if that lies between its home and its place.
                if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                    slot.copy_to_nonoverlapping(Self::slot(this, hole), 1);
                    hole = at;
                }
            }
            (*Self::slot(this, hole)).hash = 0;
            (*this.as_ptr()).len -= 1;
            entry
        }
    }

    /// Moves every entry to another table.
    ///
    /// # Safety
    /// Both blocks are live and have one user; the other has room for them all.
    pub(super) unsafe fn pour(this: NonNull<Self>, other: NonNull<Self>) {
        // SAFETY: passed on; [K3].
        unsafe {
            for index in 0..Self::slots(this) {
                let slot = Self::slot(this, index);
                if (*slot).hash != 0 {
                    Self::add(other, (*slot).hash, (*slot).entry.assume_init_read());
                    (*slot).hash = 0;
                }
            }
            (*this.as_ptr()).len = 0;
        }
    }

    /// Drops every entry, also where one of them panics.
    ///
    /// # Safety
    /// The block is live and has one user.
    pub(super) unsafe fn drop_entries(this: NonNull<Self>) {
        struct Rest<K, V>(NonNull<Table<K, V>>, usize);
        impl<K, V> Rest<K, V> {
            fn run(&mut self) {
                // SAFETY: the caller's promise; [K3]: the slot is empty before its entry is dropped.
                unsafe {
                    while self.1 < Table::slots(self.0) {
                        let slot = Table::slot(self.0, self.1);
                        self.1 += 1;
                        if (*slot).hash != 0 {
                            (*slot).hash = 0;
                            (*self.0.as_ptr()).len -= 1;
                            (*slot).entry.assume_init_drop();
                        }
                    }
                }
            }
        }
        impl<K, V> Drop for Rest<K, V> {
            fn drop(&mut self) {
                self.run();
            }
        }
        Rest(this, 0).run();
    }
}

unsafe fn drop_entries<K, V>(header: *mut ObjectHeader) {
    // SAFETY: the caller passes the header of a live Table<K, V>, once.
    unsafe { Table::<K, V>::drop_entries(NonNull::new_unchecked(header.cast())) }
}
