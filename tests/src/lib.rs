//! Suites that run against every host: what the kernel promises, said once and instantiated for each host.
//!
//! `tests/conformance.rs` runs everything under [`suite`] on [`ScannedStdHost`], on [`BareHost`], on [`PoolHost`] and on [`OneHeapHost`].
//! Each test cites the rows of docs/features.md it proves, and CPython's test where it restates one.

mod bare;
mod host;
mod one_heap;
mod pools;
mod scanned;
pub mod suite;
pub mod support;

pub use bare::{BareHost, BareRaw, CoreSlot, Machine, Ticks, YieldingCore};
pub use host::TestHost;
pub use one_heap::{CountedLock, OneHeapHost};
pub use pools::{LeasedPools, PoolHost};
pub use scanned::Scanned;

/// The std host with heaps that look at themselves.
pub type ScannedStdHost = archipelago::StdHostOf<Scanned<archipelago::UsualHeap>>;
