#![doc = include_str!("../README.md")]
#![cfg_attr(not(archipelago_loom), no_std)]

#[cfg(archipelago_loom)]
mod heard;
#[cfg(archipelago_loom)]
mod host;
#[cfg(archipelago_loom)]
mod model;
#[cfg(archipelago_loom)]
mod parts;
#[cfg(archipelago_loom)]
mod sleepers;
#[cfg(archipelago_loom)]
mod time;
#[cfg(archipelago_loom)]
mod timed_gil;

#[cfg(archipelago_loom)]
pub use heard::Heard;
#[cfg(archipelago_loom)]
pub use host::{LoomHost, as_handler, handed_over, times_run_out};
#[cfg(archipelago_loom)]
pub use model::{
    Carry, Flag, Guarded, LoomRuntime, bumps_once, is_gone, model, one_heap_model, own_gil,
    own_gil_in_mains_heap, passes_by, port, second, shared_gil, timed_model, timed_one_heap_model,
};
#[cfg(archipelago_loom)]
pub use parts::{LoomGil, LoomHeap, LoomLock, LoomOneHeap, LoomPark, LoomRaw, LoomSlot};
#[cfg(archipelago_loom)]
pub use time::LoomClock;
#[cfg(archipelago_loom)]
pub use timed_gil::{LoomTimedGil, interval_passes, passed_by, places_are_kept, standing};
