//! One life of the runtime.

use archipelago_kernel::runtime::{Initialized, RuntimePhase};

use super::{deadline, event, lock, turns};
use crate::{
    RUNTIME, memory,
    phases::turns::{Figures, Sharing},
};

/// What a round found.
pub struct Round {
    /// By sharing: own, shared, entered.
    pub turns: [Figures; 3],
    /// Slices that an endless program had before its deadline.
    pub slices_to_deadline: u32,
    /// Bytes in use after the round: the slots, which are kept for the next one.
    pub kept: usize,
}

/// Initializes, runs every phase, finalizes.
pub fn live() -> Round {
    let main = RUNTIME.initialize(None).expect("there is memory");
    assert!(matches!(main, Initialized::Now(_)));
    let turns = [Sharing::Own, Sharing::Shared, Sharing::Entered].map(turns::run_in_turn);
    let slices_to_deadline = deadline::interrupts();
    event::wakes();
    lock::interrupted();
    finalize();
    Round { turns, slices_to_deadline, kept: memory::used() }
}

/// Finalizes; nothing may be left.
pub fn finalize() {
    assert_eq!(RUNTIME.count(), Ok(1), "main alone is left");
    let ledger = RUNTIME.finalize(None).expect("nobody is inside");
    assert_eq!((ledger.left_over, ledger.unclean), (0, 0));
    assert!(ledger.main.is_clean());
    assert_eq!(RUNTIME.phase(), RuntimePhase::Finalized);
}
