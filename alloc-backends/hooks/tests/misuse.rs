//! Each misuse that `Debug` names is provoked once, and its report read (SPEC M7, M11).
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    cell::{Cell, RefCell},
    ptr::NonNull,
};
use std::sync::OnceLock;

use archipelago::StdHost;
use archipelago_alloc_hooks::{
    BlockRegister, Debug, DebugRaw, Debugging, Frame, HookedRaw, Misuse, MisuseKind, Quarantine, Register,
    Site, Watch,
};
use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_suite::DirectHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    InterpreterId, Runtime,
    config::InterpreterConfig,
    host::{Exhausted, Heap, RawAlloc, RawLock},
    memory::{Asker, Domain, RawDomain},
};
use archipelago_locks::SpinLock;

std::thread_local! {
    static REPORTS: RefCell<Vec<Misuse>> = const { RefCell::new(Vec::new()) };
    static SITE: Cell<Site> = const { Cell::new(Site::UNKNOWN) };
    static ATTACHED: Cell<bool> = const { Cell::new(true) };
}

static LOAD: Frame = Frame::root("load");
static PARSE: Frame = Frame::below(&LOAD, "parse");
static CLOSE: Frame = Frame::root("close");

struct Recorder;

impl Watch for Recorder {
    fn report(misuse: &Misuse) {
        REPORTS.with_borrow_mut(|reports| reports.push(*misuse));
    }

    fn site() -> Site {
        SITE.get()
    }

    fn may_use(_: Asker) -> bool {
        ATTACHED.get()
    }
}

fn reports() -> Vec<Misuse> {
    REPORTS.with_borrow_mut(core::mem::take)
}

