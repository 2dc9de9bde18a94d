//! Memory: domains, accounts, ledger.
mod domain;
pub use domain::{AllocCause, AllocError, Domain};
