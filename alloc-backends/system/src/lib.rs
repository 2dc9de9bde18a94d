#![doc = include_str!("../README.md")]

mod counted;
mod system;

pub use counted::CountedSystem;
pub use system::SystemRaw;
