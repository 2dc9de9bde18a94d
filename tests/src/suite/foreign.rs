//! Collections of others in an interpreter's heap.
#![allow(unsafe_code)]

use core::{alloc::Layout, mem};
use std::thread;

use archipelago_kernel::{
    Host,
    collections::foreign::{HeapHandle, InHeap},
};

use crate::{
    TestHost,
    support::{Noisy, assert_empty, in_each, scaled, strategies},
};

/// hashbrown's map in the heap.
type Table<'i, H> = hashbrown::HashMap<u32, Noisy, hashbrown::DefaultHashBuilder, HeapHandle<'i, H>>;

fn table<'i, H: Host>(handle: HeapHandle<'i, H>) -> Table<'i, H> {
    hashbrown::HashMap::with_hasher_in(Default::default(), handle)
}

/// SPEC: M10
pub fn a_collection_of_others_lives_in_the_heap<H: TestHost>() {
    in_each::<H>(|cx| {
        let (noisy, drops) = Noisy::new();
        let mut map = InHeap::new(cx, table).ok().unwrap();
        assert_eq!(cx.usage().mem.blocks, 0);
        map.get_mut(cx).insert(0, noisy);
        let entries = scaled(1000, 40) as u32;
        for n in 1..entries {
            map.get_mut(cx).try_reserve(1).unwrap();
            map.get_mut(cx).insert(n, drops.another());
        }
        assert_eq!((map.get(cx).len(), cx.usage().mem.blocks), (entries as usize, 1));
        assert!((0..entries).all(|n| map.get(cx).contains_key(&n)));
        map.get_mut(cx).remove(&1).unwrap();
        map.get_mut(cx).shrink_to_fit();
        assert_eq!(cx.safepoint(), Ok(()));
        map.release(cx);
        assert_eq!(drops.count(), entries as usize);
        assert_empty(cx);
        let second = InHeap::new(cx, table).ok().unwrap();
        let mut third = InHeap::new(cx, table).ok().unwrap();
        third.get_mut(cx).insert(1, drops.another());
        cx.detach(|| drop((second, third)));
        assert_eq!(drops.count(), entries as usize, "nothing is dropped while detached");
        cx.settle();
        assert_eq!(drops.count(), entries as usize + 1);
    });
}

/// SPEC: M10
pub fn the_allocator_refuses_where_its_interpreter_is_not_attached<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let mut other = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let (_, drops) = Noisy::new();
                // The allocator gets out of the wrapper, as any value does.
                let mut escaped = None;
                let kept = InHeap::new(cx, |handle| {
                    escaped = Some(handle);
                    table(handle)
                });
                let handle = escaped.unwrap();
                let mut map = table(handle);
                map.insert(1, drops.another());
                let (used, before) = (cx.usage().mem, drops.count());
                cx.detach(|| {
                    assert!(map.try_reserve(1000).is_err(), "it does not grow while detached");
                    assert_eq!(map.len(), 1);
                    thread::scope(|s| {
                        let map = &mut map;
                        s.spawn(move || assert!(map.try_reserve(1000).is_err())).join().unwrap();
                    });
                });
                cx.enter(&mut other, |cy| {
                    assert!(map.try_reserve(1000).is_err(), "nor under another token");
                    assert_eq!(cy.usage().mem.blocks, 0);
                })
                .unwrap();
                cx.call_out(|| map.try_reserve(1000).unwrap());
                assert!(cx.usage().mem.bytes > used.bytes && cx.usage().mem.blocks == 1);
                let bytes = cx.usage().mem.bytes;
                cx.detach(|| drop(map));
                assert_eq!(cx.usage().mem.bytes, bytes, "nothing is freed while detached");
                assert_eq!(drops.count(), before + 1, "what is not in the wrapper drops like a local");
                cx.settle();
                assert_eq!(cx.usage().mem.blocks, 0);
                drop(kept);
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// SPEC: M10, L11
pub fn a_collection_of_others_may_be_forgotten<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let (noisy, drops) = Noisy::new();
        state
            .attach(|cx| {
                let mut map = InHeap::new(cx, table).ok().unwrap();
                map.get_mut(cx).insert(1, noisy);
                mem::forget(map);
            })
            .unwrap();
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert_eq!((drops.count(), ledger.objects, ledger.destructors_skipped), (1, 1, 0));
    }
}

/// SPEC: M10
pub fn blocks_of_the_allocator_grow_shrink_and_align<H: TestHost>() {
    use allocator_api2::alloc::Allocator;
    in_each::<H>(|cx| {
        let mut handle = None;
        drop(InHeap::new(cx, |made| handle = Some(made)));
        let handle = handle.unwrap();
        for align in [1, 16, 64, 4096] {
            let layout = |size| Layout::from_size_align(size, align).unwrap();
            let sizes = [0, 5, 100, scaled(40_000, 3000), 30, 0, 7];
            let mut old = layout(3);
            let mut block = handle.allocate(old).unwrap().cast::<u8>();
            for (n, new) in sizes.map(layout).into_iter().enumerate() {
                // SAFETY: the block is live and as large as its layout.
                unsafe {
                    block.write_bytes(n as u8, old.size());
                    let answer = if new.size() < old.size() {
                        handle.shrink(block, old, new)
                    } else {
                        handle.grow(block, old, new)
                    };
                    block = answer.unwrap().cast();
                    let kept = core::slice::from_raw_parts(block.as_ptr(), old.size().min(new.size()));
                    assert!(kept.iter().all(|byte| *byte == n as u8));
                }
                assert!(block.addr().get().is_multiple_of(align));
                old = new;
            }
            // SAFETY: as above.
            unsafe {
                let wide = Layout::from_size_align(50, 128.max(align)).unwrap();
                block = handle.grow(block, old, wide).unwrap().cast();
                assert!(block.addr().get().is_multiple_of(wide.align()));
                handle.deallocate(block, wide);
            }
            assert_eq!(cx.usage().mem.blocks, 0);
        }
        assert!(handle.allocate(Layout::from_size_align(8, 8192).unwrap()).is_err());
    });
}
