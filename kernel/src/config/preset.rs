//! The presets (SPEC C2), with CPython's values.

use super::{GilChoice, InterpreterConfig};

impl InterpreterConfig {
    /// Nothing shared: own heap, own GIL, no fork, no exec, no daemon threads. What PEP 684's draft calls
    /// `PyInterpreterConfig_INIT`.
    pub const fn isolated() -> Self {
        Self::empty()
            .with_allow_threads(true)
            .with_check_multi_interp_extensions(true)
            .with_gil(GilChoice::Own)
    }

    /// Everything allowed, main's heap and GIL: what `Py_NewInterpreter` gives, and what PEP 684's draft
    /// calls `PyInterpreterConfig_LEGACY_INIT`.
    pub const fn legacy() -> Self {
        Self::empty()
            .with_use_main_obmalloc(true)
            .with_allow_fork(true)
            .with_allow_exec(true)
            .with_allow_threads(true)
            .with_allow_daemon_threads(true)
            .with_gil(GilChoice::Shared)
    }

    /// Every setting off or unset. A place to start; [`validate`](Self::validate) refuses it as it is.
    pub const fn empty() -> Self {
        InterpreterConfig {
            use_main_obmalloc: false,
            allow_fork: false,
            allow_exec: false,
            allow_threads: false,
            allow_daemon_threads: false,
            check_multi_interp_extensions: false,
            gil: GilChoice::Default,
            memory_limit: None,
            memory_soft_limit: None,
            memory_reserve: 0,
            switch_interval: None,
            deadline: None,
            fuel: None,
            always_new_thread: false,
            bound_to_thread: false,
            pending_calls: 300,
        }
    }

    /// What the main interpreter reads back. It owns the heap and the GIL that others share, so the rules do
    /// not hold for it, and nobody else can be created with this config (SPEC C4).
    pub(crate) const fn main() -> Self {
        Self::legacy().with_gil(GilChoice::Own)
    }

    /// The preset with this name; `default` is `isolated`, as in CPython.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "isolated" | "default" => Some(Self::isolated()),
            "legacy" => Some(Self::legacy()),
            "empty" => Some(Self::empty()),
            _ => None,
        }
    }
}