/// The only report, and its line with the address left out.
fn report() -> (Misuse, String) {
    let reports = reports();
    let [misuse] = reports[..] else { panic!("one report: {reports:?}") };
    let address = format!("{:#x}", misuse.address);
    (misuse, misuse.to_string().replace(&address, "ADDRESS"))
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// The name of an interpreter, as a runtime gave it.
fn name(number: usize) -> InterpreterId {
    static NAMES: OnceLock<[InterpreterId; 5]> = OnceLock::new();
    NAMES.get_or_init(|| {
        let runtime = Runtime::new(StdHost::new(), SystemRaw, RawLock::new());
        let main = runtime.initialize(None).expect("main can be made").main();
        let mut names = [main; 5];
        for name in &mut names[1..] {
            *name = runtime.create(&InterpreterConfig::isolated(), None).expect("one more").interpreter();
        }
        names
    })[number]
}

fn asker(number: usize, domain: Domain) -> Asker {
    Asker::new(domain, name(number))
}

/// A heap, used as an interpreter does and as it must not.
struct Used<H: Heap<SystemRaw>> {
    heap: H,
    raw: RawDomain<'static, SystemRaw>,
}

type Guarded = Debug<SmallHeap, Recorder>;

impl<H: Heap<SystemRaw>> Used<H> {
    fn new() -> Self {
        Used { heap: H::new(), raw: RawDomain::new(&SystemRaw) }
    }

    fn take(&mut self, size: usize) -> NonNull<u8> {
        SITE.set(Site(Some(&PARSE)));
        let answer = self.heap.allocate_for(self.raw, layout(size), asker(3, Domain::Object));
        SITE.set(Site(Some(&CLOSE)));
        answer.expect("room for it").cast()
    }

    fn give(&mut self, block: NonNull<u8>, size: usize, asker: Asker) {
        // SAFETY: not what the contract asks for: what the debug wrapper does with misuse is what is tested here. It
        // names the block by its address and reads through pointers of its own only.
        unsafe { self.heap.deallocate_for(self.raw, block, layout(size), asker) }
    }

    fn give_back(&mut self, block: NonNull<u8>, size: usize) {
        self.give(block, size, asker(3, Domain::Object));
    }
}

impl<H: Heap<SystemRaw>> Drop for Used<H> {
    fn drop(&mut self) {
        // SAFETY: tests use nothing afterwards.
        unsafe { self.heap.sweep(self.raw) };
    }
}

#[test]
fn right_use_is_not_reported() {
    let mut used = Used::<Guarded>::new();
    let empty = [used.take(0), used.take(0)];
    assert_ne!(empty[0], empty[1], "no bytes, but a block each");
    for block in empty {
        used.give_back(block, 0);
    }
    for size in [1, 8, 100, 5000] {
        let block = used.take(size);
        // SAFETY: the block has so many bytes.
        unsafe {
            assert!((0..size).all(|n| block.add(n).read() == 0xcd), "fresh bytes say so");
            block.write_bytes(0xff, size);
            used.give_back(block, size);
            assert!((0..size).all(|n| block.add(n).read() == 0xdd), "dead bytes say so");
        }
    }
    // SAFETY: the heap gets this raw domain at every call.
    unsafe { used.heap.trim(used.raw) };
    let _leaked = used.take(10);
    drop(used);
    assert_eq!(reports(), []);
}

#[test]
fn a_write_behind_the_block() {
    let mut used = Used::<Guarded>::new();
    let (_first, block) = (used.take(8), used.take(24));
    // SAFETY: behind the block lies its guard.
    unsafe { block.add(26).write(1) };
    used.give_back(block, 24);
    let (misuse, text) = report();
    assert_eq!((misuse.kind, misuse.address), (MisuseKind::Overflow { bytes: 3 }, block.addr().get()));
    assert_eq!(
        text,
        "memory misuse: overflow: written 3 bytes behind the end of ADDRESS: 24 bytes, serial 1, object domain, \
         interpreter 3, allocated at load > parse, found at close"
    );
    let _ = reports();
    // SAFETY: as above. It is found again when the block goes for good.
    unsafe { used.heap.trim(used.raw) };
    assert_eq!(reports()[0].kind, MisuseKind::Overflow { bytes: 3 });
}

#[test]
fn a_write_in_front_of_the_block() {
    let mut used = Used::<Guarded>::new();
    let block = used.take(24);
    // SAFETY: in front of the block lies its guard.
    unsafe { block.sub(1).write(1) };
    drop(used);
    let (_, text) = report();
    assert_eq!(
        text,
        "memory misuse: underflow: written 1 bytes before the start of ADDRESS: 24 bytes, serial 0, object domain, \
         interpreter 3, allocated at load > parse, found at close"
    );
}

#[test]
fn a_second_free() {
    let mut used = Used::<Guarded>::new();
    let block = used.take(100);
    used.give_back(block, 100);
    used.give_back(block, 100);
    let (_, text) = report();
    assert_eq!(
        text,
        "memory misuse: double free of ADDRESS: 100 bytes, serial 0, object domain, interpreter 3, allocated at load > \
         parse, freed at close, found at close"
    );
    let other = used.take(100);
    assert_ne!(other, block, "it is not given out twice");
    used.give_back(other, 100);
    assert_eq!(reports(), []);
}

#[test]
fn a_second_free_long_after() {
    let mut used = Used::<Debug<SmallHeap, Recorder, 0>>::new();
    let block = used.take(100);
    used.give_back(block, 100);
    used.give_back(block, 100);
    let (misuse, text) = report();
    assert_eq!(misuse.serial, None);
    assert_eq!(text, "memory misuse: free of a foreign block ADDRESS, found at close");
}

#[test]
fn a_free_through_another_domain() {
    let mut used = Used::<Guarded>::new();
    let block = used.take(10);
    used.give(block, 10, asker(3, Domain::Mem));
    let (_, text) = report();
    assert_eq!(
        text,
        "memory misuse: free through the mem domain of ADDRESS: 10 bytes, serial 0, object domain, interpreter 3, \
         allocated at load > parse, found at close"
    );
    used.give_back(block, 10);
    assert_eq!(reports(), [], "the wrong free was left out");
}

/// What the kernel asks before it resizes in place, or gives back.
#[test]
fn domain_and_layout_are_vouched_for() {
    let mut used = Used::<Quarantine<Debug<SmallHeap, Recorder>, 1000>>::new();
    let block = used.take(10);
    let mut vouches = |size, domain| {
        let heap = &mut used.heap;
        Heap::<SystemRaw>::vouches_for(heap, block.addr().get(), layout(size), asker(3, domain))
    };
    assert!(!vouches(10, Domain::Mem));
    assert_eq!(report().0.kind, MisuseKind::WrongDomain { domain: Domain::Mem });
    assert!(!vouches(9, Domain::Object));
    assert!(matches!(report().0.kind, MisuseKind::WrongLayout { .. }));
    assert!(vouches(10, Domain::Object));
    used.give_back(block, 10);
    assert_eq!(reports(), []);
}

#[test]
fn a_free_by_another_interpreter() {
    let mut used = Used::<Guarded>::new();
    let block = used.take(10);
    used.give(block, 10, asker(4, Domain::Object));
    let (_, text) = report();
    assert_eq!(
        text,
        "memory misuse: free by interpreter 4 of ADDRESS: 10 bytes, serial 0, object domain, interpreter 3, \
         allocated at load > parse, found at close"
    );
}

#[test]
fn a_free_with_another_size() {
    let mut used = Used::<Guarded>::new();
    let block = used.take(10);
    used.give_back(block, 11);
    let (_, text) = report();
    assert!(text.starts_with("memory misuse: free as 11 bytes aligned to 8 of ADDRESS: 10 bytes"), "{text}");
    used.give_back(block, 10);
    assert_eq!(reports(), [], "the wrong free was left out");
}

#[test]
fn a_write_after_the_free() {
    let mut used = Used::<Guarded>::new();
    let block = used.take(40);
    used.give_back(block, 40);
    // SAFETY: the block waits still, so the bytes are there.
    unsafe { block.add(7).write(1) };
    // SAFETY: the heap gets this raw domain at every call.
    unsafe { used.heap.trim(used.raw) };
    let (_, text) = report();
    assert_eq!(
        text,
        "memory misuse: use after free: written at byte 7 of ADDRESS: 40 bytes, serial 0, object domain, interpreter \
         3, allocated at load > parse, freed at close, found at close"
    );
}

#[test]
fn what_is_no_block() {
    let mut used = Used::<Guarded>::new();
    let block = used.take(40);
    // SAFETY: inside the block.
    used.give_back(unsafe { block.add(8) }, 32);
    let (_, text) = report();
    assert!(
        text.starts_with("memory misuse: free of an address inside ADDRESS: 40 bytes, serial 0"),
        "{text}"
    );
    let mut elsewhere = 0_u64;
    used.give_back(NonNull::from(&mut elsewhere).cast(), 8);
    assert_eq!(report().1, "memory misuse: free of a foreign block ADDRESS, found at close");
    // SAFETY: behind the block, in its guard.
    used.give_back(unsafe { block.add(40) }, 8);
    assert_eq!(report().0.kind, MisuseKind::ForeignBlock);
}

#[test]
fn a_use_without_the_gil() {
    let mut used = Used::<Guarded>::new();
    let block = used.take(40);
    ATTACHED.set(false);
    let other = used.take(8);
    let (misuse, text) = report();
    assert_eq!(misuse.address, other.addr().get());
    assert!(
        text.starts_with("memory misuse: use without the interpreter's GIL of ADDRESS: 8 bytes"),
        "{text}"
    );
    used.give_back(block, 40);
    let (misuse, _) = report();
    assert_eq!((misuse.kind, misuse.serial), (MisuseKind::NotAttached, Some(0)));
}

/// A backend that gives the same memory out twice.
struct Twice(core::sync::atomic::AtomicUsize, core::cell::UnsafeCell<[u64; 512]>);

// SAFETY: used by one thread.
unsafe impl Sync for Twice {}

// SAFETY: it breaks the contract on purpose; whoever is served does not use the second block.
unsafe impl RawAlloc for Twice {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        let n = self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        let start = NonNull::new(self.1.get().cast::<u8>()).ok_or(Exhausted)?;
        // SAFETY: inside the array.
        let start = unsafe { start.add([0, 2048, 1024][n]) };
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}

    unsafe fn resize(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<(), Exhausted> {
        Ok(())
    }
}

#[test]
fn blocks_that_overlap() {
    let memory = Twice(0.into(), [0; 512].into());
    let raw: DebugRaw<_, SpinLock, Recorder> =
        HookedRaw::new(memory, SpinLock::new_const(), Debugging::new());
    let low = raw.allocate(layout(1200)).expect("room for it");
    assert_eq!(raw.allocate(layout(100)).err(), None, "behind it");
    assert!(raw.allocate(layout(100)).is_err(), "inside the first");
    let (misuse, text) = report();
    assert_eq!(misuse.address, low.cast::<u8>().addr().get());
    assert_eq!(
        text,
        "memory misuse: a new block overlaps ADDRESS: 1200 bytes, serial 0, allocated at an unknown place, found at an \
         unknown place"
    );
}

#[test]
fn a_resize_of_what_is_no_block() {
    let mut used = Used::<Debug<DirectHeap, Recorder>>::new();
    let block = used.take(40);
    // SAFETY: as for `give`.
    unsafe {
        assert!(used.heap.resize(used.raw, block, layout(41), layout(50)).is_err());
        assert!(matches!(report().0.kind, MisuseKind::WrongLayout { size: 41, .. }));
        used.give_back(block, 40);
        assert!(used.heap.resize(used.raw, block, layout(40), layout(20)).is_err());
        assert_eq!(report().0.kind, MisuseKind::DoubleFree);
    }
}

static FIRST: BlockRegister<SpinLock> = BlockRegister::new(SpinLock::new_const());
static SECOND: BlockRegister<SpinLock> = BlockRegister::new(SpinLock::new_const());

std::thread_local! {
    static ANSWER: Cell<Option<&'static dyn Register>> = const { Cell::new(None) };
}

/// Its register is another one each time.
struct Fickle;

impl Watch for Fickle {
    fn report(misuse: &Misuse) {
        Recorder::report(misuse);
    }

    fn register() -> Option<&'static dyn Register> {
        ANSWER.get()
    }
}

