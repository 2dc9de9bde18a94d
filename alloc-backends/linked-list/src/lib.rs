#![doc = include_str!("../README.md")]
#![no_std]

mod error;
mod raw;

pub use error::InitError;
pub use raw::LinkedListRaw;
