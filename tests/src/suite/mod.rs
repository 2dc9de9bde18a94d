//! The conformance suite, one module per noun. Every function is one test, for any host; the `SPEC` line above it
//! names the rows it proves, the `CPython` line the test it restates.

pub mod config;
pub mod lifecycle;
pub mod registry;
