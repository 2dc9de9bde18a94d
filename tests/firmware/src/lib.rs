//! The host: one core, no operating system, memory that is reserved when the image is linked.
#![no_std]

pub mod board;
pub mod clock;
pub mod counter;
pub mod handler;
#[cfg_attr(feature = "pools", path = "pools.rs")]
pub mod memory;
pub mod phases;
pub mod slot;
pub mod stack;

use archipelago_kernel::Runtime;

use board::{Board, Lock};

/// The board's numbers, written by the build script.
pub mod numbers {
    #![allow(missing_docs)]
    include!(concat!(env!("OUT_DIR"), "/numbers.rs"));
}

/// The runtime of this image.
pub static RUNTIME: Runtime<Board> = Runtime::new(Board::new(), memory::raw(), Lock::new_const());
