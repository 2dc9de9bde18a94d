//! The models. Group names are module names: `cargo test … end::` runs one group.
#![cfg(archipelago_loom)]

mod announce;
mod attach;
mod calls;
mod deadline;
mod end;
mod exits;
mod guards;
mod guests;
mod heap;
mod interval;
mod limits;
mod objects;
mod panics;
mod pending;
mod ports;
mod raw;
mod references;
mod registry;
mod reset;
mod signals;
mod threads;
mod world;
