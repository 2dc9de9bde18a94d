#![doc = include_str!("../README.md")]

mod account;
pub mod accounts;
mod driver;
mod exits;
mod forever;
mod guest;
pub mod heaps;
mod host;
pub mod map;
mod model;
mod operation;
mod scopes;
mod sizes;
mod teardown;
mod visitor;
mod witness;

pub use driver::{Setup, run};
pub use host::{ManualClock, ManualHost, SharedRaw, manual};
pub use model::Model;
pub use operation::{Config, Operation};
pub use sizes::Sizes;
