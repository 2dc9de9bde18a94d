//! Suites that run against every host: what the kernel promises, said once and instantiated for each host.
//!
//! `tests/conformance.rs` runs everything under [`suite`] on `StdHost`, on [`BareHost`] and on [`PoolHost`]. Each test cites the
//! rows of docs/features.md it proves, and CPython's test where it restates one.

mod bare;
mod host;
mod pools;
pub mod suite;
pub mod support;

pub use bare::{BareHost, BareRaw, CoreSlot, Machine, Ticks, YieldingCore};
pub use host::TestHost;
pub use pools::{LeasedPools, PoolHost};
