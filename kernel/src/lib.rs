#![doc = include_str!("../README.md")]
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

#[macro_use]
mod macros;

pub mod config;
pub mod error;
pub mod gil;
pub mod host;
pub mod memory;
mod sync;
