//! The state of an interpreter.

use core::num::NonZeroU32;

use archipelago_kernel::{
    guest::{Family, Plain},
    object::Edge,
};

use crate::{Code, node::NodeFamily};

/// How many globals there are.
pub(crate) const GLOBALS: usize = 16;

/// The state of one interpreter: its main namespace.
#[derive(Default)]
pub struct State<'i> {
    /// The program that was run last: its functions can be called.
    pub(crate) program: Option<Edge<'i, Plain<Code>>>,
    pub(crate) kept: Option<Edge<'i, NodeFamily>>,
    globals: [i64; GLOBALS],
    /// After so many instructions a step yields.
    pub slice: Option<NonZeroU32>,
    /// Instructions that were begun, over all runs.
    pub executed: u64,
    /// Objects that are kept.
    pub objects: u32,
}

/// [`State`] at every brand.
pub struct ToyState;

impl Family for ToyState {
    type At<'i> = State<'i>;
}

impl<'i> State<'i> {
    /// A global's value.
    pub fn global(&self, number: u8) -> Option<i64> {
        self.globals.get(usize::from(number)).copied()
    }

    /// Gives every kept object up, as the first of the list they form.
    pub fn take_kept(&mut self) -> Option<Edge<'i, NodeFamily>> {
        self.objects = 0;
        self.kept.take()
    }

    /// A global, to be changed.
    pub fn global_mut(&mut self, number: u8) -> Option<&mut i64> {
        self.globals.get_mut(usize::from(number))
    }
}
