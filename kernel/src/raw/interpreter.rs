//! Raw creation and end of interpreters.

#![allow(unsafe_code)]

use core::{mem, ptr, time::Duration};

use crate::{
    config::InterpreterConfig,
    error::{AttachError, CreateError, EndError, Error},
    guest::GuestTable,
    host::Host,
    interpreter::{InterpreterId, InterpreterSlot, Patience, Whence, end::Begun, retire},
    memory::Ledger,
    observe::Event,
    raw::{
        state::{RawThreadState, Suspended},
        thread::innermost,
    },
    runtime::{Runtime, RuntimePhase},
    thread::{ThreadState, place::Place, session::Session},
};

/// Creates an interpreter and attaches its first thread state in place of the caller's, which is detached
/// (`Py_NewInterpreterFromConfig`; SPEC L1). No OS thread is started.
///
/// # Errors
/// `NotAttached` if the caller has nothing attached; else the reason, and the caller is attached as before.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn new_interpreter_from_config<H: Host>(
    rt: &Runtime<H>,
    config: &InterpreterConfig,
    guest: Option<&'static GuestTable<H>>,
) -> Result<RawThreadState<H>, Error> {
    // SAFETY: passed on.
    unsafe { new_attached(rt, config, guest, Whence::CApi) }
}

/// The same with the legacy preset (`Py_NewInterpreter`; SPEC L2).
///
/// # Errors
/// As for [`new_interpreter_from_config`].
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn new_interpreter<H: Host>(
    rt: &Runtime<H>,
    guest: Option<&'static GuestTable<H>>,
) -> Result<RawThreadState<H>, Error> {
    // SAFETY: passed on.
    unsafe { new_attached(rt, &InterpreterConfig::legacy(), guest, Whence::LegacyCApi) }
}

unsafe fn new_attached<H: Host>(
    rt: &Runtime<H>,
    config: &InterpreterConfig,
    guest: Option<&'static GuestTable<H>>,
    whence: Whence,
) -> Result<RawThreadState<H>, Error> {
    let caller = innermost(rt).ok_or(AttachError::NotAttached)?;
    let suspended = Suspended::new(caller);
    let state = rt.create_as(config, guest, whence)?;
    let raw = RawThreadState::of_state(&state);
    let unwanted = Unwanted(&state);
    // SAFETY: passed on; nothing is attached on this thread.
    unsafe { super::attach(rt, raw) }?;
    mem::forget(unwanted);
    // The thread state is the raw layer's from here on.
    mem::forget(state);
    suspended.detach();
    Ok(raw)
}

/// Ends an interpreter that its creator may not attach to: nobody knows its name but observers, who are told.
struct Unwanted<'a, 'rt, H: Host>(&'a ThreadState<'rt, H>);

impl<H: Host> Drop for Unwanted<'_, '_, H> {
    fn drop(&mut self) {
        let (rt, id) = (self.0.runtime(), self.0.interpreter());
        let announce = || {
            let _ = rt.tell(&Event::InterpreterClearing { id });
            Ok(())
        };
        let begun = rt.begin_end(id, |_| Ok(()), announce).map(Begun::without_callbacks);
        if let Ok(slot) = begun.and_then(|begun| begun.await_exits(0, Some(Duration::ZERO))) {
            retire::clear(rt, slot, None);
        }
    }
}

/// Ends the interpreter of `state`, which must be attached on this thread (`Py_EndInterpreter`; SPEC L3). Afterwards
/// nothing is attached, and every thread state of the interpreter is gone.
///
/// # Errors
/// `StillActive` if `patience` ran out: `state` is attached as before, and the last activation to leave completes the
/// end. Otherwise nothing changed.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn end_interpreter<H: Host>(
    rt: &Runtime<H>,
    state: RawThreadState<H>,
    patience: Patience,
) -> Result<Ledger, EndError> {
    let place = begin(rt, state, patience, true)?;
    Ok(retire::clear(rt, place.interpreter, Some(place.thread)))
}

