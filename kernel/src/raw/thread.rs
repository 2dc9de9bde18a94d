//! Raw thread states: attach, detach, swap, and their lives.

#![allow(unsafe_code)]

use core::{mem, ptr};

use crate::{
    error::{AttachError, ThreadError},
    host::Host,
    interpreter::{InterpreterId, InterpreterSlot, Phase},
    raw::state::{RawThreadState, Suspended, Use, leave_thread},
    runtime::Runtime,
    thread::{
        Attached, Status, ThreadWhence,
        place::Place,
        session::{Hold, Session},
        slot::ThreadSlot,
    },
};

/// The raw attach that is innermost on this thread.
pub(super) fn innermost<H: Host>(rt: &Runtime<H>) -> Option<Place<'_, H>> {
    let session = Session::attached::<H>()?;
    // SAFETY: [S1] an open session's slots are alive; [R1] they belong to this runtime.
    let place = unsafe { Place::of_session(rt, session) };
    ptr::eq(session, &place.thread.session).then_some(place)
}

/// The thread state attached on this thread by the raw layer (`PyThreadState_GetUnchecked`; SPEC T4): an ordinary
/// answer if there is none.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn current<H: Host>(rt: &Runtime<H>) -> Option<RawThreadState<H>> {
    innermost(rt).map(RawThreadState::of)
}

/// The interpreter this thread is attached to, by either layer (`PyInterpreterState_Get`; SPEC T4).
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn current_interpreter<H: Host>(_: &Runtime<H>) -> Option<InterpreterId> {
    crate::thread::current::<H>().map(|current| current.interpreter)
}

/// A thread state (`PyThreadState_New`; SPEC T1), detached.
///
/// # Errors
/// As for [`Runtime::thread_state`].
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn thread_new<H: Host>(
    rt: &Runtime<H>,
    id: InterpreterId,
) -> Result<RawThreadState<H>, ThreadError> {
    let state = rt.new_thread(id, ThreadWhence::CApi)?;
    let raw = RawThreadState::of_state(&state);
    mem::forget(state);
    Ok(raw)
}

/// Attaches (`PyEval_RestoreThread`, `PyEval_AcquireThread`; SPEC T2).
///
/// # Errors
/// `AlreadyAttached`, `Finalizing`, `Ended`: nothing changed. It never hangs for the end of the interpreter.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw). The thread state was made by this layer.
#[inline]
pub unsafe fn attach<H: Host>(rt: &Runtime<H>, state: RawThreadState<H>) -> Result<(), AttachError> {
    // SAFETY: passed on.
    let place = unsafe { state.place(rt) };
    // SAFETY: passed on.
    unsafe { attach_to(rt, place.interpreter, place.thread, state.generation) }
}

/// As [`attach`], with everything in registers.
///
/// # Safety
/// As there.
#[inline(never)]
unsafe fn attach_to<'rt, H: Host>(
    rt: &'rt Runtime<H>,
    interpreter: &'rt InterpreterSlot<H>,
    thread: &'rt ThreadSlot,
    generation: u32,
) -> Result<(), AttachError> {
    let place = Place { rt, interpreter, thread };
    if Session::held::<H>().is_some() {
        return Err(rt.already_attached());
    }
    let activation = place.activate(generation)?;
    let used = Use::begin(place, generation).ok_or(AttachError::AlreadyAttached)?;
    place.take_gil()?;
    mem::forget((activation, used));
    // SAFETY: passed on.
    unsafe { open(place) };
    Ok(())
}

/// Detaches what is attached (`PyEval_SaveThread`; SPEC T2), and names it.
///
/// # Errors
/// `NotAttached` if the innermost frame of this thread is not a raw attach.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn detach<H: Host>(rt: &Runtime<H>) -> Result<RawThreadState<H>, AttachError> {
    let place = innermost(rt).ok_or(AttachError::NotAttached)?;
    let state = RawThreadState::of(place);
    drop(let_go(place));
    Ok(state)
}

