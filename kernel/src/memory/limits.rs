//! How much an interpreter may hold (SPEC C7, M6).

errors! {
    /// Why limits were not changed. The old ones stand.
    pub enum LimitError {
        /// More is live than the new limit allows.
        BelowLive = 0x0f01 => "limit: more is live than the new limit allows: free something first, or choose a higher one",
        /// The soft limit is above the hard one.
        SoftAboveHard = 0x0f02 => "limit: the soft limit is above the hard one, and could never be met: lower it, or raise the hard one",
        /// The interpreter is finalizing.
        Finalizing = 0x0f03 => "limit: the interpreter is finalizing: return from the thread",
    }
}

/// The limits of one interpreter, in bytes over all domains. What was asked for counts, not the pages behind it that a
/// heap takes and keeps.
///
/// A request that would pass the soft limit is refused as `SoftLimit`; code that handles this may use the reserve
/// meanwhile ([`Attached::with_reserve`](crate::thread::Attached::with_reserve)). Nothing passes the hard limit.
/// The guest is told when a limit is near ([`GuestTable`](crate::guest::GuestTable)); without a guest nobody is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MemoryLimits {
    /// The most that may be live.
    pub hard: Option<usize>,
    /// The most that may be live in ordinary running.
    pub soft: Option<usize>,
    /// What may be live beyond the soft limit while its refusal is handled. Without a soft limit nothing is refused for it,
    /// so it is of no effect until one is set.
    pub reserve: usize,
}

impl MemoryLimits {
    /// No limits.
    pub const fn none() -> Self {
        MemoryLimits { hard: None, soft: None, reserve: 0 }
    }

    /// These limits with another hard one.
    #[must_use]
    pub const fn with_hard(self, hard: Option<usize>) -> Self {
        MemoryLimits { hard, ..self }
    }

    /// These limits with another soft one.
    #[must_use]
    pub const fn with_soft(self, soft: Option<usize>) -> Self {
        MemoryLimits { soft, ..self }
    }

    /// These limits with another reserve.
    #[must_use]
    pub const fn with_reserve(self, reserve: usize) -> Self {
        MemoryLimits { reserve, ..self }
    }

    /// Whether a soft limit that can never be met is set.
    pub(crate) const fn are_crossed(&self) -> bool {
        match (self.soft, self.hard) {
            (Some(soft), Some(hard)) => soft > hard,
            _ => false,
        }
    }
}
