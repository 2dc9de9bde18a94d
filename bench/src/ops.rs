//! The operations of the kernel that are measured. Each is behind a call that is not inlined, as the C functions
//! of the peer are, so that the loop around it cannot take it apart.

use core::hint::black_box;

use archipelago::{
    Attached, GuestTable, InterpreterConfig, InterpreterId, Runtime, ThreadState, View,
    kernel::{
        self, Host,
        error::{AttachError, GuardError, Interrupt, PendingError},
        eval::PendingFailed,
        memory::Ledger,
    },
};
use parking_lot::Mutex;

use crate::Trouble;

/// Lets the GIL go and takes it back.
#[inline(never)]
pub fn detach<H: Host>(cx: &mut Attached<'_, H>) {
    cx.detach(|| black_box(()));
}

/// Opens and closes a frame: activation, GIL, token.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn attach<H: Host>(state: &mut ThreadState<'_, H>) -> Result<(), AttachError> {
    state.attach(|cx| {
        black_box(cx);
    })
}

/// Enters another thread state and comes back.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn enter(cx: &mut Attached<'_>, other: &mut ThreadState<'_>) -> Result<(), AttachError> {
    cx.enter(other, |cx| {
        black_box(cx);
    })
}

/// Asks whether there is something to do.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn safepoint(cx: &mut Attached<'_>) -> Result<(), Interrupt> {
    cx.safepoint()
}

/// A pending call that does nothing.
///
/// # Errors
/// None.
pub fn called(cx: &mut Attached<'_>, argument: usize) -> Result<(), PendingFailed> {
    black_box((cx, argument));
    Ok(())
}

/// Adds a pending call with the GIL.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn call_soon(cx: &Attached<'_>) -> Result<(), PendingError> {
    cx.call_soon(called, black_box(0))
}

/// Makes an isolated interpreter without a guest and ends it with its thread state.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn create_end(rt: &Runtime) -> Result<Ledger, Trouble> {
    let state =
        rt.create(black_box(&InterpreterConfig::isolated()), black_box(None::<&'static GuestTable>))?;
    Ok(rt.end(state.interpreter(), None)?)
}

/// Makes a thread state and deletes it.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn thread_state(rt: &Runtime, id: InterpreterId) -> Result<(), Trouble> {
    drop(black_box(rt.thread_state(black_box(id))?));
    Ok(())
}

/// A token for a thread that has none: a thread state made, attached, detached and deleted.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn ensure(rt: &Runtime, id: InterpreterId) -> Result<(), AttachError> {
    rt.ensure(black_box(id), |cx| {
        black_box(cx);
    })
}

/// The same by a view.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn ensure_by(view: View<'_>) -> Result<(), AttachError> {
    view.ensure(|cx| {
        black_box(cx);
    })
}

/// Takes a guard and gives it back.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn guard(view: View<'_>) -> Result<(), GuardError> {
    drop(black_box(view.guard()?));
    Ok(())
}

/// The same with a label.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn labelled_guard(view: View<'_>) -> Result<(), GuardError> {
    drop(black_box(view.guard_labelled(black_box("a figure"))?));
    Ok(())
}

/// Makes a small object and releases it.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn alloc_release(cx: &mut Attached<'_>) -> Result<(), Trouble> {
    let object = cx.alloc_plain(black_box(1_u64)).map_err(|(_, error)| error)?;
    object.release(cx);
    Ok(())
}

/// The peer of `detach`: the mutex that the GIL is made of, alone.
#[inline(never)]
pub fn lock_unlock(mutex: &Mutex<()>) {
    let guard = mutex.lock();
    black_box(&guard);
}

/// An isolated interpreter with no guest, and this thread's state for it.
///
/// # Errors
/// The kernel's.
pub fn isolated<H: Host>(rt: &kernel::Runtime<H>) -> Result<ThreadState<'_, H>, Trouble> {
    Ok(rt.create(&InterpreterConfig::isolated(), None).map_err(archipelago::Error::from)?)
}
