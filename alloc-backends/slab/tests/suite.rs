//! The suite on `SlabHeap`: as usual, on a microcontroller, and with one arena at most kept.
#![allow(unsafe_code)]

use core::{alloc::Layout, mem::MaybeUninit, ptr::NonNull};

use archipelago_alloc_linked_list::LinkedListRaw;
use archipelago_alloc_slab::{SlabHeap, SmallHeap, UsualHeap};
use archipelago_alloc_suite::{Checked, DirectHeap, Model, OnHeap, heap_suite};
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    host::{Heap, HeapState},
    memory::RawDomain,
};
use archipelago_locks::SpinLock;

heap_suite! { many on SystemRaw;
    usual: UsualHeap, 65_536;
    small: SmallHeap, 10_000;
    one_kept: SlabHeap<4096, 4096>, 20_000;
    // What tests elsewhere stand on passes too.
    direct: DirectHeap, 10_000;
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// Nothing is taken before the first request, which takes one short page.
#[test]
fn it_begins_small() {
    let raw = Checked::new(SystemRaw);
    let mut model = Model::new(OnHeap::<SlabHeap<16384, 0>, _>::new(&raw));
    assert_eq!(raw.live(), (0, 0));
    model.allocate(layout(100)).expect("room for it");
    let (blocks, bytes) = raw.live();
    assert_eq!(blocks, 2, "a short page and a table");
    assert!(bytes < 4096 + 1024);
    model.clear();
}

/// A class whose blocks are longer than the first page has a page that is long enough, in whichever order they come and
/// whatever was kept meanwhile.
#[test]
fn a_long_class_has_a_page_that_serves_it() {
    for sizes in [[100, 8000], [8000, 100], [4000, 8000]] {
        let raw = Checked::new(SystemRaw);
        let mut model = Model::new(OnHeap::<SlabHeap<65536, { 1 << 20 }, 49>, _>::new(&raw));
        for _ in 0..3 {
            for size in sizes {
                model.allocate(layout(size)).expect("room for it");
            }
            let (blocks, bytes) = raw.live();
            assert_eq!(blocks, 3, "two arenas and a table");
            assert!(bytes < 65_536 + 9216, "{bytes}");
            model.clear();
        }
    }
}

/// Where memory is short, a class takes the shortest page that serves it, and no shorter one.
#[test]
fn where_memory_is_short_pages_are() {
    const PAGE: usize = 16 << 10;
    let mut bytes = vec![MaybeUninit::<u8>::uninit(); 5 * PAGE];
    let first = bytes.as_ptr().align_offset(PAGE);
    // Room for the table, a short page, a whole one, and behind that for a short one alone.
    let raw = LinkedListRaw::new(SpinLock::new_const());
    let region = &mut bytes[first..first + 60 * 1024];
    // SAFETY: the region outlives the allocator, and nothing else touches it.
    unsafe { raw.init_at(NonNull::from(&mut *region).cast(), region.len()) }.expect("the region is new");
    let raw = Checked::new(raw);
    let mut model = Model::new(OnHeap::<SlabHeap<PAGE, 0, 49>, _>::new(&raw));
    for (size, most) in [(8000, 3..4), (100, 190..220), (8000, 3..4)] {
        let count = (0..).find(|_| model.allocate(layout(size)).is_err());
        assert!(count.is_some_and(|count| most.contains(&count)), "{count:?} of {size}");
        model.clear();
    }
}

/// What was needed lately is kept, and goes back when nobody needed it for a while.
#[test]
#[cfg_attr(miri, ignore = "thousands of rounds, and no line of unsafe code that the suite leaves out")]
fn what_is_kept_goes_back_when_nobody_needs_it() {
    let raw = Checked::new(SystemRaw);
    let mut model = Model::new(OnHeap::<SlabHeap<4096, { 1 << 20 }>, _>::new(&raw));
    for _ in 0..2000 {
        model.allocate(layout(512)).expect("room for it");
    }
    let most = raw.live().1;
    model.clear();
    assert!(raw.live().1 > most / 2, "kept for the next time");
    for _ in 0..3000 {
        for _ in 0..16 {
            model.allocate(layout(512)).expect("room for it");
        }
        model.clear();
    }
    assert!(raw.live().1 < most / 8, "{} of {most}", raw.live().1);
}

/// A write into a freed block is seen, wherever the link leads then.
#[test]
fn a_broken_link_is_seen() {
    broken_link_is_seen(SlabHeap::<4096, 0>::new());
    // Headers have colours: in front of them lies room that is nobody's.
    (0..8).for_each(|_| broken_link_is_seen(UsualHeap::new()));
}

fn broken_link_is_seen<const PAGE: usize, const KEEP: usize, const CLASSES: usize>(
    mut heap: SlabHeap<PAGE, KEEP, CLASSES>,
) {
    let raw = RawDomain::new(&SystemRaw);
    let block = heap.allocate(raw, layout(48)).expect("room for it").cast::<usize>();
    let state = |heap: &SlabHeap<PAGE, KEEP, CLASSES>| Heap::<SystemRaw>::inspect(heap);
    assert_eq!(state(&heap), HeapState::Sound { blocks: 1 });
    // SAFETY: the block was returned for this layout. What is written afterwards lies in memory that is the heap's
    // still, and the heap is not used but for looking at itself and for its sweep.
    unsafe {
        heap.deallocate(raw, block.cast(), layout(48));
        assert_eq!(state(&heap), HeapState::Sound { blocks: 0 });
        let base = block.addr().get() & !(PAGE - 1);
        for link in [0x1000, base, block.addr().get() + 8] {
            block.write(link);
            assert!(matches!(state(&heap), HeapState::Broken(_)), "{link:#x} in a page at {base:#x}");
        }
        heap.sweep(raw);
    }
}
