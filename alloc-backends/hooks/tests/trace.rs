//! What a trace says, and failures that are told (SPEC M8, M9).
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_alloc_hooks::{
    Book, Countdown, Counts, FailNth, Frame, Plan, Site, Snapshot, Trace, TraceBook, TraceRaw, Tracer,
    Tracing, scope, site,
};
use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    host::{Heap, RawAlloc},
    memory::{AllocCause, RawDomain},
};
use archipelago_locks::SpinLock;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// Each test has a book of its own.
macro_rules! tracer {
    ($lines:literal) => {
        struct Here;

        static BOOK: TraceBook<SpinLock, $lines> = TraceBook::new(SpinLock::new_const());

        impl Tracer for Here {
            fn book() -> &'static dyn Book {
                &BOOK
            }

            fn site() -> Site {
                site()
            }
        }
    };
}

struct Used<H: Heap<SystemRaw>> {
    heap: H,
    raw: RawDomain<'static, SystemRaw>,
}

impl<H: Heap<SystemRaw>> Used<H> {
    fn new() -> Self {
        Used { heap: H::new(), raw: RawDomain::new(&SystemRaw) }
    }

    fn take(&mut self, size: usize) -> NonNull<u8> {
        self.heap.allocate(self.raw, layout(size)).expect("room for it").cast()
    }

    fn give_back(&mut self, block: NonNull<u8>, size: usize) {
        // SAFETY: it is live, and came for this layout.
        unsafe { self.heap.deallocate(self.raw, block, layout(size)) }
    }
}

impl<H: Heap<SystemRaw>> Drop for Used<H> {
    fn drop(&mut self) {
        // SAFETY: tests use nothing afterwards.
        unsafe { self.heap.sweep(self.raw) };
    }
}

fn counts(bytes: usize, blocks: usize, peak_bytes: usize, peak_blocks: usize, taken: u64) -> Counts {
    let mut counts = Counts::default();
    (counts.bytes, counts.blocks, counts.taken) = (bytes, blocks, taken);
    (counts.peak_bytes, counts.peak_blocks) = (peak_bytes, peak_blocks);
    counts
}

/// SPEC: M8
#[test]
fn live_and_peak_by_site() {
    tracer!(8);
    let mut used = Used::<Trace<SmallHeap, Here>>::new();
    let run = scope("run");
    let first = used.take(100);
    let inner = {
        let _parse = scope("parse");
        let inner = used.take(1000);
        let second = used.take(30);
        used.give_back(second, 30);
        inner
    };
    let _more = used.take(20);
    used.give_back(first, 100);
    drop(run);
    let before = Snapshot::of(&BOOK);
    let rows: Vec<_> = before.rows().iter().map(|row| (row.site.to_string(), row.counts)).collect();
    let (parse, run) = (counts(1000, 1, 1030, 2, 2), counts(20, 1, 120, 2, 2));
    assert_eq!([rows[0].1, rows[1].1], [parse, run]);
    assert!(rows[0].0.starts_with("run > parse (") && rows[0].0.contains("trace.rs:"), "{}", rows[0].0);
    assert_eq!(before.folded(), "raw;run;parse 1000\nraw;run 20\n");
    let table = before.to_string();
    let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0][..3], ["bytes", "blocks", "peak"]);
    assert_eq!(lines[1][..10], ["1000", "1", "1030", "2", "2", "-", "raw", "run", ">", "parse"]);

    used.give_back(inner, 1000);
    let later = {
        let _load = scope("load");
        used.take(7)
    };
    let after = Snapshot::of(&BOOK);
    let changes = after.since(&before);
    let changes: Vec<_> = changes
        .iter()
        .map(|change| (change.site.0.map_or("", |frame| frame.name), change.bytes, change.blocks))
        .collect();
    assert_eq!(changes, [("load", 7, 1), ("parse", -1000, -1)]);
    used.give_back(later, 7);
    drop(used);
    let end = Snapshot::of(&BOOK);
    assert!(end.rows().iter().all(|row| (row.counts.bytes, row.counts.blocks) == (0, 0)), "a sweep is told");
    assert_eq!(end.rows().len(), 3, "what was used is known still");
}