/// Detaches, but for the use, which is over when the answer is dropped.
fn let_go<H: Host>(place: Place<'_, H>) -> Use<'_> {
    let used = Use::of_attached(place);
    place.thread.session.close::<H>();
    place.drop_gil(Status::Detached);
    place.leave();
    used
}

/// Attaches another thread state in place of the present one (`PyThreadState_Swap`; SPEC T3), and names the present
/// one. Under one GIL the lock is kept.
///
/// # Errors
/// As for [`attach`]; the present one is then attached as before.
///
/// # Safety
/// As for [`attach`].
#[inline]
pub unsafe fn swap<H: Host>(
    rt: &Runtime<H>,
    to: Option<RawThreadState<H>>,
) -> Result<Option<RawThreadState<H>>, AttachError> {
    let Some(from) = innermost(rt) else {
        // SAFETY: passed on.
        return unsafe { to.map_or(Ok(()), |to| attach(rt, to)) }.map(|()| None);
    };
    let old = RawThreadState::of(from);
    match to {
        None => drop(let_go(from)),
        Some(state) if state == old => {}
        Some(state) => {
            // SAFETY: passed on; slots are type-stable.
            unsafe { swap_to(rt, &*state.interpreter, &*state.thread, state.generation, from.thread) }?;
        }
    }
    Ok(Some(old))
}

/// `present`: the thread state that is attached. Arguments and answer go in registers.
///
/// # Safety
/// As for [`attach`].
#[inline(never)]
unsafe fn swap_to<'rt, H: Host>(
    rt: &'rt Runtime<H>,
    interpreter: &'rt InterpreterSlot<H>,
    thread: &'rt ThreadSlot,
    generation: u32,
    present: &'rt ThreadSlot,
) -> Result<(), AttachError> {
    // SAFETY: passed on.
    unsafe {
        match ptr::eq(present.session.interpreter.get(), ptr::from_ref(interpreter).cast()) {
            true => swap_within(rt, interpreter, thread, generation, present),
            false => swap_across(rt, interpreter, thread, generation, present),
        }
    }
}

/// As [`swap_to`], in one interpreter.
///
/// # Safety
/// As there.
#[inline(never)]
unsafe fn swap_within<'rt, H: Host>(
    rt: &'rt Runtime<H>,
    interpreter: &'rt InterpreterSlot<H>,
    thread: &'rt ThreadSlot,
    generation: u32,
    present: &'rt ThreadSlot,
) -> Result<(), AttachError> {
    let place = Place { rt, interpreter, thread };
    if rt.host().in_interrupt() {
        return Err(AttachError::InInterrupt);
    }
    // The activation that is counted is handed over.
    place.beside(generation)?;
    let used = Use::begin(place, generation).ok_or(AttachError::AlreadyAttached)?;
    place.admit_thread()?;
    mem::forget(used);
    // SAFETY: passed on; [T1] one interpreter has one GIL.
    unsafe { take_over(place, Place { thread: present, ..place }) };
    Ok(())
}

/// As [`swap_to`], to another interpreter.
///
/// # Safety
/// As there.
#[inline(never)]
unsafe fn swap_across<'rt, H: Host>(
    rt: &'rt Runtime<H>,
    interpreter: &'rt InterpreterSlot<H>,
    thread: &'rt ThreadSlot,
    generation: u32,
    present: &'rt ThreadSlot,
) -> Result<(), AttachError> {
    let place = Place { rt, interpreter, thread };
    // SAFETY: [S1] an open session's slots are alive; [R1] they belong to this runtime.
    let from = unsafe { Place::of_session(rt, &present.session) };
    let activation = place.activate(generation)?;
    let used = Use::begin(place, generation).ok_or(AttachError::AlreadyAttached)?;
    if !ptr::eq(interpreter.gil(), from.interpreter.gil()) {
        let suspended = Suspended::new(from);
        place.take_gil()?;
        mem::forget((activation, used));
        // SAFETY: passed on.
        unsafe { open(place) };
        suspended.detach();
        return Ok(());
    }
    place.admit_thread()?;
    mem::forget((activation, used));
    // SAFETY: passed on; [T1] this thread holds the GIL that both use.
    unsafe { take_over(place, from) };
    from.leave();
    Ok(())
}

/// Attaches through `place` in place of `from`, under the GIL that this thread holds. It does not unwind.
///
/// # Safety
/// As for [`attach`]; activation and use are counted, and one GIL serves both.
#[inline]
unsafe fn take_over<H: Host>(place: Place<'_, H>, from: Place<'_, H>) {
    from.thread.session.hold.set(Hold::Nothing);
    // SAFETY: [T1] passed on.
    unsafe { place.rename_gil(from) };
    // SAFETY: as in `open`; the other record is innermost.
    unsafe { place.thread.session.replace(place, &from.thread.session) };
    place.notice_mains();
    leave_thread(from);
}

/// Makes an attach innermost, whose activation is counted and whose GIL is held.
///
/// # Safety
/// As for [`attach`].
unsafe fn open<H: Host>(place: Place<'_, H>) {
    // SAFETY: the record lies in the thread slot, which is type-stable; [R1] for the order.
    unsafe { place.thread.session.open(place) };
    place.notice_mains();
}

