//! Domains that are wrapped with hooks, by the same interface (SPEC M2): fixed when the runtime is built, seen by every
//! request.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    cell::Cell,
    ops::Range,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use archipelago_alloc_blocks::BlockHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Host, Runtime,
    config::InterpreterConfig,
    gil::Blocking,
    host::{CurrentSlot, Exhausted, Heap, NoClock, NoPark, RawAlloc, Swept},
    memory::{AllocCause, Domain},
};
use archipelago_locks::SpinLock;

/// A raw domain that counts what goes through it.
struct Counted<R> {
    inner: R,
    given: AtomicUsize,
    taken_back: AtomicUsize,
}

// SAFETY: the blocks are the inner one's.
unsafe impl<R: RawAlloc> RawAlloc for Counted<R> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        let block = self.inner.allocate(layout)?;
        self.given.fetch_add(1, Ordering::Relaxed);
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.taken_back.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { self.inner.deallocate(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        // SAFETY: passed on.
        unsafe { self.inner.resize(block, old, new) }
    }

    fn region(&self) -> Option<Range<usize>> {
        self.inner.region()
    }
}

std::thread_local! {
    /// Requests that a heap of this thread may still serve, and those it served.
    static ALLOWED: Cell<usize> = const { Cell::new(usize::MAX) };
    static SERVED: Cell<usize> = const { Cell::new(0) };
}

/// A heap that refuses after so many requests.
struct Limited<T>(T);

// SAFETY: the blocks are the inner one's.
unsafe impl<R: RawAlloc, T: Heap<R>> Heap<R> for Limited<T> {
    fn new() -> Self {
        Limited(T::new())
    }

    fn allocate(&mut self, raw: &R, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        ALLOWED.set(ALLOWED.get().checked_sub(1).ok_or(Exhausted)?);
        SERVED.set(SERVED.get() + 1);
        self.0.allocate(raw, layout)
    }

    unsafe fn deallocate(&mut self, raw: &R, block: NonNull<u8>, layout: Layout) {
        SERVED.set(SERVED.get() - 1);
        // SAFETY: passed on.
        unsafe { self.0.deallocate(raw, block, layout) }
    }

    unsafe fn sweep(&mut self, raw: &R) -> Swept {
        // SAFETY: passed on.
        unsafe { self.0.sweep(raw) }
    }
}

struct Slot;

std::thread_local! {
    static CURRENT: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

// SAFETY: a thread-local cell answers each thread with what it last stored, null at first; only this
// implementation can write it.
unsafe impl CurrentSlot for Slot {
    fn get() -> *const () {
        CURRENT.get()
    }

    unsafe fn set(word: *const ()) {
        CURRENT.set(word);
    }
}

struct Wrapped;

static CYCLES: AtomicU64 = AtomicU64::new(1);

impl Host for Wrapped {
    type Lock = SpinLock;
    type Gil = SpinLock;
    type GilPolicy = Blocking;
    type Park = NoPark;
    type Clock = NoClock;
    // Wraps nest.
    type Raw = Counted<Counted<SystemRaw>>;
    type Heap = Limited<BlockHeap>;
    type Slot = Slot;

    fn clock(&self) -> &NoClock {
        &NoClock
    }

    fn park(&self) -> &NoPark {
        &NoPark
    }

    fn new_cycle(&self) -> u64 {
        CYCLES.fetch_add(1, Ordering::Relaxed)
    }

    fn thread_id(&self) -> usize {
        CURRENT.with(|word| ptr::from_ref(word).addr())
    }
}

fn counted<R>(inner: R) -> Counted<R> {
    Counted { inner, given: AtomicUsize::new(0), taken_back: AtomicUsize::new(0) }
}

/// SPEC: M2
#[test]
fn every_request_goes_through_the_wraps() {
    let rt = Runtime::new(Wrapped, counted(counted(SystemRaw)), SpinLock::new_const());
    let live = |wrap: &dyn Fn() -> (usize, usize)| {
        let (given, taken_back) = wrap();
        given - taken_back
    };
    let outer =
        || (rt.raw_alloc().given.load(Ordering::Relaxed), rt.raw_alloc().taken_back.load(Ordering::Relaxed));
    let inner = || {
        let raw = &rt.raw_alloc().inner;
        (raw.given.load(Ordering::Relaxed), raw.taken_back.load(Ordering::Relaxed))
    };
    assert_eq!((outer(), inner()), ((0, 0), (0, 0)));
    let _main = rt.initialize(None).unwrap();
    let slots = live(&outer);
    assert!(slots >= 2, "an interpreter and a thread state");
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let before = (SERVED.get(), live(&outer));
                let objects: Vec<_> = (0..5).map(|n| cx.alloc_plain([n; 100]).unwrap()).collect();
                assert_eq!((SERVED.get(), live(&outer)), (before.0 + 5, before.1 + 5));
                assert_eq!(outer(), inner(), "both see everything");
                ALLOWED.set(0);
                let (_, error) = cx.alloc_plain(1u8).err().unwrap();
                assert_eq!((error.domain, error.cause), (Domain::Object, AllocCause::Exhausted));
                ALLOWED.set(usize::MAX);
                for object in objects {
                    object.release(cx);
                }
                assert_eq!(SERVED.get(), before.0);
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
    rt.finalize(None).unwrap();
    assert_eq!(SERVED.get(), 0);
}
