//! The raw layer: the C interface's contracts, one for one, as `unsafe` functions that answer a status where
//! CPython aborts the process.
//!
//! Thread states are named by pointer and generation, attaching is a state of the thread instead of a scope,
//! and nothing is checked by the borrow checker. The safe layer and this one stand on the same steps; both may be
//! used in one program, and raw attaches nest inside a safe [`detach`](crate::thread::Attached::detach).
//!
//! # Safety
//! Common to all functions here, \[R1\]: the runtime is the one the thread state or interpreter was made by, it is
//! neither moved nor dropped while a raw attach is open, and raw attaches of a thread are closed in reverse order
//! with safe frames: what was attached inside a closure is detached before the closure returns.
#![allow(unsafe_code)]

mod ensure;
mod interpreter;
mod state;
mod thread;

pub use ensure::{Ensured, ensure, ensure_from_view, release};
pub use interpreter::{
    end_interpreter, interpreter_clear, interpreter_delete, interpreter_new, new_interpreter,
    new_interpreter_from_config,
};
pub use state::RawThreadState;
pub use thread::{
    attach, current, current_interpreter, detach, swap, thread_clear, thread_delete, thread_delete_current,
    thread_head, thread_new, thread_next, with_token,
};
