//! Ensure and release: a thread state for whoever arrives on any thread (PEP 788; SPEC T5).

#![allow(unsafe_code)]

use core::{mem, ptr};

use crate::{
    error::AttachError,
    host::Host,
    interpreter::{Guard, View},
    raw::{
        state::{RawThreadState, Suspended},
        thread::{attach, detach, innermost, thread_delete_current},
    },
    runtime::Runtime,
    thread::ThreadWhence,
};

/// What an ensure did, for its [`release`] (`PyThreadStateToken`; SPEC T5).
pub struct Ensured<H: Host>(Way<H>);

enum Way<H: Host> {
    /// A frame of the interpreter was there with its token lent and the GIL held.
    Lent,
    /// This thread state of the interpreter was attached.
    Nested(RawThreadState<H>),
    /// `made` was attached, in place of `before`, which is suspended.
    Made { made: RawThreadState<H>, before: Option<RawThreadState<H>> },
}

impl<H: Host> Clone for Way<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for Way<H> {}

impl<H: Host> Clone for Ensured<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for Ensured<H> {}

impl<H: Host> core::fmt::Debug for Ensured<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ensured").finish_non_exhaustive()
    }
}

/// Sees to it that a thread state of the guard's interpreter is attached on this thread (`PyThreadState_Ensure`; SPEC T5).
/// See [`ensure_from_view`]; the guard is to be held until then only.
///
/// # Errors
/// As there, but neither `Finalizing` nor `Ended`.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn ensure<H: Host>(rt: &Runtime<H>, guard: &Guard<'_, H>) -> Result<Ensured<H>, AttachError> {
    // SAFETY: passed on.
    unsafe { ensure_from_view(rt, &guard.view()) }
}

/// Sees to it that a thread state of the view's interpreter is attached on this thread (`PyThreadState_EnsureFromView`; SPEC
/// T5). Each is answered by one [`release`], on the same thread, in reverse order.
///
/// Where one is attached already, or a safe frame of the interpreter lent its token by `call_out`, that is all. Otherwise one is
/// made and attached, in place of one of another interpreter that the raw layer attached: this one is suspended, and its
/// interpreter does not end meanwhile.
///
/// # Errors
/// `AlreadyAttached` under a safe frame that did not detach, or lent the token of another interpreter; `Stopped`, `Finalizing`,
/// `Ended`, `NoMemory`, `InInterrupt`: this thread is as before.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn ensure_from_view<H: Host>(
    rt: &Runtime<H>,
    view: &View<'_, H>,
) -> Result<Ensured<H>, AttachError> {
    if rt.host().in_interrupt() {
        return Err(AttachError::InInterrupt);
    }
    let wanted = view.slot();
    let attached = innermost(rt);
    let nested = attached.filter(|place| ptr::eq(place.interpreter, wanted));
    let lent = rt.lent_place(|session| ptr::eq(session.interpreter.get(), &raw const wanted.head));
    if let Some(place) = nested.or(lent) {
        // The frame keeps its interpreter, so the slot has no other; the view may be one of before.
        if place.interpreter.head.id.get() != view.id() {
            return Err(AttachError::Ended);
        }
        place.admits()?;
        return Ok(Ensured(nested.map_or(Way::Lent, |place| Way::Nested(RawThreadState::of(place)))));
    }
    let state = rt.new_thread(view.id(), ThreadWhence::CApi)?;
    let made = RawThreadState::of_state(&state);
    let before = attached.map(RawThreadState::of);
    let suspended = attached.map(Suspended::new);
    // SAFETY: passed on; nothing of this layer is attached on this thread.
    unsafe { attach(rt, made) }?;
    // The thread state is the raw layer's from here on, and `release` takes up the attach that is suspended.
    mem::forget((state, suspended));
    Ok(Ensured(Way::Made { made, before }))
}

/// Attaches what was attached before. Where the guest panicked what was made is left, detached, to the end of its interpreter.
struct Back<'rt, H: Host>(&'rt Runtime<H>, RawThreadState<H>, Option<Suspended<'rt, H>>);

impl<H: Host> Drop for Back<'_, H> {
    fn drop(&mut self) {
        if innermost(self.0).map(RawThreadState::of) == Some(self.1) {
            // SAFETY: [R1] of the release that this is a part of.
            let _ = unsafe { detach(self.0) };
        }
        drop(self.2.take());
    }
}

/// Takes back what an ensure did (`PyThreadState_Release`; SPEC T5): a thread state that it made is deleted, and the one that was
/// attached before is attached again, whatever happened meanwhile.
///
/// # Errors
/// `NotAttached` where that ensure is not the last one of this thread, or was taken back: nothing changed.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn release<H: Host>(rt: &Runtime<H>, ensured: Ensured<H>) -> Result<(), AttachError> {
    let attached = || innermost(rt).map(RawThreadState::of);
    match ensured.0 {
        Way::Lent => Ok(()),
        Way::Nested(state) if attached() == Some(state) => Ok(()),
        Way::Made { made, before } if attached() == Some(made) => {
            // SAFETY: passed on; it is suspended since the ensure, and its activation counted.
            let before = before.map(|before| unsafe { Suspended::again(before.place(rt)) });
            let _back = Back(rt, made, before);
            // SAFETY: passed on.
            Ok(unsafe { thread_delete_current(rt) }?)
        }
        _ => Err(AttachError::NotAttached),
    }
}
