//! Interpreters: their memory, their life from creation to ledger, and the handle to one.

mod clear;
mod create;
pub(crate) mod end;
mod handle;
mod head;
mod id;
mod port;
mod reset;
pub(crate) mod retire;
mod share;
mod slot;
pub(crate) mod word;

pub(crate) use create::Role;
pub use end::Patience;
pub use handle::{Interpreter, InterpreterStats};
pub(crate) use head::{Bound, InterpreterHead};
pub use id::{InterpreterId, Whence};
pub use port::Port;
pub(crate) use slot::InterpreterSlot;
pub use word::Phase;
