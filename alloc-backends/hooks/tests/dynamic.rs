//! Allocators that are chosen at run time (`PyMem_SetAllocator`).
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    ptr::{self, NonNull},
    sync::atomic::{AtomicUsize, Ordering},
};

use archipelago::{ParkingGil, StdClock, StdPark, ThreadLocalSlot};
use archipelago_alloc_hooks::{
    Choice, DynamicHeap, DynamicRaw, HeapCall, HeapChoice, HeapTable, RawTable, SetError,
};
use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_suite::DirectHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Host, Runtime,
    config::InterpreterConfig,
    gil::Interval,
    host::{Exhausted, RawLock},
    memory::{AllocCause, Asker, Domain, RawDomain},
};
use archipelago_locks::SpinLock;

type Raw = DynamicRaw<SpinLock>;

/// A host that leaves its memory to whoever starts it.
#[derive(Default)]
struct Chooser {
    clock: StdClock,
    park: StdPark,
}

impl Choice<Raw> for Chooser {
    type Lock = SpinLock;

    fn choice() -> &'static HeapChoice<SpinLock, Raw> {
        static CHOICE: HeapChoice<SpinLock, Raw> = HeapChoice::new::<SmallHeap>(SpinLock::new_const());
        &CHOICE
    }
}

impl Host for Chooser {
    type Lock = SpinLock;
    type Gil = ParkingGil;
    type GilPolicy = Interval;
    type Park = StdPark;
    type Clock = StdClock;
    type Raw = Raw;
    type Heap = DynamicHeap<Raw, Chooser>;
    type Slot = ThreadLocalSlot;

    fn clock(&self) -> &StdClock {
        &self.clock
    }

    fn park(&self) -> &StdPark {
        &self.park
    }

    fn new_cycle(&self) -> u64 {
        static CYCLES: AtomicUsize = AtomicUsize::new(1);
        CYCLES.fetch_add(1, Ordering::Relaxed) as u64
    }

    fn thread_id(&self) -> usize {
        std::thread_local! {
            static HERE: u8 = const { 0 };
        }
        HERE.with(|here| ptr::from_ref(here).addr())
    }
}

/// A hook around an allocator, as programs write them: the one before is the context.
static RAW_BEFORE: std::sync::OnceLock<RawTable> = std::sync::OnceLock::new();
static RAW_TAKEN: AtomicUsize = AtomicUsize::new(0);

fn counting(before: &'static RawTable) -> RawTable {
    unsafe fn take(before: *const (), layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        RAW_TAKEN.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the context is a `&'static RawTable`; the rest is passed on.
        unsafe {
            let before = &*before.cast::<RawTable>();
            (before.allocate)(before.context, layout)
        }
    }
    unsafe fn give_back(before: *const (), block: NonNull<u8>, layout: Layout) {
        // SAFETY: as above.
        unsafe {
            let before = &*before.cast::<RawTable>();
            (before.deallocate)(before.context, block, layout);
        }
    }
    unsafe fn resize(
        before: *const (),
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), Exhausted> {
        // SAFETY: as above.
        unsafe {
            let before = &*before.cast::<RawTable>();
            (before.resize)(before.context, block, old, new)
        }
    }
    RawTable { context: ptr::from_ref(before).cast(), allocate: take, deallocate: give_back, resize }
}

static MEM_BEFORE: HeapTable<Raw> = HeapTable::of::<DirectHeap>();
static MEM_TAKEN: AtomicUsize = AtomicUsize::new(0);

/// As above, for the heap of the mem domain; `begin` and the others are those of the one before.
fn counting_heap() -> HeapTable<Raw> {
    unsafe fn take(
        call: HeapCall,
        raw: RawDomain<'_, Raw>,
        layout: Layout,
        asker: Option<Asker>,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        assert!(asker.is_some_and(|asker| asker.domain != Domain::Object));
        MEM_TAKEN.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on; heaps of this table are made by the one before, whose context is not used.
        unsafe { (MEM_BEFORE.allocate)(call, raw, layout, asker) }
    }
    HeapTable { allocate: take, ..MEM_BEFORE }
}

#[test]
fn set_before_and_refused_after() {
    static SYSTEM: SystemRaw = SystemRaw;
    let fresh = || {
        Runtime::<Chooser>::new(
            Chooser::default(),
            DynamicRaw::new(SpinLock::new_const(), &SYSTEM),
            RawLock::new(),
        )
    };
    let rt = fresh();
    let before = RAW_BEFORE.get_or_init(|| rt.raw().backend().get());
    let choice = Chooser::choice();
    let object = choice.get(Domain::Object);
    // SAFETY: the tables serve from the ones before.
    unsafe {
        assert_eq!(Raw::set(&rt, counting(before)), Ok(()));
        assert_eq!(choice.set(&rt, Domain::Mem, counting_heap()), Ok(()));
    }
    let _main = rt.initialize(None).expect("main can be made");
    assert!(RAW_TAKEN.load(Ordering::Relaxed) >= 2, "its slots");
    // SAFETY: as above; refused.
    let refused = || unsafe { (Raw::set(&rt, *before), choice.set(&rt, Domain::Object, object)) };
    assert_eq!(refused(), (Err(SetError::Initialized), Err(SetError::Initialized)));

    let mut state = rt.create(&InterpreterConfig::isolated(), None).expect("one more");
    state
        .attach(|cx| {
            let layout = Layout::new::<[u64; 5]>();
            let (raw_taken, mem_taken) =
                (RAW_TAKEN.load(Ordering::Relaxed), MEM_TAKEN.load(Ordering::Relaxed));
            let blocks = [Domain::Mem, Domain::Raw, Domain::Object]
                .map(|domain| (domain, cx.allocate(domain, layout).expect("room for it")));
            assert_eq!(MEM_TAKEN.load(Ordering::Relaxed), mem_taken + 2, "mem, and raw by the token");
            assert!(RAW_TAKEN.load(Ordering::Relaxed) >= raw_taken + 3, "two blocks, and pages for objects");
            for (domain, block) in blocks {
                // SAFETY: live, with this domain and layout.
                unsafe { cx.deallocate(domain, block, layout) };
            }
        })
        .expect("it is alive");
    assert!(rt.end(state.interpreter(), None).expect("it ends").is_clean());
    drop(state);
    rt.finalize(None).expect("nobody is inside");
    assert_eq!(refused().0, Err(SetError::Initialized));
    drop(rt);

    // Another runtime begins anew with its raw domain; the choice of heaps is shared, and in use.
    let rt = fresh();
    // SAFETY: as above.
    unsafe {
        assert_eq!(Raw::set(&rt, counting(before)), Ok(()));
        assert_eq!(choice.set(&rt, Domain::Object, object), Err(SetError::InUse));
    }
    // SAFETY: it served, so it is refused.
    let late = |rt: &Runtime<Chooser>| unsafe { Raw::set(rt, *before) };
    let block = rt.raw().allocate(Layout::new::<u64>()).expect("room for it");
    assert_eq!(late(&rt), Err(SetError::InUse), "not initialized, but a block is out");
    // SAFETY: live, and taken for this layout.
    unsafe { rt.raw().deallocate(block, Layout::new::<u64>()) };
    assert!(SetError::InUse.to_string().contains("set it earlier"));
}
