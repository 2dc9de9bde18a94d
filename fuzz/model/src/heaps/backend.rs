//! The heaps and raw domains that lists of requests are run on.
#![allow(unsafe_code)]

use core::{marker::PhantomData, mem::MaybeUninit, ptr::NonNull};
use std::sync::{Mutex, PoisonError};

use archipelago_alloc_hooks::{
    Book, Choice, Countdown, Debug, DebugRaw, Debugging, DynamicHeap, DynamicRaw, FailNth, FailNthRaw,
    Failing, HeapChoice, Misuse, Plan, Quarantine, QuarantineRaw, Quarantining, Trace, TraceBook, TraceRaw,
    Tracer, Tracing, Watch,
};
use archipelago_alloc_linked_list::LinkedListRaw;
use archipelago_alloc_pool::{A1024, Pool, PoolRaw, Pools};
use archipelago_alloc_shared::Shared;
use archipelago_alloc_slab::{SlabHeap, SmallHeap, UsualHeap};
use archipelago_alloc_suite::{Checked, OnHeap, OnRaw};
use archipelago_alloc_system::{CountedSystem, SystemRaw};
use archipelago_kernel::host::Heap;
use archipelago_locks::SpinLock;

use super::{
    Around, Request, run,
    tested::{Keeps, Told},
};
use crate::forever::Forever;

macro_rules! backends {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What is tested.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        pub enum Backend {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Backend {
            /// Each of them.
            pub const ALL: &[Backend] = &[$(Backend::$name),+];
        }
    };
}

backends! {
    /// Size classes in small pages; nothing is kept.
    Small,
    /// All classes, larger pages, and empty arenas are kept.
    Keeping,
    /// Size classes as hosts with an operating system have them.
    Usual,
    /// The system's allocator.
    System,
    /// The system's allocator, with counters.
    Counted,
    /// `linked_list_allocator` in one region.
    LinkedList,
    /// Pools of fixed blocks.
    Pools,
    /// Size classes on pools.
    OnPools,
    /// A heap behind a lock that is off.
    Shared,
    /// A heap behind a lock that is on.
    Told,
    /// Size classes with guards and owners.
    Debug,
    /// Size classes whose freed blocks wait.
    Quarantine,
    /// Size classes that a book is kept of.
    Trace,
    /// Size classes in front of which requests fail.
    Failing,
    /// Size classes through functions that were chosen at run time.
    Dynamic,
    /// A raw domain with guards, whose freed blocks wait.
    DebugRaw,
    /// A raw domain that a book is kept of.
    TraceRaw,
    /// A raw domain in front of which requests fail.
    FailingRaw,
    /// A raw domain through functions that were chosen at run time.
    DynamicRaw,
}

/// The suite's model uses every block rightly, so every report is a bug.
struct Strict;

impl Watch for Strict {
    fn report(misuse: &Misuse) {
        panic!("{misuse}");
    }
}

/// The book of all traces: whoever looks at its sums is alone.
struct Traced;

static BOOK: TraceBook<SpinLock, 16> = TraceBook::new(SpinLock::new_const());
static ALONE: Mutex<()> = Mutex::new(());

impl Tracer for Traced {
    fn book() -> &'static dyn Book {
        &BOOK
    }
}

/// Live blocks and bytes in the book.
fn booked() -> (usize, usize) {
    let rest = BOOK.rest();
    let mut sums = (rest.blocks, rest.bytes);
    BOOK.each(&mut |row| sums = (sums.0 + row.counts.blocks, sums.1 + row.counts.bytes));
    sums
}

std::thread_local! {
    static COUNTDOWN: Countdown = const { Countdown::new() };
}

/// Requests of this thread fail as its countdown says.
#[derive(Default)]
struct ByCountdown;

impl Plan for ByCountdown {
    fn with<T>(&self, f: impl FnOnce(&Countdown) -> T) -> T {
        COUNTDOWN.with(f)
    }
}

fn fail(after: Option<usize>) {
    COUNTDOWN.with(|countdown| match after {
        Some(served) => countdown.fail_after(served),
        None => countdown.fail_none(),
    });
}

type Below = Checked<SystemRaw>;

struct Chosen<T>(PhantomData<T>);

impl Choice<Below> for Chosen<SmallHeap> {
    type Lock = SpinLock;

    fn choice() -> &'static HeapChoice<SpinLock, Below> {
        static CHOICE: HeapChoice<SpinLock, Below> = HeapChoice::new::<SmallHeap>(SpinLock::new_const());
        &CHOICE
    }
}

type Keeping = SlabHeap<4096, { 64 << 10 }>;
type Blocks = (Pool<64, 60>, Pool<256, 40>, Pool<1024, 8, A1024>);
type Pages = (Pool<1024, 48, A1024>, Pool<2048, 12>);

