//! Pending calls: work that another thread or an interrupt handler leaves for whoever holds the GIL
//! (SPEC E2, `Py_AddPendingCall`).
//!
//! A call lies in a node. Nodes belong to the caller and live for ever, so adding one takes no memory and no lock; or they
//! are slots of the kernel's (`slots.rs`).

#![allow(unsafe_code)]

use core::ptr;

use crate::{
    eval::slots::CallSlot,
    host::Host,
    sync::{AtomicPtr, AtomicU32, Ordering},
    thread::Attached,
};

/// A pending call reports that it failed; the running code gets [`Interrupt::PendingFailed`](crate::error::Interrupt::PendingFailed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingFailed;

/// The function of a pending call.
pub type PendingFn<H> = for<'i> fn(&mut Attached<'i, H>, usize) -> Result<(), PendingFailed>;

/// What is to be called.
pub(crate) struct Call<H: Host> {
    pub(crate) run: PendingFn<H>,
    pub(crate) argument: usize,
}

impl<H: Host> Clone for Call<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for Call<H> {}

/// One pending call, owned by the caller for ever and usable again once it ran.
///
/// ```text
/// state    FREE → QUEUED (push) → FREE (taken out, before it runs)
///          SLOT + its place in the block, for ever: a slot of the kernel's
/// ```
#[repr(C)]
pub struct PendingCall<H: Host> {
    node: PendingNode,
    call: Call<H>,
}

pub(super) struct PendingNode {
    state: AtomicU32,
    next: AtomicPtr<PendingNode>,
}

const FREE: u32 = 0;
const QUEUED: u32 = 1;
const SLOT: u32 = 2;

impl PendingNode {
    const_unless_loom! {
        const fn new(state: u32) -> Self {
            PendingNode { state: AtomicU32::new(state), next: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// Of the slot at this place in its block.
    pub(super) fn of_slot(place: u32) -> Self {
        PendingNode::new(SLOT + place)
    }
}

/// A node, by a pointer to the whole call or block around it: a reference to the node alone must not be widened.
#[derive(Clone, Copy)]
pub(crate) struct QueuedCall(pub(super) *mut PendingNode);

impl QueuedCall {
    fn node(self) -> &'static PendingNode {
        // SAFETY: made by `PendingCall::queued` or from a slot, or found in a list, which holds nothing else. Nodes live
        // for ever, or [Q1] as long as anybody can have a pointer to the slot.
        unsafe { &*self.0 }
    }

    /// What is to be called. The node is free from then on.
    ///
    /// # Safety
    /// The call is one of `H`, and was taken out of a list just now.
    unsafe fn take<H: Host>(self) -> Call<H> {
        let node = self.node();
        match node.state.load(Ordering::Relaxed) {
            FREE | QUEUED => {
                // SAFETY: the pointer was made from a `PendingCall<H>` (contract) that lives for ever, and whose first
                // field, being `repr(C)`, is the node.
                let call = unsafe { &*self.0.cast::<PendingCall<H>>() }.call;
                node.state.store(FREE, Ordering::Release);
                call
            }
            // SAFETY: [Q1] such a state is a slot's, and who takes it out of the list has it.
            slot => unsafe { CallSlot::take_out(self.0.cast(), slot - SLOT) },
        }
    }
}

impl<H: Host> PendingCall<H> {
    const_unless_loom! {
        /// A call of `run` with `argument`.
        pub const fn new(run: PendingFn<H>, argument: usize) -> Self {
            PendingCall { node: PendingNode::new(FREE), call: Call { run, argument } }
        }
    }

    /// Whether it waits to be run.
    pub fn is_queued(&self) -> bool {
        self.node.state.load(Ordering::Acquire) != FREE
    }

    /// Takes the node for one list. `None`: it is queued already.
    pub(crate) fn queue(&'static self) -> Option<QueuedCall> {
        self.node.state.compare_exchange(FREE, QUEUED, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(QueuedCall(ptr::from_ref(self).cast_mut().cast()))
    }
}

/// The calls that wait for one interpreter. Pushed from anywhere; taken out under the GIL.
pub(crate) struct PendingList {
    pushed: AtomicPtr<PendingNode>,
    /// Written under the GIL: taken from `pushed` already, oldest first; or the holder's own.
    ready: AtomicPtr<PendingNode>,
}

impl PendingList {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            PendingList { pushed: AtomicPtr::new(ptr::null_mut()), ready: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    pub(crate) fn push(&self, call: QueuedCall) {
        let node = call.node();
        let mut top = self.pushed.load(Ordering::Relaxed);
        loop {
            node.next.store(top, Ordering::Relaxed);
            match self.pushed.compare_exchange_weak(top, call.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// As [`push`](Self::push), under the GIL: where nothing waits, with plain stores.
    pub(crate) fn push_held(&self, call: QueuedCall) {
        if self.ready.load(Ordering::Relaxed).is_null() && self.pushed.load(Ordering::Relaxed).is_null() {
            call.node().next.store(ptr::null_mut(), Ordering::Relaxed);
            self.ready.store(call.0, Ordering::Relaxed);
        } else {
            self.push(call);
        }
    }

    /// Whether no call waits. From anywhere; exact under the GIL for calls whose kick was seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.load(Ordering::Relaxed).is_null() && self.pushed.load(Ordering::Acquire).is_null()
    }

    /// Takes the oldest call out. Under the GIL.
    ///
    /// # Safety
    /// Calls of `H` alone are pushed here.
    pub(crate) unsafe fn pop<H: Host>(&self) -> Option<Call<H>> {
        let mut ready = self.ready.load(Ordering::Relaxed);
        if ready.is_null() && !self.pushed.load(Ordering::Relaxed).is_null() {
            let mut top = self.pushed.swap(ptr::null_mut(), Ordering::Acquire);
            // SAFETY: nodes that wait are alive, and those taken by the swap belong to this list alone.
            while let Some(node) = unsafe { top.as_ref() } {
                let below = node.next.load(Ordering::Relaxed);
                node.next.store(ready, Ordering::Relaxed);
                ready = top;
                top = below;
            }
        }
        // SAFETY: as above.
        let node = unsafe { ready.as_ref() }?;
        self.ready.store(node.next.load(Ordering::Relaxed), Ordering::Relaxed);
        // SAFETY: passed on.
        Some(unsafe { QueuedCall(ready).take() })
    }

    /// Forgets the calls that still wait; those of callers may be queued elsewhere. By whoever takes the interpreter down.
    ///
    /// # Safety
    /// As for [`pop`](Self::pop).
    pub(crate) unsafe fn forget<H: Host>(&self) {
        // SAFETY: passed on.
        while unsafe { self.pop::<H>() }.is_some() {}
    }
}
