//! The memory of one interpreter. Type-stable like thread slots: reused for later interpreters, returned when
//! the runtime is dropped.
#![allow(unsafe_code)]

use core::{cell::UnsafeCell, ptr};

use crate::{
    config::InterpreterConfig,
    eval::FrameEval,
    gil::{Counter, DEFAULT_SWITCH_INTERVAL, Gil, HeldTimeOf},
    guest::GuestTable,
    host::{Clock, Heap, Host},
    interpreter::{InterpreterHead, Whence},
    memory::{Domain, Tenant},
    object::HostValues,
    sync::{Cell, slot_word},
    thread::slot::ThreadSlot,
};

/// A point in time of the host's clock.
pub(crate) type InstantOf<H> = <<H as Host>::Clock as Clock>::Instant;

/// Field rules as in [`InterpreterHead`].
#[repr(C)]
pub(crate) struct InterpreterSlot<H: Host> {
    /// First, so that a pointer to the head is a pointer to the slot.
    pub(crate) head: InterpreterHead,
    /// Used by this interpreter if it has its own GIL, unused otherwise.
    pub(crate) own_gil: Gil<H>,
    /// GIL: how long its threads held it.
    pub(crate) held_time: HeldTimeOf<H>,
    /// const: the slot whose GIL this interpreter uses: its own, or main's.
    pub(crate) gil_of: Cell<*const InterpreterSlot<H>>,
    /// GIL: used by this interpreter if it has its own heap, unused otherwise. Main's may be used under other GILs too
    /// where it can be shared: [M4].
    pub(crate) own_heap: UnsafeCell<H::Heap>,
    /// const: the slot whose heap this interpreter uses: its own, or main's.
    pub(crate) heap_of: Cell<*const InterpreterSlot<H>>,
    /// GIL: this interpreter's blocks in main's heap.
    pub(crate) tenant: Tenant,
    /// const: the language.
    pub(crate) guest_table: Cell<Option<&'static GuestTable<H>>>,
    /// GIL: the guest's state.
    pub(crate) guest: Cell<*mut ()>,
    /// GIL: replaces the guest's own frame evaluation.
    pub(crate) frame_eval: Cell<Option<FrameEval<H>>>,
    /// lock: when to interrupt it, and the next interpreter that has a deadline.
    pub(crate) deadline: Cell<Option<InstantOf<H>>>,
    /// GIL: the table behind `Global` handles.
    pub(crate) globals: crate::object::GlobalTable,
    /// GIL: what the host keeps here.
    pub(crate) values: UnsafeCell<HostValues<'static>>,
    /// For the end, so that it has a thread state when memory is gone.
    pub(crate) reserve: ThreadSlot,
}

// SAFETY: each field's rule (const, lock, GIL; docs/soundness/slots.md) orders its accesses; locks, GILs, heaps and what
// else the host supplies here may be used from any thread in turn (bounds of their traits), and a heap that is used by
// several at once is a `SharedHeap`, which is `Sync`.
unsafe impl<H: Host> Sync for InterpreterSlot<H> {}

impl<H: Host> InterpreterSlot<H> {
    pub(crate) fn new() -> Self {
        InterpreterSlot {
            head: InterpreterHead::new(slot_word::<H::Slot>),
            own_gil: Gil::new(),
            held_time: HeldTimeOf::<H>::new(),
            gil_of: Cell::new(ptr::null()),
            own_heap: UnsafeCell::new(H::Heap::new()),
            heap_of: Cell::new(ptr::null()),
            tenant: Tenant::new(),
            guest_table: Cell::new(None),
            guest: Cell::new(ptr::null_mut()),
            frame_eval: Cell::new(None),
            deadline: Cell::new(None),
            globals: crate::object::GlobalTable::new(),
            values: UnsafeCell::new(HostValues::new()),
            reserve: ThreadSlot::new(),
        }
    }

    /// What an interpreter takes before it runs anything: its slot and one thread state's.
    pub(crate) const FOOTPRINT: usize = size_of::<Self>() + size_of::<ThreadSlot>();

    /// Everything as new. Where others may see the slot, under the runtime's lock.
    pub(super) fn renew(&self, config: InterpreterConfig, whence: Whence, owns_heap: bool) {
        self.head.renew(config, whence, owns_heap);
        self.own_gil.renew(DEFAULT_SWITCH_INTERVAL);
        self.held_time.renew();
        let _ = self.head.account.add(Domain::Raw, Self::FOOTPRINT);
    }

    /// The GIL this interpreter runs under.
    #[inline]
    pub(crate) fn gil(&self) -> &Gil<H> {
        // SAFETY: set at creation to this slot or main's, both of which are type-stable.
        unsafe { &(*self.gil_of.get()).own_gil }
    }

    /// Whether it has its own heap.
    pub(crate) fn owns_heap(&self) -> bool {
        ptr::eq(self.heap_of.get(), self)
    }

    /// The slot of main, if this interpreter uses main's heap under another GIL than main's.
    pub(crate) fn shares_heap_of(&self) -> Option<&Self> {
        // SAFETY: set at creation to this slot or main's, both of which are type-stable.
        let owner = unsafe { &*self.heap_of.get() };
        (!ptr::eq(owner.gil(), self.gil())).then_some(owner)
    }

    /// The slot around a head.
    ///
    /// # Safety
    /// `head` is the head of an `InterpreterSlot<H>`, and comes from a pointer to the whole slot.
    pub(crate) unsafe fn of<'a>(head: *const InterpreterHead) -> &'a Self {
        // SAFETY: the head is the first field of the `repr(C)` slot; slots are type-stable.
        unsafe { &*head.cast::<Self>() }
    }
}
