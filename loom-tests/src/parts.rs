//! Locks, blocking and memory. Who waits sleeps in loom's eyes too, so that loom knows who is blocked.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    cell::Cell,
    ptr::{self, NonNull},
    time::Duration,
};

use archipelago_alloc_shared::Shared;
use archipelago_kernel::{
    host::{CurrentSlot, Exhausted, Heap, Park, RawAlloc, RawGil, RawLock},
    memory::{AllocCause, RawDomain},
};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::{sleepers::Sleepers, time::LoomClock};

macro_rules! lock {
    ($name:ident, $trait:ident, $what:literal) => {
        #[doc = $what]
        ///
        /// A flag, and a list of those who block. (`try_lock` of loom's mutex will not do: loom blocks a thread that is
        /// about to try a mutex which another takes.) A failed try orders nothing.
        pub struct $name {
            held: AtomicBool,
            blocked: Sleepers,
        }

        // SAFETY: the flag goes up by compare-and-swap (acquire) and falls by the holder (release).
        unsafe impl $trait for $name {
            type Held = ();

            fn new() -> Self {
                $name { held: AtomicBool::new(false), blocked: Sleepers::default() }
            }

            fn lock(&self) {
                if self.try_lock().is_none() {
                    self.blocked.sleep_until(|| self.try_lock());
                }
            }

            fn try_lock(&self) -> Option<()> {
                self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok().map(drop)
            }

            unsafe fn unlock(&self, (): ()) {
                self.held.store(false, Ordering::Release);
                self.blocked.wake_one();
            }
        }
    };
}

lock!(LoomLock, RawLock, "The runtime's lock.");
lock!(LoomGil, RawGil, "A GIL. Who gets it is loom's choice: no order among waiters may be relied on.");

/// One list for all keys: waking the wrong ones is allowed. A wait with a limit runs out after one yield, and that much
/// time has passed then.
pub struct LoomPark {
    parked: Sleepers,
    /// What the lock of a real list is: who is listed after a wake-up sees what came before it.
    order: AtomicUsize,
    clock: LoomClock,
}

impl LoomPark {
    pub(crate) fn new(clock: LoomClock) -> Self {
        LoomPark { parked: Sleepers::default(), order: AtomicUsize::new(0), clock }
    }
}

impl Park for LoomPark {
    fn park(&self, _: usize, blocked: &dyn Fn() -> bool, timeout: Option<Duration>) {
        if let Some(timeout) = timeout {
            if blocked() {
                loom::thread::yield_now();
                self.clock.advance(timeout);
            }
            return;
        }
        self.parked.sleep_until(|| {
            self.order.fetch_add(1, Ordering::AcqRel);
            (!blocked()).then_some(())
        });
    }

    fn unpark(&self, _: usize) {
        self.order.fetch_add(1, Ordering::AcqRel);
        self.parked.wake_all();
    }
}

loom::thread_local! {
    static CURRENT: Cell<*const ()> = Cell::new(ptr::null());
}

/// The slot for the current thread state: a thread-local of the modelled thread.
pub struct LoomSlot;

// SAFETY: one cell per modelled thread, null at first, private to this module.
unsafe impl CurrentSlot for LoomSlot {
    fn get() -> *const () {
        CURRENT.with(Cell::get)
    }

    unsafe fn set(word: *const ()) {
        CURRENT.with(|current| current.set(word));
    }
}

/// A number per modelled thread.
pub(crate) fn thread_id() -> usize {
    CURRENT.with(|current| ptr::from_ref(current).addr())
}

/// The raw domain: the program's allocator, which loom does not look into.
pub struct LoomRaw;

// SAFETY: the global allocator's contract.
unsafe impl RawAlloc for LoomRaw {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        // SAFETY: the kernel asks for sizes above zero.
        let block = unsafe { std::alloc::alloc(layout) };
        NonNull::new(block).map(|block| NonNull::slice_from_raw_parts(block, layout.size())).ok_or(Exhausted)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { std::alloc::dealloc(block.as_ptr(), layout) }
    }
}

/// One heap for all: the real wrapper, whose flag loom sees, around the heap that checks its users.
pub type LoomOneHeap = Shared<LoomHeap, LoomLock>;

/// A heap that keeps a list. Two threads in it that nothing orders are a finding.
pub struct LoomHeap {
    blocks: Vec<(NonNull<u8>, Layout)>,
    touched: loom::cell::Cell<usize>,
}

// SAFETY: the blocks belong to the heap.
unsafe impl Send for LoomHeap {}

impl LoomHeap {
    fn touch(&self) {
        self.touched.set(self.touched.get() + 1);
    }
}

// SAFETY: blocks come from the raw domain one by one and go back there.
unsafe impl Heap<LoomRaw> for LoomHeap {
    fn new() -> Self {
        LoomHeap { blocks: Vec::new(), touched: loom::cell::Cell::new(0) }
    }

    fn allocate(&mut self, raw: RawDomain<'_, LoomRaw>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        self.touch();
        let block = raw.take(layout)?;
        self.blocks.push((block, layout));
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, LoomRaw>, block: NonNull<u8>, layout: Layout) {
        self.touch();
        let place = self.blocks.iter().position(|(start, _)| *start == block);
        let (block, listed) = self.blocks.swap_remove(place.expect("a block of this heap"));
        assert_eq!(listed, layout, "a block goes back with its layout");
        // SAFETY: the block was in the list.
        unsafe { raw.deallocate(block, layout) }
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, LoomRaw>) {
        self.touch();
        for (block, layout) in self.blocks.drain(..) {
            // SAFETY: the block was in the list.
            unsafe { raw.deallocate(block, layout) }
        }
    }
}