/// FINALIZING, the others gone, CLEARING; `state` is attached. `callbacks`: those for the end run before.
fn begin<H: Host>(
    rt: &Runtime<H>,
    state: RawThreadState<H>,
    patience: Patience,
    callbacks: bool,
) -> Result<Place<'_, H>, EndError> {
    let place = innermost(rt).ok_or(EndError::NotAttached)?;
    if RawThreadState::of(place) != state {
        return Err(EndError::NotAttached);
    }
    let id = place.interpreter.head.id.get();
    if id.is_main() {
        return Err(EndError::Main);
    }
    let suspended = Suspended::new(place);
    let refuse = |slot: &InterpreterSlot<H>| match Session::find::<H>(&raw const slot.head) {
        Some(_) => Err(EndError::WouldDeadlock),
        None => Ok(()),
    };
    let begun = rt.begin_end(id, refuse, || rt.tell(&Event::InterpreterClearing { id }))?;
    let begun = if callbacks { begun } else { begun.without_callbacks() };
    // The others need the GIL to leave, so it is not held meanwhile.
    begun.await_exits(1, patience)?;
    drop(suspended);
    Ok(place)
}

/// An interpreter without thread states (`PyInterpreterState_New`; SPEC L4), with the legacy preset.
///
/// # Errors
/// The reason; nothing is left behind.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn interpreter_new<H: Host>(
    rt: &Runtime<H>,
    guest: Option<&'static GuestTable<H>>,
) -> Result<InterpreterId, CreateError> {
    if rt.phase() != RuntimePhase::Running {
        return Err(CreateError::NotRunning);
    }
    // An attached thread state may exist: it is suspended meanwhile.
    let suspended = innermost(rt).map(Suspended::new);
    let made = rt.create_as(&InterpreterConfig::legacy(), guest, Whence::Unknown);
    let id = made.map(|state| state.interpreter());
    drop(suspended);
    id
}

/// Drops everything an interpreter holds (`PyInterpreterState_Clear`; SPEC L4). `state`, a thread state of it, must be
/// attached on this thread, and stays attached; no other thread may be active in it.
///
/// # Errors
/// As for [`end_interpreter`].
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn interpreter_clear<H: Host>(
    rt: &Runtime<H>,
    state: RawThreadState<H>,
    patience: Patience,
) -> Result<Ledger, EndError> {
    let place = begin(rt, state, patience, false)?;
    let mut ledger = Ledger::default();
    /// Also where a destructor of the guest panics: what is left is to be deleted.
    struct Cleared<'rt, H: Host>(Place<'rt, H>);
    impl<H: Host> Drop for Cleared<'_, H> {
        fn drop(&mut self) {
            self.0.rt.locked(|_| self.0.interpreter.head.cleared.set(true));
            self.0.rt.moved_on();
        }
    }
    let cleared = Cleared(place);
    // SAFETY: the phase is CLEARING, so this thread alone is in the interpreter; it holds the GIL through `place`.
    unsafe { retire::clear_on(place, &mut ledger) };
    drop(cleared);
    Ok(ledger)
}

/// Takes a cleared interpreter away (`PyInterpreterState_Delete`; SPEC L4). No thread state of it may be attached.
///
/// # Errors
/// `NotFound`, `NotCleared`, or `ThreadsLeft` while one is attached.
///
/// # Safety
/// \[R1\], see [`raw`](crate::raw)
pub unsafe fn interpreter_delete<H: Host>(rt: &Runtime<H>, id: InterpreterId) -> Result<(), EndError> {
    let slot = rt.locked(|registry| {
        let slot = rt.listed(registry, id).map_err(|_| EndError::NotFound)?;
        // Taken back at once, so that of two deletes one wins.
        match slot.head.cleared.replace(false) {
            false => Err(EndError::NotCleared),
            true if slot.head.word.activations() > 0 => {
                slot.head.cleared.set(true);
                Err(EndError::ThreadsLeft)
            }
            true => Ok(ptr::from_ref::<InterpreterSlot<H>>(slot)),
        }
    })?;
    // SAFETY: slots are type-stable; the phase is CLEARING and nobody is left inside.
    retire::retire(rt, unsafe { &*slot });
    Ok(())
}
