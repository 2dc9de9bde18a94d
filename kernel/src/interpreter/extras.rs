//! What most interpreters never need, behind one pointer: callbacks for the end, and slots for pending calls.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::{
    error::PendingError,
    eval::{
        CallSlots,
        pending::{Call, QueuedCall},
    },
    host::Host,
    interpreter::InterpreterSlot,
    memory::{AllocCause, RawDomain},
    runtime::Runtime,
    sync::{AtomicPtr, Ordering},
};

/// Invariant [Q2]: extras are made during a visit, an activation or a creation, in phases up to CLOSING, and stay until
/// CLEARING, when there is none of these; they are taken out under the runtime's lock, so that whoever looks under it is
/// safe. They lie in the raw domain, charged to nobody: who adds a call has no GIL.
pub(super) struct Extras<H: Host> {
    /// lock: callbacks for the end, newest first; of `exit.rs`.
    pub(super) exits: AtomicPtr<()>,
    calls: CallSlots<H>,
    /// For interrupt handlers, and for nobody else.
    reserved: CallSlots<H>,
}

impl<H: Host> InterpreterSlot<H> {
    /// The extras, where somebody needed them. During a visit or an activation, by the ender, or under the lock.
    pub(super) fn extras(&self) -> Option<&Extras<H>> {
        // SAFETY: [Q2].
        unsafe { self.head.extras.load(Ordering::Acquire).cast::<Extras<H>>().as_ref() }
    }

    /// As [`extras`](Self::extras), made where nobody did. In phases up to CLOSING.
    pub(super) fn need_extras(&self, raw: RawDomain<'_, H::Raw>) -> Result<&Extras<H>, AllocCause> {
        if let Some(extras) = self.extras() {
            return Ok(extras);
        }
        let fresh = raw.take(Layout::new::<Extras<H>>())?.cast::<Extras<H>>();
        let extras =
            Extras { exits: AtomicPtr::default(), calls: CallSlots::new(), reserved: CallSlots::new() };
        // SAFETY: the block is fresh and has the layout.
        unsafe { fresh.write(extras) };
        let (null, ours) = (ptr::null_mut(), fresh.as_ptr());
        match self.head.extras.compare_exchange(null, ours.cast(), Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: [Q2].
            Ok(_) => Ok(unsafe { fresh.as_ref() }),
            Err(theirs) => {
                // SAFETY: nobody else has seen it.
                unsafe { Self::give_back(fresh, raw) };
                // SAFETY: [Q2] another thread was faster.
                Ok(unsafe { &*theirs.cast() })
            }
        }
    }

    /// A slot with the call in it, for a list: of those set aside in an interrupt handler, or else as `ordinary` answers.
    /// During a visit.
    pub(crate) fn reserved_or(
        &self,
        rt: &Runtime<H>,
        call: Call<H>,
        ordinary: impl FnOnce() -> Result<QueuedCall, PendingError>,
    ) -> Result<QueuedCall, PendingError> {
        if !rt.host().in_interrupt() {
            return ordinary();
        }
        self.extras().ok_or(PendingError::NoSlot)?.reserved.take_reserved(call, rt.raw())
    }

    /// A slot of this interpreter's with the call in it, for its list. During a visit or an activation.
    #[inline]
    pub(crate) fn hold_call(&self, rt: &Runtime<H>, call: Call<H>) -> Result<QueuedCall, PendingError> {
        let extras = self.need_extras(rt.raw()).map_err(|_| PendingError::NoMemory)?;
        extras.calls.take(call, || self.head.pending_calls(), rt.raw())
    }

    /// Sees to it that so many slots are set aside for interrupt handlers. During a visit.
    pub(crate) fn reserve_calls(&self, rt: &Runtime<H>, count: u32) -> Result<(), PendingError> {
        let extras = self.need_extras(rt.raw()).map_err(|_| PendingError::NoMemory)?;
        extras.reserved.reserve(count, rt.raw())
    }

    /// Forgets the calls that still wait. By whoever takes the interpreter down.
    pub(super) fn forget_pending(&self) {
        // SAFETY: calls of `H` alone are pushed to interpreters of `H`.
        unsafe { self.head.pending.forget::<H>() };
        self.head.runs_pending.set(false);
    }

    /// Gives the extras back. In phase CLEARING, when visits are out and no call waits.
    pub(super) fn drop_extras(&self, rt: &Runtime<H>) {
        if self.extras().is_none() {
            return;
        }
        let extras = rt.locked(|_| self.head.extras.swap(ptr::null_mut(), Ordering::Relaxed));
        if let Some(extras) = NonNull::new(extras.cast::<Extras<H>>()) {
            // SAFETY: [Q2] nobody finds them any more.
            unsafe { Self::give_back(extras, rt.raw()) };
        }
    }

    /// # Safety
    /// [Q2] nobody uses them.
    unsafe fn give_back(extras: NonNull<Extras<H>>, raw: RawDomain<'_, H::Raw>) {
        // SAFETY: passed on; the block came from the raw domain with this layout.
        unsafe {
            extras.as_ref().calls.give_back(raw);
            extras.as_ref().reserved.give_back(raw);
            extras.drop_in_place();
            raw.deallocate(extras.cast(), Layout::new::<Extras<H>>());
        }
    }
}
