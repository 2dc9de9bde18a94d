//! A raw domain that checks how it is used.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use archipelago_alloc_hooks::Countdown;
use archipelago_kernel::host::{Exhausted, RawAlloc};

/// A wrong answer of a raw domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// The block is said to be shorter than asked.
    Short,
    /// The block is one byte off.
    Misaligned,
    /// The region it answers does not contain the block.
    Outside,
}

#[derive(Default)]
struct State {
    live: BTreeMap<usize, Block>,
    bytes: usize,
    budget: Option<usize>,
    lie: Option<Lie>,
}

struct Block {
    /// As it was answered.
    told: NonNull<u8>,
    layout: Layout,
    /// Which lie it was served with.
    lie: Option<Lie>,
}

/// A raw domain around another one: every block that comes back must be live and have its layout.
pub struct Checked<R> {
    inner: R,
    state: Mutex<State>,
    countdown: Countdown,
}

impl<R: RawAlloc> Checked<R> {
    /// Checks only.
    pub fn new(inner: R) -> Self {
        Checked { inner, state: Mutex::default(), countdown: Countdown::new() }
    }

    /// Refuses what would take more than `budget` bytes at once.
    #[must_use]
    pub fn with_budget(self, budget: usize) -> Self {
        self.state().budget = Some(budget);
        self
    }

    /// Serves `requests` more requests and fails the one after them, once; `None` fails none.
    pub fn fail_after(&self, requests: Option<usize>) {
        match requests {
            Some(served) => self.countdown.fail_after(served),
            None => self.countdown.fail_none(),
        }
    }

    /// Whether a failure is still to come.
    pub fn will_fail(&self) -> bool {
        self.countdown.will_fail()
    }

    /// Refuses from now on what would take more than `budget` bytes at once; `None` refuses nothing.
    pub fn set_budget(&self, budget: Option<usize>) {
        self.state().budget = budget;
    }

    /// Answers wrongly from now on, or truly again.
    pub fn lie(&self, lie: Option<Lie>) {
        self.state().lie = lie;
    }

    /// Live blocks and their bytes.
    pub fn live(&self) -> (usize, usize) {
        let state = self.state();
        (state.live.len(), state.bytes)
    }

    /// Gives back every live block, for tests that leak on purpose.
    ///
    /// # Safety
    /// No block of this raw domain is used any more.
    pub unsafe fn give_all_back(&self) {
        let live: Vec<_> = self.state().live.values().map(|block| (block.told, block.layout)).collect();
        for (told, layout) in live {
            // SAFETY: it is live, was served for this layout, and is not used.
            unsafe { self.deallocate(told, layout) };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A failed assertion of another thread is reported there.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: the pointers in the table are used by nobody but the owners of the blocks.
unsafe impl Send for Block {}

// SAFETY: as long as it tells the truth the blocks are `inner`'s. While it is told to lie it breaks the contract
// on purpose: the block below is a true one, and whoever re-checks the answer does not touch it.
unsafe impl<R: RawAlloc> RawAlloc for Checked<R> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        let mut state = self.state();
        if self.countdown.fails() {
            return Err(Exhausted);
        }
        if state.budget.is_some_and(|budget| budget.saturating_sub(state.bytes) < layout.size()) {
            return Err(Exhausted);
        }
        let start = self.inner.allocate(layout)?.cast::<u8>();
        let (told, len) = match state.lie {
            Some(Lie::Short) => (start, layout.size() - 1),
            // SAFETY: one byte into the block, or just behind it.
            Some(Lie::Misaligned) => (unsafe { start.add(1) }, layout.size()),
            Some(Lie::Outside) | None => (start, layout.size()),
        };
        state.bytes += layout.size();
        let block = Block { told, layout, lie: state.lie };
        assert!(state.live.insert(told.addr().get(), block).is_none(), "served twice");
        Ok(NonNull::slice_from_raw_parts(told, len))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let mut state = self.state();
        let known = state.live.remove(&block.addr().get()).expect("a block that is live here");
        assert_eq!(known.layout, layout, "given back with another layout");
        state.bytes -= layout.size();
        let start = match known.lie {
            // SAFETY: it was moved by one byte when it was served.
            Some(Lie::Misaligned) => unsafe { block.sub(1) },
            _ => block,
        };
        // SAFETY: `inner` returned it for this layout, and it was live until now.
        unsafe { self.inner.deallocate(start, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        let mut state = self.state();
        let bytes = state.bytes - old.size() + new.size();
        let too_much = state.budget.is_some_and(|budget| bytes > budget);
        let known = state.live.get_mut(&block.addr().get()).expect("a block that is live here");
        assert_eq!(known.layout, old, "resized from another layout");
        assert_eq!(old.align(), new.align(), "resized to another alignment");
        if too_much {
            return Err(Exhausted);
        }
        // SAFETY: `inner` returned it for `old`, and it is live.
        unsafe { self.inner.resize(block, old, new)? };
        known.layout = new;
        state.bytes = bytes;
        Ok(())
    }

    fn region(&self) -> Option<core::ops::Range<usize>> {
        match self.state().lie {
            Some(Lie::Outside) => Some(1..2),
            _ => self.inner.region(),
        }
    }
}
