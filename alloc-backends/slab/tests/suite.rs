//! The suite on `SlabHeap`: as usual, on a microcontroller, and with one arena at most kept.
#![allow(unsafe_code)]

use core::alloc::Layout;

use archipelago_alloc_slab::{SlabHeap, SmallHeap, UsualHeap};
use archipelago_alloc_suite::{Checked, DirectHeap, Model, OnHeap, heap_suite};
use archipelago_alloc_system::SystemRaw;

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

/// A write into a freed block is seen.
#[test]
fn a_broken_link_is_seen() {
    use archipelago_kernel::{
        host::{Heap, HeapState},
        memory::RawDomain,
    };
    let (mut heap, raw) = (SlabHeap::<4096, 0>::new(), RawDomain::new(&SystemRaw));
    let block = heap.allocate(raw, layout(48)).expect("room for it").cast::<usize>();
    assert_eq!(Heap::<SystemRaw>::inspect(&heap), HeapState::Sound { blocks: 1 });
    // SAFETY: the block was returned for this layout. What is written afterwards lies in memory that is the heap's
    // still, and the heap is not used but for looking at itself and for its sweep.
    unsafe {
        heap.deallocate(raw, block.cast(), layout(48));
        assert_eq!(Heap::<SystemRaw>::inspect(&heap), HeapState::Sound { blocks: 0 });
        block.write(0x1000);
        assert!(matches!(Heap::<SystemRaw>::inspect(&heap), HeapState::Broken(_)));
        heap.sweep(raw);
    }
}

/// A large block that was freed serves the next request of about its size, and goes back when it is asked for.
#[test]
fn a_large_block_serves_again() {
    use archipelago_kernel::{
        host::{Heap, HeapState},
        memory::RawDomain,
    };
    let checked = Checked::new(SystemRaw);
    let (mut heap, raw) = (UsualHeap::default(), RawDomain::new(&checked));
    let small = heap.allocate(raw, layout(40)).expect("room for it").cast::<u8>();
    let before = checked.live();
    // SAFETY: each block was returned for the layout it is given back with, and is not used afterwards.
    unsafe {
        let first = heap.allocate(raw, layout(3000)).expect("room for it").cast::<u8>();
        first.as_ptr().write_bytes(1, 3000);
        let one = checked.live();
        heap.deallocate(raw, first, layout(3000));
        assert_eq!(checked.live(), one, "it is kept");
        assert_eq!(Heap::<Checked<SystemRaw>>::inspect(&heap), HeapState::Sound { blocks: 1 });
        for size in [3000, 2900, 2200] {
            let again = heap.allocate(raw, layout(size)).expect("room for it").cast::<u8>();
            assert_eq!((again, checked.live()), (first, one), "{size}");
            again.as_ptr().write_bytes(2, size);
            // What it is longer than was asked for is there to grow into.
            assert_eq!(heap.resize(raw, again, layout(size), layout(3000)), Ok(()));
            again.as_ptr().write_bytes(3, 3000);
            heap.deallocate(raw, again, layout(3000));
        }
        let longer = heap.allocate(raw, layout(3100)).expect("room for it").cast::<u8>();
        assert_ne!(longer, first, "too short for this one");
        let much_shorter = heap.allocate(raw, layout(2100)).expect("room for it").cast::<u8>();
        assert_eq!(much_shorter, first);
        heap.deallocate(raw, much_shorter, layout(2100));
        heap.deallocate(raw, longer, layout(3100));
        heap.trim(raw);
        assert_eq!(checked.live(), before);
        heap.deallocate(raw, small, layout(40));
        heap.sweep(raw);
    }
    assert_eq!(checked.live(), (0, 0));
}
