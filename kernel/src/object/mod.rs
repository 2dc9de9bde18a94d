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

pub use global::Global;
pub(crate) use global::GlobalTable;
pub(crate) use header::ObjectHeader;
pub use owned::{Edge, Local, Owned};
pub(crate) use release::{drop_all, free_all, settle};
