//! Domains that are wrapped with hooks, by the same interface (SPEC M2): fixed when the runtime is built, seen by every
//! request.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    cell::{Cell, RefCell},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use allocator_api2::alloc::Allocator as _;

use archipelago_alloc_hooks::{
    Book, Countdown, Debug, FailNth, Misuse, MisuseKind, Plan, Site, Trace, TraceBook, TraceRaw, Tracer,
    Tracing, Watch,
};
use archipelago_alloc_suite::DirectHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Host, InterpreterId, Runtime,
    collections::foreign::InHeap,
    config::InterpreterConfig,
    error::AttachError,
    gil::Blocking,
    host::{CurrentSlot, NoClock, NoPark},
    memory::{AllocCause, Asker, Domain},
    thread,
};
use archipelago_locks::SpinLock;

/// Books of the outer and the inner raw domain and of the heaps.
static OUTER: TraceBook<SpinLock, 16> = TraceBook::new(SpinLock::new_const());
static INNER: TraceBook<SpinLock, 16> = TraceBook::new(SpinLock::new_const());
static HEAPS: TraceBook<SpinLock, 64> = TraceBook::new(SpinLock::new_const());

struct Outer;
struct Inner;
struct Heaps;

macro_rules! tracers {
    ($($tracer:ident: $book:ident,)+) => { $(
        impl Tracer for $tracer {
            fn book() -> &'static dyn Book {
                &$book
            }
        }
    )+ };
}

tracers!(Outer: OUTER, Inner: INNER,);

impl Tracer for Heaps {
    fn book() -> &'static dyn Book {
        &HEAPS
    }

    fn site() -> Site {
        if let Some(comes_back) = COMES_BACK.take() {
            comes_back();
        }
        Site::UNKNOWN
    }
}

