//! The clock: SysTick, as it is. It counts down and starts again every five milliseconds; nothing extends it.
//!
//! The same timer interrupts at every start, so that handlers come at moments that no program chose.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use archipelago_kernel::host::Clock;
use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};

use crate::{counter::Counter, numbers::HERTZ};

/// Ticks until it starts again.
const PERIOD: u32 = HERTZ / 200;

/// Every microsecond is so many ticks.
const TICKS_PER_US: u32 = HERTZ / 1_000_000;

/// The timer that every Cortex-M has.
pub struct SysTickClock;

/// How often the timer is to interrupt inside the runtime's lock.
static INSIDE_LOCK: Counter = Counter::new();
/// It is doing so.
static IS_INSIDE: AtomicBool = AtomicBool::new(false);

impl SysTickClock {
    /// Starts counting and interrupting.
    pub fn start(mut timer: SYST) {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(PERIOD - 1);
        timer.clear_current();
        timer.enable_counter();
        // Until the first reload it reads 0, the end of a period: time would seem to run backwards.
        while SYST::get_current() == 0 {}
        timer.enable_interrupt();
    }

    /// For the handler: whether it interrupted that comparison.
    pub fn is_inside_lock() -> bool {
        IS_INSIDE.load(Ordering::Relaxed)
    }

    /// Has the timer interrupt at the next comparison of times, which the kernel makes under its lock.
    pub fn interrupt_inside_lock() {
        INSIDE_LOCK.add(1);
    }
}

/// Nanoseconds from `earlier` to `later`, less than a whole period apart.
pub fn nanoseconds(earlier: u32, later: u32) -> u64 {
    u64::from(ticks(earlier, later)) * 1_000_000_000 / u64::from(HERTZ)
}

/// Ticks from `earlier` to `later`, less than a whole period apart.
fn ticks(earlier: u32, later: u32) -> u32 {
    (later + PERIOD - earlier) % PERIOD
}

impl Clock for SysTickClock {
    /// Ticks since the period began.
    type Instant = u32;

    const MAX: Duration = Duration::from_micros((PERIOD / TICKS_PER_US / 2) as u64);

    fn now(&self) -> u32 {
        PERIOD - 1 - SYST::get_current()
    }

    fn add(&self, at: u32, by: Duration) -> Option<u32> {
        let ticks = u32::try_from(by.as_micros()).ok().filter(|_| by <= Self::MAX)? * TICKS_PER_US;
        Some((at + ticks) % PERIOD)
    }

    fn reached(&self, now: u32, at: u32) -> bool {
        if INSIDE_LOCK.take() > 0 {
            IS_INSIDE.store(true, Ordering::Relaxed);
            SCB::set_pendst();
            // The handler runs here, unless interrupts are masked.
            cortex_m::asm::isb();
            IS_INSIDE.store(false, Ordering::Relaxed);
        }
        ticks(at, now) < PERIOD / 2
    }

    fn between(&self, earlier: u32, later: u32) -> Duration {
        let ticks = ticks(earlier, later);
        let later = ticks < PERIOD / 2;
        Duration::from_micros(if later { (ticks / TICKS_PER_US).into() } else { 0 })
    }
}
