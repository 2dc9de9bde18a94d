//! The transitions of an end.

use super::{
    ACTIVATION, ACTIVATIONS, CLEARING, CLOSING, CREATING, DEFERRED, ENDING, FINALIZING, FREE, GUARDS, PHASE,
    RUNNING, StateWord,
    answer::{BeginEnd, Claim, Finalize},
    to,
};
use crate::sync::Ordering;

impl StateWord {
    /// 4: RUNNING → FINALIZING, or → ENDING where something is to be done before (`busy`), or → CLOSING while there are
    /// guards; 11: DEFERRED → FINALIZING.
    pub(crate) fn begin_end(&self, busy: bool) -> BeginEnd {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (begun, phase) = match word & PHASE {
                RUNNING if busy => (BeginEnd::Waits, ENDING),
                RUNNING if word & GUARDS == 0 => (BeginEnd::Begun, FINALIZING),
                RUNNING => (BeginEnd::Waits, CLOSING),
                DEFERRED => (BeginEnd::TakenOver, FINALIZING),
                CREATING => return BeginEnd::NotReady,
                FREE => return BeginEnd::Ended,
                _ => return BeginEnd::InProgress,
            };
            match self.0.compare_exchange_weak(word, to(word, phase), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return begun,
                Err(now) => word = now,
            }
        }
    }

    /// 5: ENDING or CLOSING → FINALIZING once no guard is left, and → CLOSING before. Only the ender calls it.
    pub(crate) fn finalize(&self) -> Finalize {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (answer, phase) = match word & GUARDS {
                0 => (Finalize::Finalizing, FINALIZING),
                _ => (Finalize::Guarded, CLOSING),
            };
            match self.0.compare_exchange_weak(word, to(word, phase), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return answer,
                Err(now) => word = now,
            }
        }
    }

    /// 9: CLOSING → ENDING: there is something to be done after all. Only the ender calls it.
    pub(crate) fn reopen(&self) {
        // Visits, activations and guards change the word meanwhile; the phase is the ender's.
        if self.0.load(Ordering::Relaxed) & PHASE == CLOSING {
            self.0.fetch_xor(CLOSING ^ ENDING, Ordering::AcqRel);
        }
    }

    /// 7: FINALIZING → CLEARING, once `own` activations are left. Only the ender calls it.
    pub(crate) fn claim(&self, own: usize) -> Claim {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let others = ((word & ACTIVATIONS) / ACTIVATION).saturating_sub(own);
            if others > 0 {
                return Claim::Busy(others);
            }
            let next = to(word, CLEARING);
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Claim::Claimed,
                Err(now) => word = now,
            }
        }
    }

    /// 8: FINALIZING → DEFERRED, unless no more than `own` activations are left: then as [`claim`](Self::claim).
    pub(crate) fn defer(&self, own: usize) -> Claim {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let others = ((word & ACTIVATIONS) / ACTIVATION).saturating_sub(own);
            let next = to(word, if others == 0 { CLEARING } else { DEFERRED });
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if others == 0 => return Claim::Claimed,
                Ok(_) => return Claim::Busy(others),
                Err(now) => word = now,
            }
        }
    }

    /// 6: ENDING or CLOSING → RUNNING; 8: FINALIZING → DEFERRED, whatever is left: the ender cannot go on. Only the ender calls it.
    pub(crate) fn give_up(&self) {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let next = to(word, if word & PHASE == FINALIZING { DEFERRED } else { RUNNING });
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// 12: CLEARING → FREE.
    pub(crate) fn finish(&self) {
        self.0.store(FREE, Ordering::Release);
    }

    /// 13: CLEARING → CREATING.
    pub(crate) fn begin_again(&self) {
        self.0.store(CREATING, Ordering::Release);
    }
}
