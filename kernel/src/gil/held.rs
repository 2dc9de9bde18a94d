//! How long a GIL was held, where a host wants to know (SPEC G5).

use core::time::Duration;

use crate::{
    gil::GilPolicy,
    host::Host,
    sync::{Ordering, tally},
};

/// What the policy of host `H` keeps of held time.
pub(crate) type HeldTimeOf<H> = <<H as Host>::GilPolicy as GilPolicy<<H as Host>::Gil>>::HeldTime;

/// What a [`GilPolicy`] keeps of the time that the threads of an interpreter hold its GIL: [`Unmetered`], nothing, or
/// [`Meter`].
pub trait HeldTime: counter::Counter {}

/// Nothing, in no memory: a GIL changes hands without a look at the clock.
#[derive(Debug, Clone, Copy)]
pub struct Unmetered;

/// The exact sum. The clock is read whenever a thread gets the GIL and lets it go.
///
/// In microseconds and the rest, so that short times are not lost and one load reads it from outside. Written by the holder.
#[derive(Debug)]
pub struct Meter {
    us: tally::AtomicUsize,
    rest_ns: tally::AtomicU32,
}

impl HeldTime for Unmetered {}
impl HeldTime for Meter {}

pub(crate) mod counter {
    use core::time::Duration;

    pub trait Counter: Send + Sync + 'static {
        /// Whether it counts at all.
        const COUNTS: bool;

        fn new() -> Self;

        fn renew(&self);

        /// By the holder.
        fn add(&self, held: Duration);

        /// From anywhere.
        fn sum(&self) -> Option<Duration>;
    }
}

impl counter::Counter for Unmetered {
    const COUNTS: bool = false;

    fn new() -> Self {
        Unmetered
    }

    fn renew(&self) {}

    fn add(&self, _: Duration) {}

    fn sum(&self) -> Option<Duration> {
        None
    }
}

impl counter::Counter for Meter {
    const COUNTS: bool = true;

    fn new() -> Self {
        Meter { us: tally::AtomicUsize::new(0), rest_ns: tally::AtomicU32::new(0) }
    }

    fn renew(&self) {
        self.us.store(0, Ordering::Relaxed);
        self.rest_ns.store(0, Ordering::Relaxed);
    }

    fn add(&self, held: Duration) {
        let ns = self.rest_ns.load(Ordering::Relaxed) + held.subsec_nanos();
        let us = (held.as_secs() as usize).wrapping_mul(1_000_000).wrapping_add((ns / 1000) as usize);
        super::add(&self.us, us);
        self.rest_ns.store(ns % 1000, Ordering::Relaxed);
    }

    fn sum(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.us.load(Ordering::Relaxed) as u64))
    }
}

#[cfg(all(test, not(archipelago_loom)))]
mod tests {
    use super::{Meter, Unmetered, counter::Counter};
    use core::time::Duration;

    /// SPEC: G5
    #[test]
    fn short_times_are_not_lost() {
        let meter = Meter::new();
        for _ in 0..10_000 {
            meter.add(Duration::from_nanos(1_999));
        }
        assert_eq!(meter.sum(), Some(Duration::from_micros(19_990)));
        meter.add(Duration::new(3, 999_999_999));
        assert_eq!(meter.sum(), Some(Duration::from_micros(4_019_989)));
        meter.add(Duration::from_nanos(1));
        assert_eq!(meter.sum(), Some(Duration::from_micros(4_019_990)));
        meter.renew();
        assert_eq!((meter.sum(), Unmetered.sum()), (Some(Duration::ZERO), None));
        assert_eq!(size_of::<Unmetered>(), 0);
    }
}
