#![doc = include_str!("../README.md")]
#![no_std]

mod block;
mod cache;
mod heap;
mod live;

pub use heap::BlockHeap;
