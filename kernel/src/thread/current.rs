//! Who runs on this thread (SPEC T4).

#![allow(unsafe_code)]

use crate::{host::Host, interpreter::InterpreterId, thread::session::Session};

/// The thread state that is attached on this OS thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Current {
    /// Its interpreter.
    pub interpreter: InterpreterId,
    /// Its number.
    pub thread: u64,
}

/// What is attached on this thread, in constant time and without a token (`PyThreadState_GetUnchecked`,
/// `PyInterpreterState_Get`). `None` is an ordinary answer.
#[inline]
pub fn current<H: Host>() -> Option<Current> {
    let session = Session::attached::<H>()?;
    // SAFETY: [S1] the slots of an open frame are alive, and these fields constant while they are.
    unsafe {
        let interpreter = (*session.interpreter.get()).id.get();
        Some(Current { interpreter, thread: (*session.thread.get()).number.get() })
    }
}
