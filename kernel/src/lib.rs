#![doc = include_str!("../README.md")]
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

#[macro_use]
mod macros;

pub mod collections;
pub mod config;
pub mod error;
pub mod eval;
pub mod gil;
pub mod guest;
pub mod host;
pub mod interpreter;
pub mod memory;
pub mod object;
pub mod observe;
pub mod raw;
pub mod runtime;
mod sync;
pub mod thread;

pub use error::Error;
pub use host::Host;
pub use interpreter::{Interpreter, InterpreterId};
pub use runtime::Runtime;
pub use thread::{Attached, ThreadState};
