//! The settings of one interpreter: presets, rules and permissions (SPEC C1 to C7).
//!
//! A config is a value. Nothing in the kernel writes to the one it was given; an interpreter keeps its own
//! read-only copy (SPEC C4).

mod gil_choice;
mod permit;
mod preset;
mod rules;
mod stored;
mod value;

pub use gil_choice::GilChoice;
pub use permit::Act;
pub(crate) use stored::StoredConfig;
pub use value::ConfigValue;

use core::time::Duration;

/// One table for the fields, their getters, their `with_` methods and their names.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident / $with:ident: $type:ty,)+) => {
        /// How an interpreter is made and what it may do.
        ///
        /// Start from a preset and change what differs:
        ///
        /// ```
        /// use archipelago_kernel::config::{GilChoice, InterpreterConfig};
        ///
        /// let config = InterpreterConfig::isolated()
        ///     .with_allow_daemon_threads(true)
        ///     .with_memory_limit(Some(64 * 1024));
        /// assert_eq!(config.gil(), GilChoice::Own);
        /// assert_eq!(config.validate(), Ok(()));
        /// ```
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct InterpreterConfig {
            $($name: $type,)+
        }

        impl InterpreterConfig {
            $(
                $(#[$doc])*
                pub const fn $name(&self) -> $type {
                    self.$name
                }

                #[doc = concat!("This config with another [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                #[must_use]
                pub const fn $with(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )+
        }
    };
}

settings! {
    /// Main's heap serves this interpreter too. It is protected by main's GIL, so the GIL must be shared; unless the
    /// host's heap is a [`SharedHeap`](crate::host::SharedHeap).
    use_main_obmalloc / with_use_main_obmalloc: bool,
    /// Forking the process is allowed.
    allow_fork / with_allow_fork: bool,
    /// Replacing the process is allowed. Spawning another one is never refused.
    allow_exec / with_allow_exec: bool,
    /// Starting threads is allowed.
    allow_threads / with_allow_threads: bool,
    /// Starting daemon threads is allowed, provided that `allow_threads` is on.
    allow_daemon_threads / with_allow_daemon_threads: bool,
    /// Extensions that do not support several interpreters are refused.
    check_multi_interp_extensions / with_check_multi_interp_extensions: bool,
    /// Which GIL protects the interpreter.
    gil / with_gil: GilChoice,
    /// The most bytes the interpreter may hold, what it needs to start included; a request beyond fails.
    memory_limit / with_memory_limit: Option<usize>,
    /// The most bytes it may hold in ordinary running; a request beyond fails, and can be handled.
    memory_soft_limit / with_memory_soft_limit: Option<usize>,
    /// The bytes beyond the soft limit that code may use while it handles such a failure.
    memory_reserve / with_memory_reserve: usize,
    /// How long a waiter leaves the holder alone before it asks for the GIL. Without a value the GIL's
    /// default stays. Only with an own GIL: a shared one has main's.
    switch_interval / with_switch_interval: Option<Duration>,
    /// How long the interpreter may run, from its creation on and over all its runs, until
    /// [`set_deadline`](crate::thread::Attached::set_deadline) says otherwise. Told at the first safepoint after that, if
    /// the host's clock is looked at (`tick`, or a timer of the host).
    deadline / with_deadline: Option<Duration>,
    /// How many units of work ([`spend`](crate::thread::Attached::spend)) it may do, from its creation on and over all its
    /// runs, until [`set_fuel`](crate::thread::Attached::set_fuel) says otherwise.
    fuel / with_fuel: Option<u64>,
    /// It never runs on a thread that is in the middle of another interpreter: attaching or entering there answers
    /// [`NeedsNewThread`](crate::error::AttachError::NeedsNewThread).
    always_new_thread / with_always_new_thread: bool,
    /// Only the thread that was attached first may be attached; others get
    /// [`WrongThread`](crate::error::AttachError::WrongThread).
    bound_to_thread / with_bound_to_thread: bool,
    /// How many pending calls may wait in slots of the kernel's ([`Port::call`](crate::interpreter::Port::call),
    /// [`call_soon`](crate::thread::Attached::call_soon)); 300 by default, as in CPython. Nodes of the caller's and slots that were
    /// set aside for interrupt handlers are not counted.
    pending_calls / with_pending_calls: u32,
}
