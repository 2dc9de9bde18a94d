//! Locks, blocking and memory on loom's mutex and condition variable, so that loom knows who is blocked.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    cell::Cell,
    ptr::{self, NonNull},
    time::Duration,
};

use archipelago_kernel::host::{CurrentSlot, Exhausted, Heap, Park, RawAlloc, RawGil, RawLock, Swept};
use loom::sync::{
    Condvar, Mutex,
    atomic::{AtomicBool, Ordering},
};

macro_rules! lock {
    ($name:ident, $trait:ident, $what:literal) => {
        #[doc = $what]
        ///
        /// A flag, and a condition variable for those who block: loom knows that they do. (`try_lock` of loom's mutex
        /// will not do: loom blocks a thread that is about to try a mutex which another takes.) A failed try orders
        /// nothing.
        pub struct $name {
            held: AtomicBool,
            lock: Mutex<()>,
            free: Condvar,
        }

        // SAFETY: the flag goes up by compare-and-swap (acquire) and falls by the holder (release).
        unsafe impl $trait for $name {
            type Held = ();

            fn new() -> Self {
                $name { held: AtomicBool::new(false), lock: Mutex::new(()), free: Condvar::new() }
            }

            fn lock(&self) {
                if self.try_lock().is_none() {
                    let mut guard = self.lock.lock().unwrap();
                    while self.try_lock().is_none() {
                        guard = self.free.wait(guard).unwrap();
                    }
                }
            }

            fn try_lock(&self) -> Option<()> {
                self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok().map(drop)
            }

            unsafe fn unlock(&self, (): ()) {
                self.held.store(false, Ordering::Release);
                // Whoever found the flag up waits by now, or has not looked again yet.
                drop(self.lock.lock().unwrap());
                self.free.notify_one();
            }
        }
    };
}

lock!(LoomLock, RawLock, "The runtime's lock.");
lock!(LoomGil, RawGil, "A GIL. Who gets it is loom's choice: no order among waiters may be relied on.");

/// Parks on one condition variable for all keys: waking the wrong ones is allowed.
pub struct LoomPark {
    lock: Mutex<()>,
    woken: Condvar,
}

impl LoomPark {
    pub(crate) fn new() -> Self {
        LoomPark { lock: Mutex::new(()), woken: Condvar::new() }
    }
}

impl Park for LoomPark {
    fn park(&self, _: usize, blocked: &dyn Fn() -> bool, timeout: Option<Duration>) {
        assert!(timeout.is_none(), "models wait for ever or not at all: the host has no clock");
        let guard = self.lock.lock().unwrap();
        // Registered: whoever changes the condition from here on needs the lock to wake.
        if blocked() {
            drop(self.woken.wait(guard).unwrap());
        }
    }

    fn unpark(&self, _: usize) {
        let _guard = self.lock.lock().unwrap();
        self.woken.notify_all();
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

    fn allocate(&mut self, raw: &LoomRaw, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        self.touch();
        let block = raw.allocate(layout)?;
        self.blocks.push((block.cast(), layout));
        Ok(block)
    }

    unsafe fn deallocate(&mut self, raw: &LoomRaw, block: NonNull<u8>, layout: Layout) {
        self.touch();
        let place = self.blocks.iter().position(|(start, _)| *start == block);
        let (block, listed) = self.blocks.swap_remove(place.expect("a block of this heap"));
        assert_eq!(listed, layout, "a block goes back with its layout");
        // SAFETY: the block was in the list.
        unsafe { raw.deallocate(block, layout) }
    }

    unsafe fn sweep(&mut self, raw: &LoomRaw) -> Swept {
        self.touch();
        let mut swept = Swept::default();
        for (block, layout) in self.blocks.drain(..) {
            swept.blocks += 1;
            swept.bytes += layout.size();
            // SAFETY: the block was in the list.
            unsafe { raw.deallocate(block, layout) }
        }
        swept
    }
}
