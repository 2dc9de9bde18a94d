#![doc = include_str!("../README.md")]
#![no_std]

mod align;
mod pool;
mod raw;
mod set;

pub use align::{A16, A64, A256, A512, A1024, A4096, Alignment};
pub use pool::{Pool, PoolUsage};
pub use raw::PoolRaw;
pub use set::{MOST_POOLS, Pools};
