//! Pending calls: work that another thread or an interrupt handler leaves for whoever holds the GIL
//! (SPEC E2, `Py_AddPendingCall`).
//!
//! The nodes belong to the caller and live for ever, so adding one takes no memory and no lock.

#![allow(unsafe_code)]

use core::ptr;

use crate::{
    host::Host,
    sync::{AtomicPtr, AtomicU32, Ordering},
    thread::Attached,
};

/// A pending call reports that it failed; the running code gets [`Interrupt::PendingFailed`](crate::error::Interrupt::PendingFailed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingFailed;

/// The function of a pending call.
pub type PendingFn<H> = for<'i> fn(&mut Attached<'i, H>, usize) -> Result<(), PendingFailed>;

/// At most so many calls run at one safepoint; the rest waits for the next (CPython's `MAXPENDINGCALLSLOOP`).
pub(crate) const MOST_PER_PASS: usize = 100;

/// One pending call, owned by the caller for ever and usable again once it ran.
///
/// ```text
/// queued   0 free → 1 queued (add) → 0 free (taken out, before it runs)
/// ```
#[repr(C)]
pub struct PendingCall<H: Host> {
    node: PendingNode,
    run: PendingFn<H>,
    argument: usize,
}

struct PendingNode {
    queued: AtomicU32,
    next: AtomicPtr<PendingNode>,
}

/// A node, by a pointer to the whole call around it: a reference to the node alone must not be widened.
#[derive(Clone, Copy)]
pub(crate) struct QueuedCall(*mut PendingNode);

impl QueuedCall {
    fn node(self) -> &'static PendingNode {
        // SAFETY: made by `PendingCall::queued` or found in a list, which holds nothing else; nodes live for ever.
        unsafe { &*self.0 }
    }
}

impl<H: Host> PendingCall<H> {
    const_unless_loom! {
        /// A call of `run` with `argument`.
        pub const fn new(run: PendingFn<H>, argument: usize) -> Self {
            let node = PendingNode { queued: AtomicU32::new(0), next: AtomicPtr::new(ptr::null_mut()) };
            PendingCall { node, run, argument }
        }
    }

    /// Whether it waits to be run.
    pub fn is_queued(&self) -> bool {
        self.node.queued.load(Ordering::Acquire) != 0
    }

    pub(crate) fn queued(&'static self) -> QueuedCall {
        QueuedCall(ptr::from_ref(self).cast_mut().cast())
    }

    /// Runs the call.
    ///
    /// # Safety
    /// `call` comes from a `PendingCall<H>` of the same `H`.
    pub(crate) unsafe fn run(call: QueuedCall, cx: &mut Attached<'_, H>) -> Result<(), PendingFailed> {
        // SAFETY: the pointer was made from a `PendingCall<H>` (contract of `run`) that lives for ever, and whose
        // first field, being `repr(C)`, is the node.
        let call = unsafe { &*call.0.cast::<PendingCall<H>>() };
        (call.run)(cx, call.argument)
    }
}

/// The calls that wait for one interpreter. Pushed from anywhere; taken out under the GIL.
pub(crate) struct PendingList {
    pushed: AtomicPtr<PendingNode>,
    /// Written under the GIL: taken from `pushed` already, oldest first.
    ready: AtomicPtr<PendingNode>,
}

impl PendingList {
    pub(crate) fn new() -> Self {
        PendingList { pushed: AtomicPtr::new(ptr::null_mut()), ready: AtomicPtr::new(ptr::null_mut()) }
    }

    /// `false`: the call is queued already.
    #[must_use]
    pub(crate) fn push(&self, call: QueuedCall) -> bool {
        let node = call.node();
        if node.queued.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        let mut top = self.pushed.load(Ordering::Relaxed);
        loop {
            node.next.store(top, Ordering::Relaxed);
            match self.pushed.compare_exchange_weak(top, call.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => top = now,
            }
        }
    }

    /// Whether no call waits. From anywhere; exact under the GIL for calls whose kick was seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.load(Ordering::Relaxed).is_null() && self.pushed.load(Ordering::Acquire).is_null()
    }

    /// The oldest call. Under the GIL.
    pub(crate) fn pop(&self) -> Option<QueuedCall> {
        let mut ready = self.ready.load(Ordering::Relaxed);
        if ready.is_null() {
            let mut top = self.pushed.swap(ptr::null_mut(), Ordering::Acquire);
            // SAFETY: nodes live for ever, and those taken by the swap belong to this list alone.
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
        node.queued.store(0, Ordering::Release);
        Some(QueuedCall(ready))
    }

    /// Forgets the calls that still wait; they may be queued elsewhere. By whoever takes the interpreter down.
    pub(crate) fn forget(&self) {
        while self.pop().is_some() {}
    }
}
