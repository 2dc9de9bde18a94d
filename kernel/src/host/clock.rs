//! Time, as little of it as the kernel needs. A wrapping hardware counter is enough.

use core::time::Duration;

/// A monotonic clock. A wrong answer makes waits too long or too short, nothing else.
pub trait Clock {
    /// A point in time.
    type Instant: Copy + Send + Sync + 'static;

    /// The longest duration that `add` and `reached` can tell; half the range of a wrapping counter.
    const MAX: Duration;

    /// Now.
    fn now(&self) -> Self::Instant;

    /// `at + by`, or `None` where `by` is longer than [`MAX`](Self::MAX).
    fn add(&self, at: Self::Instant, by: Duration) -> Option<Self::Instant>;

    /// Whether `at` lies at or before `now`.
    fn reached(&self, now: Self::Instant, at: Self::Instant) -> bool;

    /// From `earlier` to `later`; zero if they are the other way round.
    fn between(&self, earlier: Self::Instant, later: Self::Instant) -> Duration;
}

/// For hosts without a clock: no deadline can be set, switching goes by step counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoClock;

impl Clock for NoClock {
    type Instant = ();
    const MAX: Duration = Duration::ZERO;

    fn now(&self) {}

    fn add(&self, (): (), _: Duration) -> Option<()> {
        None
    }

    fn reached(&self, (): (), (): ()) -> bool {
        false
    }

    fn between(&self, (): (), (): ()) -> Duration {
        Duration::ZERO
    }
}
