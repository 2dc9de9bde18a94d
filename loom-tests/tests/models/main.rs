//! The models. Group names are module names: `cargo test … end::` runs one group.
#![cfg(archipelago_loom)]

mod attach;
mod end;
mod objects;
mod pending;
mod raw;
mod registry;
mod threads;
