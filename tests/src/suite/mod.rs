//! The conformance suite, one module per noun. Every function is one test, for any host. Its `SPEC` line names the
//! rows of docs/features.md it proves, its `CPython` lines the tests it restates.

pub mod accounts;
pub mod calls;
pub mod close;
pub mod config;
pub mod containers;
pub mod eval;
pub mod exits;
pub mod finalization;
pub mod foreign;
pub mod gil;
pub mod guards;
pub mod guest;
pub mod interrupts;
pub mod lifecycle;
pub mod limits;
pub mod memory;
pub mod names;
pub mod objects;
pub mod observers;
pub mod pending;
pub mod raw;
pub mod raw_ensure;
pub mod references;
pub mod registry;
pub mod reset;
pub mod running;
pub mod signals;
pub mod small_limits;
pub mod swap;
pub mod thread_states;
pub mod values;
pub mod watchers;
pub mod world;
