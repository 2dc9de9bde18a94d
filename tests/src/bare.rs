//! `Machine`: one without an operating system, simulated. Threads stand for cores; everything else is what a firmware
//! would use: spin locks, fixed memory, a wrapping 32-bit counter, no way to sleep. `BareHost` has one region,
//! `PoolHost` (in `pools.rs`) has pools of fixed blocks, and `OneHeapHost` (in `one_heap.rs`) one heap for all.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    cell::Cell,
    marker::PhantomData,
    mem::MaybeUninit,
    ops::Range,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use std::sync::Mutex;

use archipelago_alloc_linked_list::LinkedListRaw;
use archipelago_alloc_slab::SmallHeap;
use archipelago_kernel::{
    Host,
    gil::{Blocking, GilPolicy},
    host::{Clock, CurrentSlot, Exhausted, Heap, NoPark, RawAlloc},
};
use archipelago_locks::SpinLock;

use crate::Scanned;

/// How a simulated core spins: it lets the others run, for there are more of them than real cores.
#[derive(Debug, Clone, Copy)]
pub struct YieldingCore;

impl spin::RelaxStrategy for YieldingCore {
    fn relax() {
        std::thread::yield_now();
    }
}

/// Bytes of the region that a runtime lives in.
const REGION: usize = if cfg!(miri) { 512 << 10 } else { 4 << 20 };

type Region = &'static mut [MaybeUninit<u8>];

/// Regions that no runtime uses at present. They are never given back: firmware's memory is not, either.
static REGIONS: Mutex<Vec<Region>> = Mutex::new(Vec::new());

fn free_regions() -> std::sync::MutexGuard<'static, Vec<Region>> {
    REGIONS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Gives its region to the next runtime.
struct Lease(NonNull<[MaybeUninit<u8>]>);

// SAFETY: the lease is the only owner of its region.
unsafe impl Send for Lease {}
// SAFETY: a shared lease gives access to nothing.
unsafe impl Sync for Lease {}

impl Drop for Lease {
    fn drop(&mut self) {
        // SAFETY: the region came from a `&'static mut`, and the allocator on it is gone: fields drop in order.
        free_regions().push(unsafe { self.0.as_mut() });
    }
}

/// The raw domain: one region, first fit, behind a spin lock.
pub struct BareRaw {
    list: LinkedListRaw<SpinLock<YieldingCore>>,
    _lease: Option<Lease>,
}

impl BareRaw {
    /// Without memory: for runtimes that are constants. Every request is refused.
    pub const fn without_memory() -> Self {
        BareRaw { list: LinkedListRaw::new(SpinLock::relaxing()), _lease: None }
    }

    /// On a region of its own.
    pub fn on_a_region() -> Self {
        let free = free_regions().pop();
        let region = free.unwrap_or_else(|| Box::leak(Box::new_uninit_slice(REGION)));
        let region = NonNull::from(region);
        let list = LinkedListRaw::new(SpinLock::relaxing());
        // SAFETY: the region is this lease's alone, and the lease lives as long as the allocator.
        let answer = unsafe { list.init_at(region.cast(), region.len()) };
        answer.expect("a region has room for a block");
        BareRaw { list, _lease: Some(Lease(region)) }
    }

    /// Bytes in live blocks, rounding included.
    pub fn used(&self) -> usize {
        self.list.used()
    }
}

// SAFETY: the blocks are the list's, whose region lives as long as this value, which owns its lease.
unsafe impl RawAlloc for BareRaw {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        self.list.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.list.deallocate(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        // SAFETY: passed on.
        unsafe { self.list.resize(block, old, new) }
    }

    fn region(&self) -> Option<Range<usize>> {
        self.list.region()
    }
}

/// A 32-bit counter of microseconds that wraps. Every look moves it on by one, so that spinning takes time.
pub struct Ticks(AtomicU32);

impl Ticks {
    /// A counter that wraps soon.
    pub const fn new() -> Self {
        Ticks(AtomicU32::new(u32::MAX - 1000))
    }

