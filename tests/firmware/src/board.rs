//! `Board`: what the kernel needs, from a Cortex-M.
#![allow(unsafe_code)]

use archipelago_alloc_slab::SmallHeap;
use archipelago_kernel::{Host, gil::Blocking, host::NoPark};
use archipelago_locks::CsGil;

use crate::{clock::SysTickClock, counter::Counter, memory::Raw, slot::StaticSlot};

/// The short lock: masks interrupts while it is held.
#[cfg(not(feature = "spin"))]
pub type Lock = archipelago_locks::CsLock;
/// The short lock: interrupts stay enabled, so a handler may find it taken, and must not wait for it.
#[cfg(feature = "spin")]
pub type Lock = archipelago_locks::SpinLock;

/// A board with one core.
pub struct Board {
    clock: SysTickClock,
    park: NoPark,
    cycles: Counter,
}

impl Board {
    /// The board.
    pub const fn new() -> Self {
        Board { clock: SysTickClock, park: NoPark, cycles: Counter::new() }
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for Board {
    type Lock = Lock;
    type Gil = CsGil;
    type GilPolicy = Blocking;
    type Park = NoPark;
    type Clock = SysTickClock;
    type Raw = Raw;
    type Heap = SmallHeap;
    type Slot = StaticSlot;

    fn clock(&self) -> &SysTickClock {
        &self.clock
    }

    fn park(&self) -> &NoPark {
        &self.park
    }

    fn new_cycle(&self) -> u64 {
        self.cycles.add(1).into()
    }

    /// One core, so one thread.
    fn thread_id(&self) -> usize {
        0
    }

    fn in_interrupt(&self) -> bool {
        !cfg!(feature = "control-blind") && active_exception() != 0
    }
}

/// The number of the exception that is being handled, 0 in thread mode.
fn active_exception() -> u32 {
    let ipsr: u32;
    // SAFETY: reads a register that may be read in every mode, and touches nothing else.
    unsafe { core::arch::asm!("mrs {}, IPSR", out(reg) ipsr, options(nomem, nostack, preserves_flags)) };
    ipsr & 0x1ff
}
