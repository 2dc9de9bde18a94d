//! Time that stands still until somebody moves it.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use archipelago_kernel::host::Clock;

/// The clock of a model, in microseconds. It is not loom's: it orders nothing, and loom does not branch at it.
#[derive(Clone)]
pub struct LoomClock(Arc<AtomicU64>);

impl LoomClock {
    pub(crate) fn new() -> Self {
        LoomClock(Arc::new(AtomicU64::new(0)))
    }

    /// Lets so much time pass.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Clock for LoomClock {
    type Instant = u64;
    const MAX: Duration = Duration::from_secs(3600);

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, at: u64, by: Duration) -> Option<u64> {
        (by <= Self::MAX).then(|| at + by.as_micros() as u64)
    }

    fn reached(&self, now: u64, at: u64) -> bool {
        at <= now
    }

    fn between(&self, earlier: u64, later: u64) -> Duration {
        Duration::from_micros(later.saturating_sub(earlier))
    }
}
