//! Thread states, activations, and the token of a thread that holds a GIL.

mod attached;
mod current;
pub(crate) mod place;
pub(crate) mod session;
pub(crate) mod slot;
mod state;
mod stop;
pub(crate) mod wait;

pub use attached::Attached;
pub(crate) use attached::Brand;
pub use current::{Current, current};
pub use slot::{Status, ThreadWhence};
pub use state::ThreadState;
