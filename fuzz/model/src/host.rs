//! A small host with a clock that the test moves.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    ops::Range,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use std::sync::Arc;

use archipelago::ThreadLocalSlot;
use archipelago_alloc_suite::{Checked, DirectHeap};
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Host, Runtime,
    gil::Blocking,
    host::{Clock, Exhausted, NoPark, RawAlloc},
};
use archipelago_locks::SpinLock;

use crate::Setup;

/// A counter of milliseconds that wraps, moved by hand.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU32);

impl ManualClock {
    /// Moves it on.
    pub fn advance(&self, by: u32) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    type Instant = u32;
    const MAX: Duration = Duration::from_millis(u32::MAX as u64 / 2);

    fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, at: u32, by: Duration) -> Option<u32> {
        let by = u32::try_from(by.as_millis()).ok().filter(|by| *by <= u32::MAX / 2)?;
        Some(at.wrapping_add(by))
    }

    fn reached(&self, now: u32, at: u32) -> bool {
        now.wrapping_sub(at) <= u32::MAX / 2
    }

    fn between(&self, earlier: u32, later: u32) -> Duration {
        let apart = later.wrapping_sub(earlier);
        Duration::from_millis(if apart <= u32::MAX / 2 { apart.into() } else { 0 })
    }
}

/// A raw domain that the test looks into, also when the runtime is gone.
#[derive(Clone)]
pub struct SharedRaw(pub Arc<Checked<SystemRaw>>);

impl SharedRaw {
    /// A raw domain of the system's memory that checks how it is used.
    pub fn new() -> Self {
        SharedRaw(Arc::new(Checked::new(SystemRaw)))
    }
}

impl Default for SharedRaw {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: passed on to the raw domain inside, which all clones share.
unsafe impl RawAlloc for SharedRaw {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { self.0.deallocate(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        // SAFETY: passed on from the caller.
        unsafe { self.0.resize(block, old, new) }
    }

    fn region(&self) -> Option<Range<usize>> {
        self.0.region()
    }
}

static CYCLES: AtomicU64 = AtomicU64::new(1);
/// Apart from those of the other hosts in the program, and dense: tables are as long as the largest.
static INDEXES: AtomicUsize = AtomicUsize::new(512);

/// Spin locks, a clock that the test moves, memory that is checked.
#[derive(Default)]
pub struct ManualHost {
    clock: ManualClock,
}

impl Host for ManualHost {
    type Lock = SpinLock;
    type Gil = SpinLock;
    type GilPolicy = Blocking;
    type Park = NoPark;
    type Clock = ManualClock;
    type Raw = SharedRaw;
    type Heap = DirectHeap;
    type Slot = ThreadLocalSlot;

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn park(&self) -> &NoPark {
        &NoPark
    }

    fn new_cycle(&self) -> u64 {
        // Apart from the adapter's cycles, in which a program may have runtimes too.
        CYCLES.fetch_add(1, Ordering::Relaxed) | 1 << 63
    }

    fn new_index(&self) -> usize {
        INDEXES.fetch_add(1, Ordering::Relaxed)
    }

    fn thread_id(&self) -> usize {
        std::thread_local!(static ME: u8 = const { 0 });
        ME.with(|me| core::ptr::from_ref(me).addr())
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}

/// A runtime on [`ManualHost`].
pub fn manual() -> Setup<ManualHost> {
    let raw = SharedRaw::new();
    Setup {
        runtime: Runtime::new(ManualHost::default(), raw.clone(), SpinLock::new_const()),
        advance: Some(|host, by| host.clock.advance(by)),
        live: Some(Box::new(move || raw.0.live())),
    }
}
