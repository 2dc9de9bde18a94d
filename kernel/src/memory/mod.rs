//! Memory: the three domains, exact accounts, the seam to the backends, and the ledger.

mod account;
mod domain;
mod domain_account;
mod ledger;
mod limits;
mod raw;
mod reach;
mod seam;
mod tenant;
mod transit;
mod usage;

pub(crate) use account::{Account, Nearness};
pub use domain::{AllocCause, AllocError, Asker, Domain};
pub use ledger::Ledger;
pub use limits::{LimitError, MemoryLimits};
pub use raw::RawDomain;
pub(crate) use tenant::Tenant;
pub use transit::TransitAccount;
pub use usage::{DomainUsage, Usage};
