//! The operating system's monotonic clock.

use core::time::Duration;
use std::time::Instant;

use archipelago_kernel::host::Clock;

/// [`Instant`] as the kernel's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct StdClock;

impl Clock for StdClock {
    type Instant = Instant;
    // A century: far beyond any deadline, far below what an Instant can hold.
    const MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn add(&self, at: Instant, by: Duration) -> Option<Instant> {
        if by > Self::MAX { None } else { at.checked_add(by) }
    }

    fn reached(&self, now: Instant, at: Instant) -> bool {
        now >= at
    }

    fn between(&self, earlier: Instant, later: Instant) -> Duration {
        later.saturating_duration_since(earlier)
    }
}