/// Serves the requests on a new backend, and asserts that every answer was right and all memory is back.
pub fn serve(backend: Backend, requests: &[Request]) {
    let lock = SpinLock::new_const;
    match backend {
        Backend::Small => on_system::<SmallHeap>(Around::default(), requests),
        Backend::Keeping => on_system::<Keeping>(Around::default(), requests),
        Backend::Usual => on_system::<UsualHeap>(Around::default(), requests),
        Backend::Shared => on_system::<Shared<SmallHeap, SpinLock>>(Around::default(), requests),
        Backend::Debug => on_system::<Debug<SmallHeap, Strict, 4000>>(Around::default(), requests),
        Backend::Quarantine => on_system::<Quarantine<SmallHeap, 2000>>(Around::default(), requests),
        Backend::Dynamic => on_system::<DynamicHeap<Below, Chosen<SmallHeap>>>(Around::default(), requests),
        Backend::Failing => {
            let around = Around { fail: Some(&fail), ..Around::default() };
            on_system::<FailNth<SmallHeap, ByCountdown>>(around, requests);
        }
        Backend::Trace => alone(|around| on_system::<Trace<SmallHeap, Traced>>(around, requests)),
        Backend::Told => {
            let raw = Checked::new(SystemRaw);
            let around = Around { below: Some(&raw), ..Around::default() };
            run(Told::<Shared<SmallHeap, SpinLock>, _>::new(&raw), around, requests);
        }
        Backend::System => {
            let raw = Checked::new(SystemRaw);
            let around = Around { below: Some(&raw), books: Some(&|| raw.live()), ..Around::default() };
            run(OnRaw(&raw), around, requests);
        }
        Backend::Counted => {
            let raw = CountedSystem::new();
            let books = || (raw.blocks(), raw.bytes());
            run(OnRaw(&raw), Around { books: Some(&books), ..Around::default() }, requests);
        }
        Backend::DebugRaw => {
            let waits =
                QuarantineRaw::<_, _, 2000>::new(Checked::new(SystemRaw), lock(), Quarantining::new());
            let raw = DebugRaw::<_, _, Strict, 1000>::new(waits, lock(), Debugging::new());
            let around = Around { below: Some(raw.inner().inner()), ..Around::default() };
            let trim = || {
                raw.trim();
                raw.inner().trim();
            };
            run(Keeps(OnRaw(&raw), trim), around, requests);
        }
        Backend::TraceRaw => alone(|around| {
            let raw = TraceRaw::<_, _, Traced>::new(Checked::new(SystemRaw), lock(), Tracing::new());
            run(OnRaw(&raw), Around { below: Some(raw.inner()), ..around }, requests);
        }),
        Backend::FailingRaw => {
            let raw = FailNthRaw::new(Checked::new(SystemRaw), lock(), Failing::new(ByCountdown));
            let books = || raw.inner().live();
            let around = Around { below: Some(raw.inner()), fail: Some(&fail), books: Some(&books) };
            run(OnRaw(&raw), around, requests);
        }
        Backend::DynamicRaw => {
            let below = Forever::new(Checked::new(SystemRaw));
            let books = || below.get().live();
            let around = Around { below: Some(below.get()), books: Some(&books), ..Around::default() };
            run(OnRaw(&DynamicRaw::new(lock(), below.get())), around, requests);
            // SAFETY: what got the reference was borrowed by the subject of the run, which is gone.
            unsafe { below.free() };
        }
        Backend::LinkedList => on_region(requests),
        Backend::Pools => on_pools::<Blocks>(|pools| run(OnRaw(&pools), Around::default(), requests)),
        Backend::OnPools => {
            on_pools::<Pages>(|pools| {
                run(OnHeap::<SmallHeap, _>::new(&pools), Around::default(), requests);
            });
        }
    }
}

fn on_system<H: Heap<Below>>(around: Around<'_>, requests: &[Request]) {
    let raw = Checked::new(SystemRaw);
    run(OnHeap::<H, _>::new(&raw), Around { below: Some(&raw), ..around }, requests);
}

/// With the book of all traces to itself.
fn alone(test: impl FnOnce(Around<'_>)) {
    // A failed assertion of another thread is reported there.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = booked();
    let books = || {
        let now = booked();
        (now.0 - before.0, now.1 - before.1)
    };
    test(Around { books: Some(&books), ..Around::default() });
}
fn on_region(requests: &[Request]) {
    let mut region = vec![MaybeUninit::<u8>::uninit(); 32 << 10];
    let raw = LinkedListRaw::new(SpinLock::new_const());
    // SAFETY: the region outlives the allocator, which is declared later, and is touched by nothing else.
    unsafe { raw.init_at(NonNull::from(&mut region[..]).cast(), region.len()) }.expect("it is large enough");
    run(OnRaw(&raw), Around::default(), requests);
    assert_eq!(raw.used(), 0, "everything is back");
}

/// Pools are used through a reference that is valid for ever, and each run has some of its own.
fn on_pools<P: Pools + 'static>(test: impl FnOnce(&'static PoolRaw<SpinLock, P>)) {
    let pools = Forever::new(PoolRaw::<_, P>::new(SpinLock::new_const()));
    test(pools.get());
    assert!(pools.get().usage().iter().all(|pool| pool.live == 0), "everything is back");
    // SAFETY: what got the reference was borrowed by the subject of the run, which is gone.
    unsafe { pools.free() };
}