/// A block leaves the register it was entered in, also where the host names another one by then: what is read and
/// written there is right, and no register keeps a block that is gone.
#[test]
fn a_register_that_changes() {
    let (first, second): (Option<&'static dyn Register>, Option<&'static dyn Register>) =
        (Some(&FIRST), Some(&SECOND));
    let mut bystander = Used::<Debug<SmallHeap, Fickle>>::new();
    let kept = [first, second].map(|register| {
        ANSWER.set(register);
        (register, [16, 24, 32].map(|size| bystander.take(size)))
    });
    // Another heap tells whose a block is where the register has it.
    let is_known = |register, block| {
        ANSWER.set(register);
        Used::<Debug<SmallHeap, Fickle>>::new().give(block, 24, asker(4, Domain::Object));
        report().0.kind
            == MisuseKind::WrongInterpreter { number: asker(4, Domain::Object).interpreter.number() }
    };
    for (then, now) in [(None, first), (first, None), (first, second), (second, first)] {
        // Without graves and with them; swept, and only dropped.
        let mut at_once = Used::<Debug<SmallHeap, Fickle, 0>>::new();
        let mut later = Used::<Debug<DirectHeap, Fickle>>::new();
        let memory = Twice(0.into(), [0; 512].into());
        let raw = RawDomain::new(&memory);
        let mut dropped = <Debug<DirectHeap, Fickle> as Heap<Twice>>::new();
        ANSWER.set(then);
        let blocks = [at_once.take(24), at_once.take(24), later.take(24), later.take(24)];
        let owner = asker(3, Domain::Object);
        let left = dropped.allocate_for(raw, layout(24), owner).expect("room for it").cast();
        for block in blocks.into_iter().chain([left]) {
            assert_eq!(is_known(then, block), then.is_some());
            assert!(!is_known(if then.is_some() { None } else { first }, block));
        }
        ANSWER.set(now);
        let [given, swept, waits, also_swept] = blocks;
        at_once.give_back(given, 24);
        later.give_back(waits, 24);
        // SAFETY: live, of this heap and so large.
        let answer = unsafe { dropped.resize(raw, left, layout(24), layout(40)) };
        assert_eq!(answer, Ok(()));
        // SAFETY: the heap gets this raw domain at every call.
        unsafe { later.heap.trim(later.raw) };
        drop((at_once, later, dropped));
        for block in [given, swept, waits, also_swept, left] {
            assert!(!is_known(first, block) && !is_known(second, block), "it is gone");
        }
        for (register, blocks) in kept {
            assert!(blocks.into_iter().all(|block| is_known(register, block)), "others are there still");
        }
    }
    drop(bystander);
    assert_eq!(reports(), []);
}

