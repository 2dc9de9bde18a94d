//! Memory: the three domains, exact accounts, the seam to the backends, and the ledger.

mod account;
mod domain;
mod ledger;
mod seam;
mod tenant;

pub(crate) use account::Account;
pub use account::{DomainUsage, Usage};
pub use domain::{AllocCause, AllocError, Domain};
pub use ledger::Ledger;
pub(crate) use seam::{raw_allocate, raw_deallocate};
pub(crate) use tenant::Tenant;
