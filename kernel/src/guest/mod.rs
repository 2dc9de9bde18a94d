//! Guest languages: one interface, several languages in one runtime (SPEC P1).
//!
//! A guest is given per interpreter, at creation, as a table of cold functions. It keeps its continuation in
//! its thread data, so one native stack can run many interpreters in turn; it runs its loop with the token
//! and calls [`safepoint`](crate::thread::Attached::safepoint) at back edges and calls. A primitive whose time grows with its operand
//! does it in pieces, each with [`work`](crate::thread::Attached::work): otherwise nothing can end it.

mod access;
mod run;
mod step;
mod table;

pub use access::GuestParts;
pub use step::{Fault, Step, Value, Waiting};
pub use table::GuestTable;

use crate::{error::GuestError, host::Host, thread::Attached};

/// A type at every brand: stored at one lifetime, seen at the token's.
///
/// `Send` keeps tokens and [`Owned`](crate::object::Owned) out of what is stored; the brand keeps another
/// interpreter's references out.
pub trait Family: 'static {
    /// The type as seen by interpreter `'i`.
    type At<'i>: Send;
}

/// A family whose type has no references into an interpreter.
pub struct Plain<T>(core::marker::PhantomData<fn() -> T>);

impl<T: Send + 'static> Family for Plain<T> {
    type At<'i> = T;
}

/// A language on hosts `H`.
pub trait Guest<H: Host>: 'static {
    /// Its state in each interpreter.
    type State: Family;
    /// Its data in each thread state: current exception, evaluation state, continuation (SPEC T8).
    type Thread: Family;

    /// The state of a new interpreter. A failure undoes the creation.
    ///
    /// # Errors
    /// Whatever kept it from starting.
    fn start<'i>(cx: &mut Attached<'i, H>) -> Result<<Self::State as Family>::At<'i>, GuestError>;

    /// The data of a new thread state, made when it is first asked for.
    ///
    /// # Errors
    /// Whatever kept it from starting.
    fn start_thread<'i>(cx: &mut Attached<'i, H>) -> Result<<Self::Thread as Family>::At<'i>, GuestError>;

    /// Runs source text or a compiled program in the interpreter's main namespace.
    fn exec(cx: &mut Attached<'_, H>, source: &[u8]) -> Step;

    /// Calls a function of the main namespace by name.
    fn call(cx: &mut Attached<'_, H>, name: &str, arguments: &[Value]) -> Step {
        let _ = (cx, name, arguments);
        Step::Failed(Fault::Refused(GuestError::Unsupported))
    }

    /// Goes on where the last step of this thread state yielded or waited.
    fn resume(cx: &mut Attached<'_, H>) -> Step;

    /// Evaluates the innermost frame of this thread state: what a frame evaluation function replaces
    /// (SPEC E7, PEP 523).
    fn eval(cx: &mut Attached<'_, H>, throwing: bool) -> Step {
        let _ = (cx, throwing);
        Step::Failed(Fault::Refused(GuestError::Unsupported))
    }

    /// The memory limit is near, or refused a request: called at the next safepoint, to free what can be freed (SPEC M6). Near
    /// is above seven eighths of it (of the soft one, if there is one); it may be near for a while, and the next call comes
    /// when half of what was left is gone too.
    fn memory_low(cx: &mut Attached<'_, H>) {
        let _ = cx;
    }

    /// The interpreter is being taken down: the last call with a token, before state and data are dropped.
    fn end(cx: &mut Attached<'_, H>) {
        let _ = cx;
    }
}
