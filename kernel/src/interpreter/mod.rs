//! Interpreters: their memory, their life from creation to ledger, and the handle to one.

mod clear;
mod create;
pub(crate) mod end;
mod exit;
mod extras;
mod guard;
mod handle;
mod head;
mod id;
mod join;
mod orphan;
mod port;
mod reference;
mod reset;
pub(crate) mod retire;
mod share;
mod slot;
mod view;
mod wind_down;
pub(crate) mod word;

pub(crate) use create::Role;
pub use end::Patience;
pub use exit::{ExitFailed, ExitFn, ExitId};
pub use guard::{Guard, GuardCount};
pub use handle::{Interpreter, InterpreterStats};
pub(crate) use head::{Bound, InterpreterHead};
pub use id::{InterpreterId, Whence};
pub use join::JoinTicket;
pub use port::Port;
pub use reference::{Decref, References};
pub(crate) use slot::{InstantOf, InterpreterSlot};
pub(crate) use view::OpenVisit;
pub use view::View;
pub use word::Phase;
