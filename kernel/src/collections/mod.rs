//! Containers that live in an interpreter's heap (SPEC M5, M10): `Box`, `Vec`, `Rc`, `Text` and `Map`, and
//! `foreign::InHeap` for those of others (feature `allocator-api2`).
//!
//! A container is one pointer with the interpreter's brand, empty without a block. What it may do without a token is to be
//! dropped, and then it defers: its block goes on the interpreter's owed list, like an object's, and elements and memory go
//! at the next safepoint. So containers are `Send` where their elements are: they lie in objects and in guest state as they
//! are, and beside a thread that has one there is no token to read it with.
//!
//! Everything else takes the token. Reading borrows container and token; what changes a container takes it by `&mut` and
//! borrows the token shared, for then nobody else reads it: so a text is appended to another without a copy between. A
//! container that objects share is changed through `RefCell`, or in [`Rc`] by the unique token.
//!
//! Whatever takes memory may be refused, and answers with what it could not store.
//!
//! The argument, \[K1\] and \[K2\]: docs/soundness/containers.md.

mod boxed;
#[cfg(feature = "allocator-api2")]
pub mod foreign;
mod hash;
mod map;
mod rc;
mod single;
mod table;
mod text;
mod vec;

pub use boxed::Box;
pub use hash::Lookup;
pub use map::{Iter, Map};
pub use rc::Rc;
pub use text::Text;
pub use vec::Vec;
