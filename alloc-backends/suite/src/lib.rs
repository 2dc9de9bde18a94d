#![doc = include_str!("../README.md")]

mod checked;
mod direct;
mod filled;
pub mod heap;
mod heap_suite;
mod model;
mod random;
pub mod raw;
pub mod served;
mod subject;

pub use checked::{Checked, Lie};
pub use direct::DirectHeap;
pub use filled::Filled;
pub use model::Model;
pub use subject::{OnHeap, OnRaw, Subject};

/// Rounds that take some milliseconds natively and some seconds in Miri.
pub(crate) const fn rounds(native: usize) -> usize {
    if cfg!(miri) { native / 50 + 2 } else { native }
}