    /// Moves the counter on.
    pub fn advance(&self, by: Duration) {
        let ticks = u32::try_from(by.as_micros()).expect("shorter than the counter's range");
        self.0.fetch_add(ticks, Ordering::Relaxed);
    }
}

impl Default for Ticks {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Ticks {
    type Instant = u32;

    const MAX: Duration = Duration::from_micros((u32::MAX / 2) as u64);

    fn now(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn add(&self, at: u32, by: Duration) -> Option<u32> {
        (by <= Self::MAX).then(|| at.wrapping_add(by.as_micros() as u32))
    }

    fn reached(&self, now: u32, at: u32) -> bool {
        now.wrapping_sub(at) <= u32::MAX / 2
    }

    fn between(&self, earlier: u32, later: u32) -> Duration {
        let ticks = later.wrapping_sub(earlier);
        if ticks <= u32::MAX / 2 { Duration::from_micros(ticks.into()) } else { Duration::ZERO }
    }
}

std::thread_local! {
    static CURRENT: Cell<*const ()> = const { Cell::new(ptr::null()) };
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
}

/// One word per core. The cores are threads, so it is a thread-local; firmware has an array or one static.
#[derive(Debug, Clone, Copy)]
pub struct CoreSlot;

// SAFETY: a thread-local cell answers each thread with what it last stored, null at first; only this
// implementation can write it.
unsafe impl CurrentSlot for CoreSlot {
    fn get() -> *const () {
        CURRENT.get()
    }

    unsafe fn set(word: *const ()) {
        CURRENT.set(word);
    }
}

static CYCLES: AtomicU64 = AtomicU64::new(1 << 32);
/// Apart from those of the other hosts in the program, and dense: tables are as long as the largest.
static INDEXES: AtomicUsize = AtomicUsize::new(256);

/// A machine whose memory is `R`, whose heaps are `T`, and whose GILs are had by the policy `P`. Deadlines are seen when somebody calls `tick`, as from a timer interrupt's bottom half.
#[derive(Default)]
pub struct Machine<R, T = Scanned<SmallHeap>, P = Blocking> {
    clock: Ticks,
    _memory: PhantomData<fn() -> (R, T)>,
    _policy: PhantomData<fn() -> P>,
}

/// The machine with one region.
pub type BareHost = Machine<BareRaw>;

impl<R, T, P> Machine<R, T, P> {
    /// A host whose clock wraps soon.
    pub const fn new() -> Self {
        Machine { clock: Ticks::new(), _memory: PhantomData, _policy: PhantomData }
    }

    /// Runs `f` as an interrupt handler on this core.
    pub fn handler<O>(f: impl FnOnce() -> O) -> O {
        struct Leave(bool);
        impl Drop for Leave {
            fn drop(&mut self) {
                IN_HANDLER.set(self.0);
            }
        }
        let _leave = Leave(IN_HANDLER.replace(true));
        f()
    }
}

impl<R: RawAlloc, T: Heap<R>, P: GilPolicy<SpinLock<YieldingCore>>> Host for Machine<R, T, P> {
    type Lock = SpinLock<YieldingCore>;
    type Gil = SpinLock<YieldingCore>;
    type GilPolicy = P;
    type Park = NoPark;
    type Clock = Ticks;
    type Raw = R;
    type Heap = T;
    type Slot = CoreSlot;

    fn clock(&self) -> &Ticks {
        &self.clock
    }

    fn park(&self) -> &NoPark {
        &NoPark
    }

    fn new_cycle(&self) -> u64 {
        CYCLES.fetch_add(1, Ordering::Relaxed)
    }

    fn new_index(&self) -> usize {
        INDEXES.fetch_add(1, Ordering::Relaxed)
    }

    fn thread_id(&self) -> usize {
        CURRENT.with(|word| ptr::from_ref(word).addr())
    }

    fn in_interrupt(&self) -> bool {
        IN_HANDLER.get()
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}