/// Runs `f` with a token for the thread state that is attached by the raw layer, or whose token a safe frame lent by
/// `call_out`.
///
/// # Errors
/// `NotAttached` if there is none; `Finalizing` if its interpreter was cleared.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw). `f` does not use the raw layer but inside `detach`.
pub unsafe fn with_token<H: Host, R>(
    rt: &Runtime<H>,
    f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R,
) -> Result<R, AttachError> {
    let Some(place) = innermost(rt) else {
        return rt.lent_place(|_| true).ok_or(AttachError::NotAttached)?.nest(f);
    };
    // What `interpreter_clear` swept must not be filled again.
    if place.interpreter.head.word.phase() == Phase::Clearing {
        return Err(AttachError::Finalizing);
    }
    // SAFETY: the raw attach counts an activation and holds the GIL through this place; it has no token of its
    // own, so the new one is unique.
    Ok(unsafe { place.frame(f) })
}

/// Drops what a thread state holds (`PyThreadState_Clear`; SPEC T1). A thread state of its interpreter must be attached
/// on this thread.
///
/// # Errors
/// `Stale`, or `InUse` if another thread has it attached or suspended.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw). The thread state was made by this layer.
pub unsafe fn thread_clear<H: Host>(rt: &Runtime<H>, state: RawThreadState<H>) -> Result<(), ThreadError> {
    let place = innermost(rt).ok_or(ThreadError::NotAttached)?;
    // SAFETY: slots are type-stable.
    let thread = unsafe { &*state.thread };
    if !ptr::eq(place.interpreter, state.interpreter) || thread.generation() != state.generation {
        return Err(ThreadError::Stale);
    }
    let own = Place { thread, ..place };
    // The attached one is in this caller's use already.
    let used = Use::begin(own, state.generation);
    if !ptr::eq(thread, place.thread) && (used.is_none() || thread.status() != Status::Detached) {
        return Err(ThreadError::InUse);
    }
    // SAFETY: this thread holds the GIL of the interpreter, so nobody runs `own`; its data is dropped on a token.
    unsafe { own.frame(|cx| cx.drop_thread_data()) };
    place.interpreter.head.vacate_main_slot(thread);
    thread.cleared.set(true);
    Ok(())
}

/// Deletes a thread state that was cleared (`PyThreadState_Delete`; SPEC T1). It must not be attached.
///
/// # Errors
/// `Stale`, `InUse`, `NotCleared`: nothing changed.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw). The thread state was made by this layer.
pub unsafe fn thread_delete<H: Host>(rt: &Runtime<H>, state: RawThreadState<H>) -> Result<(), ThreadError> {
    // SAFETY: passed on.
    let place = unsafe { state.place(rt) };
    let used = Use::begin(place, state.generation);
    // SAFETY: passed on.
    let cleared = unsafe {
        state.read(rt, |place| match place.thread.status() {
            Status::Detached if used.is_some() => match place.thread.cleared.get() {
                true => Ok(()),
                false => Err(ThreadError::NotCleared),
            },
            _ => Err(ThreadError::InUse),
        })
    }?;
    cleared?;
    rt.delete_thread(place.thread, place.interpreter, state.generation);
    // Taken for ever: an attach that looked at the generation before must not get it now.
    mem::forget(used);
    Ok(())
}

/// Clears, detaches and deletes the thread state that is attached (`PyThreadState_DeleteCurrent`).
///
/// # Errors
/// `NotAttached` if none is.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn thread_delete_current<H: Host>(rt: &Runtime<H>) -> Result<(), ThreadError> {
    let place = innermost(rt).ok_or(ThreadError::NotAttached)?;
    let state = RawThreadState::of(place);
    // SAFETY: passed on.
    unsafe { thread_clear(rt, state) }?;
    // In use for ever, so that nobody attaches it meanwhile.
    mem::forget(let_go(place));
    rt.delete_thread(place.thread, place.interpreter, state.generation);
    Ok(())
}

/// The newest thread state of an interpreter (`PyInterpreterState_ThreadHead`).
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn thread_head<H: Host>(rt: &Runtime<H>, id: InterpreterId) -> Option<RawThreadState<H>> {
    rt.locked(|registry| {
        let interpreter = rt.listed(registry, id).ok()?;
        // SAFETY: under the lock the list is stable, and its slots are type-stable.
        let thread = unsafe { interpreter.head.threads.get().as_ref() }?;
        Some(RawThreadState::of(Place { rt, interpreter, thread }))
    })
}

/// The next older thread state of the same interpreter (`PyThreadState_Next`); `None` after the last, and if `state`
/// was deleted.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn thread_next<H: Host>(rt: &Runtime<H>, state: RawThreadState<H>) -> Option<RawThreadState<H>> {
    let next = |place: Place<'_, H>| {
        // SAFETY: under the lock the list is stable, and its slots are type-stable.
        let thread = unsafe { place.thread.next.get().as_ref() }?;
        Some(RawThreadState::of(Place { thread, ..place }))
    };
    // SAFETY: passed on.
    unsafe { state.read(rt, next) }.ok().flatten()
}
