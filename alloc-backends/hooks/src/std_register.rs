//! A register behind a mutex of the process.

use core::fmt;
use std::sync::{Mutex, PoisonError};

use crate::register::{Blocks, With};

/// A register of the process: a [`Register`](crate::Register). Can be a static.
pub struct StdRegister(Mutex<Blocks>);

impl StdRegister {
    /// An empty register.
    pub const fn new() -> Self {
        StdRegister(Mutex::new(Blocks::new()))
    }
}

impl Default for StdRegister {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StdRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdRegister").finish_non_exhaustive()
    }
}

impl With for StdRegister {
    fn with(&self, f: &mut dyn FnMut(&mut Blocks)) {
        // What runs here does not panic halfway.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