/// Each line is frames, a space, and a count, whatever the frames are called.
///
/// SPEC: M8
#[test]
fn names_do_not_end_frames_or_lines() {
    tracer!(8);
    let mut used = Used::<Trace<SmallHeap, Here>>::new();
    let _outer = scope("a;b");
    let _inner = scope("step\n2\r of\t3 \u{2028}4");
    let _block = used.take(10);
    assert_eq!(Snapshot::of(&BOOK).folded(), "raw;a_b;step_2__of_3__4 10\n");
}

#[test]
fn a_book_that_is_full_says_so() {
    tracer!(2);
    let raw: TraceRaw<SystemRaw, SpinLock, Here> =
        TraceRaw::new(SystemRaw, SpinLock::new_const(), Tracing::new());
    let blocks = ["a", "b", "c", "d"].map(|name| {
        let _scope = scope(name);
        raw.allocate(layout(10)).expect("room for it").cast::<u8>()
    });
    let full = Snapshot::of(&BOOK);
    assert_eq!((full.rows().len(), full.rest()), (2, counts(20, 2, 20, 2, 2)));
    assert!(full.to_string().ends_with("in 2 more for which the book has no line\n"));
    for block in blocks {
        // SAFETY: live, and taken for this layout.
        unsafe { raw.deallocate(block, layout(10)) };
    }
    assert_eq!(Snapshot::of(&BOOK).rest().bytes, 0);
}

#[test]
fn scopes_are_one_site_each() {
    let open = |name: &str| {
        let _outer = scope(name);
        let _inner = scope("inner");
        site()
    };
    let (one, other) = (open("one"), open("other"));
    assert_eq!(one, open("one"), "opened again it is the same");
    assert_ne!(one, other);
    assert_eq!(site(), Site::UNKNOWN, "all are closed");
    let names = |site: Site| site.frames().map(|frame| frame.name).collect::<Vec<_>>();
    assert_eq!((names(one), names(other)), (vec!["inner", "one"], vec!["inner", "other"]));
    static MAIN: Frame = Frame::root("main");
    static BOOT: Frame = Frame::below(&MAIN, "boot");
    assert_eq!(Site(Some(&BOOT)).to_string(), "main > boot");
}

#[derive(Default)]
struct Told;

static COUNTDOWN: Countdown = Countdown::new();

impl Plan for Told {
    fn with<T>(&self, f: impl FnOnce(&Countdown) -> T) -> T {
        f(&COUNTDOWN)
    }
}

/// SPEC: M9
#[test]
fn the_nth_fails_and_all_after_it_if_told() {
    let mut used = Used::<FailNth<SmallHeap, Told>>::new();
    let mut served =
        |n: usize| -> Vec<bool> { (0..n).map(|_| used.heap.allocate(used.raw, layout(8)).is_ok()).collect() };
    assert_eq!(served(2), [true, true]);
    COUNTDOWN.fail_after(1);
    assert!(COUNTDOWN.will_fail());
    assert_eq!(served(4), [true, false, true, true]);
    assert!(!COUNTDOWN.will_fail());
    COUNTDOWN.fail_all_after(2);
    assert_eq!(served(5), [true, true, false, false, false]);
    assert_eq!((COUNTDOWN.seen(), COUNTDOWN.failed()), (11, 4));
    COUNTDOWN.fail_none();
    COUNTDOWN.reset_counts();
    assert_eq!(served(1), [true]);
    assert_eq!((COUNTDOWN.seen(), COUNTDOWN.failed()), (1, 0));
    COUNTDOWN.fail_all_after(0);
    assert_eq!(used.heap.allocate(used.raw, layout(8)), Err(AllocCause::Exhausted));
}
