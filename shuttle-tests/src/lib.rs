#![doc = include_str!("../README.md")]
#![cfg_attr(not(archipelago_shuttle), no_std)]

#[cfg(archipelago_shuttle)]
mod gil;
#[cfg(archipelago_shuttle)]
mod host;
#[cfg(archipelago_shuttle)]
mod model;
#[cfg(archipelago_shuttle)]
mod parts;

#[cfg(archipelago_shuttle)]
pub use gil::ShuttleGil;
#[cfg(archipelago_shuttle)]
pub use host::ShuttleHost;
#[cfg(archipelago_shuttle)]
pub use model::{Inside, ShuttleRuntime, below, model, together};
#[cfg(archipelago_shuttle)]
pub use parts::{ShuttleClock, ShuttleLock, ShuttlePark, ShuttleSlot};