std::thread_local! {
    /// What this thread's heaps do when they are next asked for a block.
    static COMES_BACK: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

/// Live blocks and bytes of a book, of those that `of` picks.
fn live(book: &dyn Book, of: impl Fn(Option<Asker>) -> bool) -> (usize, usize) {
    let mut live = (0, 0);
    book.each(&mut |row| {
        if of(row.asker) {
            live = (live.0 + row.counts.blocks, live.1 + row.counts.bytes);
        }
    });
    live
}

std::thread_local! {
    static COUNTDOWN: Countdown = const { Countdown::new() };
    static REPORTS: RefCell<Vec<Misuse>> = const { RefCell::new(Vec::new()) };
}

/// Which requests of this thread's heaps fail.
#[derive(Default)]
struct Told;

impl Plan for Told {
    fn with<T>(&self, f: impl FnOnce(&Countdown) -> T) -> T {
        COUNTDOWN.with(f)
    }
}

struct Guard;

impl Watch for Guard {
    fn report(misuse: &Misuse) {
        REPORTS.with_borrow_mut(|reports| reports.push(*misuse));
    }

    fn may_use(asker: Asker) -> bool {
        thread::current::<Wrapped>().is_some_and(|current| current.interpreter == asker.interpreter)
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
    type Raw = TraceRaw<TraceRaw<SystemRaw, SpinLock, Inner>, SpinLock, Outer>;
    type Heap = Debug<Trace<FailNth<DirectHeap, Told>, Heaps>, Guard, 0>;
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

/// The books belong to the process: one test at a time counts in them.
static BOOKS: Mutex<()> = Mutex::new(());

fn books() -> MutexGuard<'static, ()> {
    BOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fresh() -> Runtime<Wrapped> {
    let inner = TraceRaw::new(SystemRaw, SpinLock::new_const(), Tracing::new());
    Runtime::new(Wrapped, TraceRaw::new(inner, SpinLock::new_const(), Tracing::new()), SpinLock::new_const())
}

fn presets() -> [InterpreterConfig; 2] {
    [InterpreterConfig::isolated(), InterpreterConfig::legacy()]
}

fn of(interpreter: InterpreterId, domain: Domain) -> impl Fn(Option<Asker>) -> bool {
    move |asker| asker.is_some_and(|asker| (asker.domain, asker.interpreter) == (domain, interpreter))
}

/// SPEC: M2, M8, M9
#[test]
fn every_request_goes_through_the_wraps() {
    let _alone = books();
    let outer = || live(&OUTER, |_| true).0;
    let inner = || live(&INNER, |_| true).0;
    let rt = fresh();
    let _main = rt.initialize(None).unwrap();
    assert!(outer() >= 2, "an interpreter and a thread state");
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        state
            .attach(|cx| {
                let (before, raw) = (live(&HEAPS, of(id, Domain::Object)).0, outer());
                let objects: Vec<_> = (0..5).map(|n| cx.alloc_plain([n; 100]).unwrap()).collect();
                // On main's heap too they are the interpreter's.
                assert_eq!(live(&HEAPS, of(id, Domain::Object)).0, before + 5);
                assert_eq!((outer(), inner()), (raw + 5, raw + 5), "both see everything");
                COUNTDOWN.with(|countdown| countdown.fail_all_after(0));
                let (_, error) = cx.alloc_plain(1u8).err().unwrap();
                assert_eq!((error.domain, error.cause), (Domain::Object, AllocCause::Exhausted));
                COUNTDOWN.with(Countdown::fail_none);
                for object in objects {
                    object.release(cx);
                }
                assert_eq!(live(&HEAPS, of(id, Domain::Object)).0, before);
                let _left = cx.allocate(Domain::Mem, Layout::new::<u64>()).unwrap();
                assert_eq!(live(&HEAPS, of(id, Domain::Mem)).0, 1);
            })
            .unwrap();
        assert_eq!(rt.end(id, None).unwrap().leaked.mem.blocks, 1);
        assert_eq!(live(&HEAPS, |asker| asker.is_some_and(|asker| asker.interpreter == id)), (0, 0));
    }
    rt.finalize(None).unwrap();
    assert_eq!(REPORTS.with_borrow(Vec::len), 0, "the kernel itself uses memory as it should");
}

/// Where a heap's hook asks for a token, the one that is inside the heap is not lent, also not by `call_out`.
///
/// SPEC: M2, M10, T5
#[test]
fn a_hook_gets_no_second_way_into_its_heap() {
    let _alone = books();
    let rt = Arc::new(fresh());
    let _main = rt.initialize(None).unwrap();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let ask = || {
            let (rt, answers) = (Arc::clone(&rt), Arc::clone(&answers));
            let comes_back: Box<dyn FnOnce()> = Box::new(move || {
                let answer = rt.ensure(id, |cx| cx.alloc_plain(1_u8).map(drop).is_ok());
                answers.lock().unwrap().push(answer);
            });
            COMES_BACK.set(Some(comes_back));
        };
        state
            .attach(|cx| {
                let mut given = None;
                let empty =
                    InHeap::new(cx, |handle| given = Some(handle)).map_err(|(_, error)| error).unwrap();
                let handle = given.unwrap();
                cx.call_out(|| {
                    ask();
                    let small = Layout::new::<[u64; 4]>();
                    let block = handle.allocate(small).unwrap();
                    ask();
                    // SAFETY: the block came from this allocator with this layout, and is not used afterwards.
                    let grown = unsafe { handle.grow(block.cast(), small, Layout::new::<[u64; 400]>()) };
                    assert_eq!(rt.ensure(id, |cx| cx.id()), Ok(id), "afterwards it is lent again");
                    // SAFETY: as above.
                    unsafe { handle.deallocate(grown.unwrap().cast(), Layout::new::<[u64; 400]>()) };
                });
                empty.release(cx);
            })
            .unwrap();
        let refused = Err(AttachError::AlreadyAttached);
        assert_eq!(*answers.lock().unwrap(), [refused, refused]);
        drop(state);
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// SPEC: M7
#[test]
fn misuse_through_a_token_is_named() {
    let _alone = books();
    let rt = fresh();
    let _main = rt.initialize(None).unwrap();
    let layout = Layout::new::<[u64; 3]>();
    for config in presets() {
        let is_known = config == InterpreterConfig::legacy();
        let (mut state, mut other) = (rt.create(&config, None).unwrap(), rt.create(&config, None).unwrap());
        let id = state.interpreter();
        let (first, second) = state
            .attach(|cx| {
                [Domain::Mem, Domain::Object].map(|domain| cx.allocate(domain, layout).unwrap()).into()
            })
            .unwrap();
        let of_whom = |misuse: &Misuse| {
            assert!(misuse.owner.is_none() || misuse.size == layout.size(), "what was asked for: {misuse}");
            (misuse.kind, misuse.owner.map(|owner| (owner.domain, owner.interpreter)))
        };
        let kinds = || REPORTS.take().iter().map(of_whom).collect::<Vec<_>>();
        state
            .attach(|cx| {
                let before = cx.usage();
                let larger = Layout::new::<[u64; 6]>();
                let smaller = Layout::new::<[u64; 2]>();
                let domain = MisuseKind::WrongDomain { domain: Domain::Object };
                let size = MisuseKind::WrongLayout { size: larger.size(), align: 8 };
                for (kind, domain, old) in [(domain, Domain::Object, layout), (size, Domain::Mem, larger)] {
                    let report = (kind, Some((Domain::Mem, id)));
                    // SAFETY: not what the contract asks for, which is what is tested: the wrapper answers for it.
                    unsafe {
                        cx.deallocate(domain, first, old);
                        assert_eq!(kinds(), [report]);
                        for new in [smaller, Layout::new::<[u64; 13]>()] {
                            cx.reallocate(domain, first, old, new).unwrap_err();
                            assert_eq!(kinds(), [report]);
                            cx.resize(domain, first, old, new).unwrap_err();
                            assert_eq!(kinds(), [report]);
                        }
                    }
                    assert_eq!(cx.usage(), before, "no account changes");
                }
                // SAFETY: it is live still, with its domain and layout.
                unsafe {
                    let moved = cx.reallocate(Domain::Mem, first, layout, larger).unwrap();
                    cx.deallocate(Domain::Mem, moved, larger);
                }
                assert_eq!(kinds(), []);
                let now = cx.usage();
                assert_eq!(
                    (now.mem.blocks, now.object.blocks),
                    (before.mem.blocks - 1, before.object.blocks)
                );
            })
            .unwrap();
        other
            .attach(|cx| {
                let before = cx.usage();
                let kind = MisuseKind::WrongInterpreter { number: cx.id().number() };
                let report = if is_known {
                    (kind, Some((Domain::Object, id)))
                } else {
                    // Another heap does not know it at all.
                    (MisuseKind::ForeignBlock, None)
                };
                // SAFETY: as above.
                unsafe {
                    cx.deallocate(Domain::Object, second, layout);
                    assert_eq!(kinds(), [report]);
                    cx.reallocate(Domain::Object, second, layout, Layout::new::<[u64; 6]>()).unwrap_err();
                    assert_eq!(kinds(), [report]);
                    cx.resize(Domain::Object, second, layout, Layout::new::<[u64; 2]>()).unwrap_err();
                    assert_eq!(kinds(), [report]);
                }
                assert_eq!(cx.usage(), before, "it was not this interpreter's");
            })
            .unwrap();
        state
            .attach(|cx| {
                // SAFETY: it is live still: a wrong free is left out.
                unsafe { cx.deallocate(Domain::Object, second, layout) };
                assert_eq!(kinds(), []);
            })
            .unwrap();
        drop((state, other));
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}
