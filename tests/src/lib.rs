//! Suites that run against every host: what the kernel promises, said once and instantiated for each host.
//!
//! `tests/conformance.rs` runs everything under [`suite`] on `StdHost` and on [`BareHost`]. Each test cites the
//! rows of docs/features.md it proves, and CPython's test where it restates one.

mod bare;
mod host;
pub mod suite;
pub mod support;

pub use bare::{BareHost, BareRaw, CoreSlot, Ticks, YieldingCore};
pub use host::TestHost;
