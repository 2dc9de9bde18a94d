//! The GIL.
mod policy;
pub use policy::{Blocking, GilPolicy, Interval};
