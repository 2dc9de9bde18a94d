#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod arithmetic;
mod assemble;
mod code;
mod exception;
mod guest;
mod node;
mod op;
mod run;
mod source;
mod state;
mod thread;

pub use assemble::SyntaxError;
pub use code::Code;
pub use exception::Exception;
pub use guest::Toy;
pub use node::{Node, NodeFamily};
pub use op::Op;
pub use state::{State, ToyState};
pub use thread::{Thread, ToyThread};
