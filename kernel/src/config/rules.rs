//! Which configs are refused (SPEC C3).

use core::time::Duration;

use super::{GilChoice, InterpreterConfig};
use crate::{
    error::ConfigError,
    host::{Heap, Host},
    memory::MemoryLimits,
};

impl InterpreterConfig {
    /// The rules that the config alone can break, on a host whose heaps one GIL protects, as most are.
    ///
    /// `allow_daemon_threads` without `allow_threads` breaks none: it means no threads.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub const fn validate(&self) -> Result<(), ConfigError> {
        self.check(false)
    }

    /// As [`validate`](Self::validate), on the host `H`: this is what creation asks. Where its heap is a
    /// [`SharedHeap`](crate::host::SharedHeap), main's may be used under another GIL.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub const fn validate_on<H: Host>(&self) -> Result<(), ConfigError> {
        self.check(<H::Heap as Heap<H::Raw>>::SHARING.is_some())
    }

    const fn check(&self, heap_can_be_shared: bool) -> Result<(), ConfigError> {
        if !self.use_main_obmalloc && !self.check_multi_interp_extensions {
            // Such an extension keeps its objects in process-wide variables: with two heaps an object would
            // be freed to a heap it is not from.
            return Err(ConfigError::OwnHeapWithoutExtensionCheck);
        }
        if self.use_main_obmalloc && matches!(self.gil, GilChoice::Own) && !heap_can_be_shared {
            // CPython accepts this one. Two threads would then use main's heap at the same time.
            return Err(ConfigError::OwnGilWithMainHeap);
        }
        if self.switch_interval.is_some() && !matches!(self.gil, GilChoice::Own) {
            return Err(ConfigError::IntervalOfSharedGil);
        }
        if self.memory_limits().are_crossed() {
            return Err(ConfigError::SoftLimitAboveHard);
        }
        Ok(())
    }

    /// The memory limits.
    pub const fn memory_limits(&self) -> MemoryLimits {
        MemoryLimits::none()
            .with_hard(self.memory_limit)
            .with_soft(self.memory_soft_limit)
            .with_reserve(self.memory_reserve)
    }

    /// The rules that take a runtime to break: `footprint` is what an interpreter holds before it runs
    /// anything, `longest` the longest duration that the host's clock can tell.
    pub fn validate_for(&self, footprint: usize, longest: Duration) -> Result<(), ConfigError> {
        if [self.memory_limit, self.memory_soft_limit].into_iter().flatten().any(|limit| limit < footprint) {
            return Err(ConfigError::LimitBelowFootprint);
        }
        if [self.switch_interval, self.deadline].into_iter().flatten().any(|asked| asked > longest) {
            return Err(ConfigError::DurationTooLong);
        }
        Ok(())
    }

    /// The copy an interpreter keeps: `default` is stored as `shared`.
    #[must_use]
    pub const fn resolved(self) -> Self {
        match self.gil {
            GilChoice::Default => self.with_gil(GilChoice::Shared),
            GilChoice::Shared | GilChoice::Own => self,
        }
    }
}
