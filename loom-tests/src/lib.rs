#![doc = include_str!("../README.md")]
#![cfg_attr(not(archipelago_loom), no_std)]

#[cfg(archipelago_loom)]
mod host;
#[cfg(archipelago_loom)]
mod model;
#[cfg(archipelago_loom)]
mod parts;

#[cfg(archipelago_loom)]
pub use host::{LoomHost, handed_over};
#[cfg(archipelago_loom)]
pub use model::{Carry, Guarded, LoomRuntime, model, own_gil, second, shared_gil};
#[cfg(archipelago_loom)]
pub use parts::{LoomGil, LoomHeap, LoomLock, LoomPark, LoomRaw, LoomSlot};
