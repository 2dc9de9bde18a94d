//! What a config permits (SPEC C6).

use super::InterpreterConfig;
use crate::error::PermitError;

/// Something an interpreter may be refused. Spawning another process is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Fork the process.
    Fork,
    /// Replace the process.
    Exec,
    /// Start a thread.
    Thread,
    /// Start a daemon thread.
    DaemonThread,
    /// Import an extension that does not support several interpreters.
    Extension,
}

impl Act {
    /// Every act.
    pub const ALL: [Act; 5] = [Act::Fork, Act::Exec, Act::Thread, Act::DaemonThread, Act::Extension];
}

impl InterpreterConfig {
    /// Whether this config permits `act`; if not, the error names the setting that is in the way.
    pub const fn permits(&self, act: Act) -> Result<(), PermitError> {
        match act {
            Act::Fork if !self.allow_fork => Err(PermitError::Fork),
            Act::Exec if !self.allow_exec => Err(PermitError::Exec),
            Act::Thread | Act::DaemonThread if !self.allow_threads => Err(PermitError::Threads),
            Act::DaemonThread if !self.allow_daemon_threads => Err(PermitError::DaemonThreads),
            Act::Extension if self.check_multi_interp_extensions => Err(PermitError::Extension),
            _ => Ok(()),
        }
    }
}