/// What waits in a quarantine does not hit a new owner.
#[test]
fn a_quarantine_delays_the_next_use() {
    let mut used = Used::<Quarantine<SmallHeap, 1000>>::new();
    let block = used.take(100);
    used.give_back(block, 100);
    assert_eq!(used.heap.hook().blocks(), 1);
    for _ in 0..4 {
        let other = used.take(100);
        assert_ne!(other, block);
        used.give_back(other, 100);
    }
    // Four are in its place already, with their headers, and none of them is used again before its turn.
    assert!(used.heap.hook().bytes() > 600 && used.heap.hook().bytes() <= 1000);
    // SAFETY: the heap gets this raw domain at every call.
    unsafe { used.heap.trim(used.raw) };
    assert_eq!((used.heap.hook().blocks(), used.heap.hook().bytes()), (0, 0));
}

/// In Miri no process can be started.
#[cfg(not(miri))]
mod process {
    use std::process::Command;

    use archipelago_alloc_hooks::{OnMisuse, StdWatch, on_misuse, scope};

    use super::*;

    fn misuse() {
        let _scope = scope("the misuse");
        let mut used = Used::<Debug<SmallHeap, StdWatch>>::new();
        let block = used.take(24);
        used.give_back(block, 24);
        used.give_back(block, 24);
    }

    /// The child of the test below.
    #[test]
    #[ignore = "aborts"]
    fn child() {
        if std::env::var_os("GO_ON").is_some() {
            on_misuse(OnMisuse::GoOn);
        }
        misuse();
    }

    #[test]
    fn one_line_and_an_abort() {
        let run = |go_on: bool| {
            let mut child = Command::new(std::env::current_exe().expect("this program"));
            child.args(["--ignored", "--exact", "--nocapture", "process::child"]).env_remove("GO_ON");
            if go_on {
                child.env("GO_ON", "1");
            }
            let output = child.output().expect("it starts");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let line = text.lines().find(|line| line.starts_with("memory misuse")).unwrap_or_default();
            assert!(
                line.contains("double free of 0x") && line.contains("allocated at the misuse ("),
                "{text}"
            );
            assert!(line.contains("misuse.rs:"), "{text}");
            output.status.success()
        };
        assert!(!run(false), "it aborts");
        assert!(run(true), "it goes on");
    }
}
