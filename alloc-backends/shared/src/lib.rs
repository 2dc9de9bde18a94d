#![doc = include_str!("../README.md")]
#![no_std]

mod shared;

pub use shared::Shared;
