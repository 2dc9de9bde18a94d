//! A host whose raw domain notes what it gives out, and can keep what comes back until later.

#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

use archipelago::{
    ParkingGil, StdClock, StdPark, ThreadLocalSlot,
    kernel::{
        Host,
        gil::Interval,
        host::{Exhausted, RawAlloc},
    },
};
use archipelago_alloc_slab::UsualHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_locks::SpinLock;

#[derive(Default)]
struct State {
    /// Layouts of all blocks that were ever given out.
    given: Vec<Layout>,
    /// Blocks that came back and wait.
    waiting: Vec<(NonNull<u8>, Layout)>,
    keeps: bool,
}

// SAFETY: blocks that wait are used by nobody.
unsafe impl Send for State {}

/// The system's allocator, with notes.
#[derive(Default)]
pub struct Recorder(Mutex<State>);

impl Recorder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on blocks that come back wait, so that returning them costs a note.
    pub fn keep(&self) {
        let mut state = self.state();
        state.keeps = true;
        state.waiting.reserve(1 << 16);
    }

    /// Returns what waits, and no longer keeps what comes back.
    pub fn let_go(&self) {
        let waiting = {
            let mut state = self.state();
            state.keeps = false;
            core::mem::take(&mut state.waiting)
        };
        for (block, layout) in waiting {
            // SAFETY: it came back with this layout, and was not returned since.
            unsafe { SystemRaw.deallocate(block, layout) };
        }
    }

    /// The layouts of all blocks given out so far.
    pub fn given(&self) -> Vec<Layout> {
        self.state().given.clone()
    }
}

// SAFETY: blocks are the system's; one that waits is not given out.
unsafe impl RawAlloc for Recorder {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        let block = SystemRaw.allocate(layout)?;
        self.state().given.push(layout);
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let mut state = self.state();
        if state.keeps {
            return state.waiting.push((block, layout));
        }
        drop(state);
        // SAFETY: passed on.
        unsafe { SystemRaw.deallocate(block, layout) }
    }
}

/// The std host on a [`Recorder`].
#[derive(Default)]
pub struct Recorded {
    clock: StdClock,
    park: StdPark,
}

static CYCLES: AtomicU64 = AtomicU64::new(1 << 32);

impl Host for Recorded {
    type Lock = SpinLock;
    type Gil = ParkingGil;
    type GilPolicy = Interval;
    type Park = StdPark;
    type Clock = StdClock;
    type Raw = Recorder;
    type Heap = UsualHeap;
    type Slot = ThreadLocalSlot;

    fn clock(&self) -> &StdClock {
        &self.clock
    }

    fn park(&self) -> &StdPark {
        &self.park
    }

    fn new_cycle(&self) -> u64 {
        CYCLES.fetch_add(1, Ordering::Relaxed)
    }

    fn thread_id(&self) -> usize {
        std::thread_local!(static ME: u8 = const { 0 });
        ME.with(|me| core::ptr::from_ref(me).addr())
    }
}
