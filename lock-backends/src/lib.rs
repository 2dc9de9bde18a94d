#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(any(feature = "spin", feature = "lock-api-04", feature = "lock-api-05"))]
#[macro_use]
mod both;

#[cfg(feature = "critical-section")]
mod critical_section;
#[cfg(feature = "lock-api-04")]
mod lock_api_04;
#[cfg(feature = "lock-api-05")]
mod lock_api_05;
#[cfg(feature = "spin")]
mod spin;

#[cfg(feature = "critical-section")]
pub use self::critical_section::{CsGil, CsLock, CsTicketGil, Relax, Spinning};
#[cfg(feature = "lock-api-04")]
pub use self::lock_api_04::FromLockApi04;
#[cfg(feature = "lock-api-05")]
pub use self::lock_api_05::FromLockApi05;
#[cfg(feature = "spin")]
pub use self::spin::{SpinLock, TicketLock};
