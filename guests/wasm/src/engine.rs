//! The configuration all programs share.

use crate::wasi::{self, Guest};
use core::fmt;
use std::sync::Arc;
use wasmi::{CompilationMode, Config, Linker};

/// Calls a guest may nest before it is stopped with [`Trap::StackOverflow`](crate::Trap::StackOverflow).
const MAX_CALL_DEPTH: usize = 10_000;

/// Bytes the stack of one guest may reach before it is stopped with the same trap.
const MAX_STACK_BYTES: usize = 4 << 20;

/// One engine for any number of programs and interpreters; cloning it is cheap.
///
/// Metering is always on: a slice of fuel is what bounds the time a program keeps its interpreter's GIL.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasmi: wasmi::Engine,
    pub(crate) linker: Arc<Linker<Guest>>,
}

impl Engine {
    /// An engine with metering and with all functions of WASI preview 1.
    pub fn new() -> Self {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            // Lazy translation charges fuel when a function is first called and cannot be resumed when that runs out.
            .compilation_mode(CompilationMode::Eager)
            .ignore_custom_sections(true)
            .set_max_recursion_depth(MAX_CALL_DEPTH)
            .set_max_stack_height(MAX_STACK_BYTES);
        let wasmi = wasmi::Engine::new(&config);
        let linker = Arc::new(wasi::linker(&wasmi));
        Self { wasmi, linker }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}
