//! A guard that keeps its runtime too, so that it can be moved into any thread (SPEC L10).
#![allow(unsafe_code)]

use std::sync::Arc;

use archipelago_kernel::{self as kernel, InterpreterId, error::AttachError};

use crate::{Attached, Error, Guard, OnStd, Runtime, StdHost};

/// Keeps an interpreter from ending, wherever it goes: a [`Guard`] that borrows nothing.
///
/// It keeps the memory of the runtime, but it is no handle to it: the drop of the last [`Runtime`] does not wait for guards longer than for
/// daemons. The interpreter then goes on until the guard is given back, and ends with it.
///
/// ```
/// use archipelago::{InterpreterConfig, Runtime};
///
/// let runtime = Runtime::new()?;
/// let id = runtime.create(&InterpreterConfig::isolated(), None)?.interpreter();
/// let guard = runtime.guard(id)?;
/// let thread = std::thread::spawn(move || guard.ensure(|cx| cx.id()));
/// assert_eq!(thread.join().expect("no panic")?, id);
/// # Ok::<(), archipelago::Error>(())
/// ```
pub struct OwnedGuard<H: OnStd = StdHost> {
    /// Before the runtime, so that it is dropped first.
    guard: kernel::interpreter::Guard<'static, H>,
    _runtime: Arc<kernel::Runtime<H>>,
}

impl<H: OnStd> Runtime<H> {
    /// Keeps `interpreter` from ending until the guard is dropped.
    ///
    /// # Errors
    /// It ends or ended; too many are held.
    pub fn guard(&self, interpreter: InterpreterId) -> Result<OwnedGuard<H>, Error> {
        let runtime = Arc::clone(self.kernel());
        // SAFETY: [A1] the runtime stays where it is as long as the `Arc` beside the guard, which is dropped after it; and the
        // guard is lent for no longer than its owner.
        let kept: &'static kernel::Runtime<H> = unsafe { &*Arc::as_ptr(&runtime) };
        let guard = kept.interpreter(interpreter)?.view()?.guard()?;
        Ok(OwnedGuard { guard, _runtime: runtime })
    }
}

impl<H: OnStd> OwnedGuard<H> {
    /// The guard, for as long as this one is borrowed.
    pub fn get(&self) -> &Guard<'_, H> {
        &self.guard
    }

    /// The interpreter it keeps.
    pub fn id(&self) -> InterpreterId {
        self.guard.id()
    }

    /// A token for a thread that has none in its hands, as [`Guard::ensure`].
    ///
    /// # Errors
    /// As there.
    pub fn ensure<R>(&self, f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R) -> Result<R, AttachError> {
        self.guard.ensure(f)
    }
}
