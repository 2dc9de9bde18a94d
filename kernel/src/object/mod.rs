//! Objects: values in an interpreter's object domain, counted without atomics, reached through handles that
//! carry the interpreter's brand (SPEC O1, O3, T6).
//!
//! The invariant that carries everything, \[O1\] (docs/soundness/objects.md): values are dropped and memory is
//! freed only under `&mut Attached` of their interpreter, and whatever carries a brand `'i` dies before the
//! closure that was given `'i` returns.

mod global;
mod header;
mod owned;
mod release;
mod values;

pub use crate::guest::{Family, Plain};
pub use global::Global;
pub(crate) use global::GlobalTable;
pub(crate) use header::{Kind, ObjectHeader, Tailed};
pub use owned::{AnyEdge, Edge, Local, Owned};
pub(crate) use release::{discard, drop_all, give_up, release, resize, settle};
pub(crate) use values::HostValues;
pub use values::InterpreterLocal;
