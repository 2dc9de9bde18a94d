//! Containers in an interpreter's heap.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    cell::{Cell, RefCell},
    hash::Hasher,
    mem,
    panic::AssertUnwindSafe,
};
use std::{
    collections::{BTreeMap, HashSet},
    panic::catch_unwind,
    thread,
};

use archipelago_kernel::{
    Attached, Host,
    collections::{Box, Lookup, Map, Rc, Text, Vec},
    config::InterpreterConfig,
    guest::Family,
    memory::{AllocCause, Domain, MemoryLimits},
    object::Edge,
};

use crate::{
    TestHost,
    support::{Drops, Noisy, assert_empty, in_each, scaled, strategies, throw},
};

/// SPEC: M5, M6, M11
pub fn a_block_grows_and_shrinks_in_place_or_moves<H: TestHost>() {
    in_each::<H>(|cx| {
        for align in [1, 8, 64] {
            let layout = |size| Layout::from_size_align(size, align).unwrap();
            let sizes = [0, 1, 24, 25, 600, 5000, scaled(200_000, 9000), 700, 3, 0, 40];
            let mut old = layout(16);
            let mut block = cx.allocate(Domain::Mem, old).unwrap();
            for (n, new) in sizes.map(layout).into_iter().enumerate() {
                // SAFETY: the block is live, and as large as its layout.
                unsafe {
                    block.write_bytes(n as u8, old.size());
                    block = cx.reallocate(Domain::Mem, block, old, new).unwrap();
                    let kept = old.size().min(new.size());
                    let bytes = core::slice::from_raw_parts(block.as_ptr(), kept);
                    assert!(bytes.iter().all(|byte| *byte == n as u8));
                }
                assert!(block.addr().get().is_multiple_of(align));
                let used = cx.usage().mem;
                assert_eq!((used.bytes, used.blocks), (new.size(), 1), "{old:?} to {new:?}");
                old = new;
            }
            // SAFETY: as above.
            unsafe { cx.deallocate(Domain::Mem, block, old) };
        }
    });
}

/// SPEC: M5, M6
pub fn a_block_that_cannot_grow_is_as_it_was<H: TestHost>() {
    in_each::<H>(|cx| {
        let (small, large) = (Layout::new::<[u8; 100]>(), Layout::new::<[u8; 2000]>());
        let block = cx.allocate(Domain::Object, small).unwrap();
        let before = cx.usage();
        let none = cx.memory_limits();
        let live = before.bytes();
        cx.set_memory_limits(MemoryLimits::none().with_hard(Some(live + 1000))).unwrap();
        // SAFETY: the block is live, and its layout stays.
        unsafe {
            block.write_bytes(7, 100);
            let error = cx.reallocate(Domain::Object, block, small, large).unwrap_err();
            assert_eq!((error.domain, error.requested), (Domain::Object, 2000));
            assert_eq!(error.cause, AllocCause::HardLimit);
            let error = cx.resize(Domain::Object, block, small, large).unwrap_err();
            assert_eq!((error.requested, error.cause), (2000, AllocCause::HardLimit));
            assert!(core::slice::from_raw_parts(block.as_ptr(), 100).iter().all(|byte| *byte == 7));
        }
        assert_eq!(cx.usage().bytes(), live);
        cx.set_memory_limits(none).unwrap();
        // SAFETY: as above.
        unsafe { cx.deallocate(Domain::Object, block, small) };
    });
}

/// SPEC: M5
pub fn a_box_has_one_owner<H: TestHost>() {
    in_each::<H>(|cx| {
        let (noisy, drops) = Noisy::new();
        let mut boxed = Box::new(cx, (1, noisy)).ok().unwrap();
        boxed.get_mut(cx).0 += 1;
        assert_eq!((boxed.get(cx).0, cx.usage().object.blocks), (2, 1));
        let (number, noisy) = boxed.into_inner(cx);
        assert_eq!((number, drops.count(), cx.usage().object.blocks), (2, 0, 0));
        let boxed = Box::new(cx, noisy).ok().unwrap();
        boxed.release(cx);
        assert_eq!((drops.count(), cx.usage().object.blocks), (1, 0));
        #[repr(align(128))]
        struct Wide(u8);
        let wide = Box::new(cx, Wide(3)).ok().unwrap();
        assert!(core::ptr::from_ref(wide.get(cx)).addr().is_multiple_of(128));
        assert_eq!(wide.into_inner(cx).0, 3);
    });
}

/// SPEC: M5, O1
pub fn an_rc_has_many_owners<H: TestHost>() {
    in_each::<H>(|cx| {
        let (noisy, drops) = Noisy::new();
        let first = Rc::new(cx, (1, noisy)).ok().unwrap();
        let second = first.share(cx);
        second.get_mut(cx).0 = 5;
        assert_eq!(first.get(cx).0, 5);
        assert!(first.is(&second));
        let first = first.into_inner(cx).err().unwrap();
        first.release(cx);
        let seen = second.get(cx);
        let third = second.share(cx);
        drop(second);
        assert_eq!((seen.0, drops.count()), (5, 0));
        cx.settle();
        let value = third.into_inner(cx).ok().unwrap();
        assert_eq!((value.0, drops.count(), cx.usage().object.blocks), (5, 0, 0));
        let last = Rc::new(cx, value).ok().unwrap();
        let other = last.share(cx);
        cx.detach(|| drop((last, other)));
        assert_eq!(drops.count(), 0);
        cx.settle();
        assert_eq!(drops.count(), 1);
    });
}

/// SPEC: M5
pub fn a_vec_is_a_row<H: TestHost>() {
    in_each::<H>(|cx| {
        let mut vec = Vec::new();
        let mut model = std::vec::Vec::new();
        assert_eq!((vec.pop(cx), vec.as_slice(cx), cx.usage().mem.blocks), (None, &[][..], 0));
        for n in 0..scaled(500, 60) as u32 {
            match n % 5 {
                0 => {
                    vec.insert(cx, n as usize / 2, n).unwrap();
                    model.insert(model.len().min(n as usize / 2), n);
                }
                1 if n % 3 == 0 => assert_eq!(vec.pop(cx), model.pop()),
                2 => {
                    let at = n as usize % model.len();
                    assert_eq!(vec.remove(cx, at), Some(model.remove(at)));
                }
                3 => {
                    vec.extend_from_slice(cx, &[n, n + 1]).unwrap();
                    model.extend([n, n + 1]);
                }
                _ => {
                    vec.push(cx, n).unwrap();
                    model.push(n);
                }
            }
            assert_eq!(vec.as_slice(cx), model);
            assert!(vec.capacity(cx) >= vec.len(cx));
        }
        assert_eq!(vec.swap_remove(cx, 1), Some(model.swap_remove(1)));
        assert_eq!((vec.swap_remove(cx, model.len()), vec.remove(cx, model.len())), (None, None));
        vec.as_mut_slice(cx).sort_unstable();
        model.sort_unstable();
        *vec.get_mut(cx, 3).unwrap() = 9;
        model[3] = 9;
        vec.truncate(cx, 7);
        vec.truncate(cx, 70);
        model.truncate(7);
        vec.shrink_to_fit(cx).unwrap();
        assert_eq!((vec.as_slice(cx), vec.capacity(cx), vec.get(cx, 7)), (&*model, 7, None));
        vec.clear(cx);
        assert!(vec.is_empty(cx));
        vec.shrink_to_fit(cx).unwrap();
        assert_eq!((vec.capacity(cx), cx.usage().mem.blocks), (0, 0));
        let error = vec.reserve(cx, usize::MAX).unwrap_err();
        assert_eq!((error.domain, error.cause), (Domain::Mem, AllocCause::TooLarge));
        let mut nothings = Vec::new();
        for _ in 0..100 {
            nothings.push(cx, ()).unwrap();
        }
        assert_eq!(nothings.len(cx), 100);
        nothings.release(cx);
        assert_empty(cx);
        vec.release(cx);
    });
}

/// SPEC: M5
pub fn a_text_is_a_string<H: TestHost>() {
    in_each::<H>(|cx| {
        let mut text = Text::of(cx, "grün").unwrap();
        let more = Text::of(cx, " und ").unwrap();
        // From one block of the heap into another, without a copy between.
        text.push_str(cx, more.as_str(cx)).unwrap();
        text.push(cx, 'ß').unwrap();
        assert_eq!((text.as_str(cx), text.len(cx)), ("grün und ß", 12));
        text.truncate(cx, 11);
        assert_eq!(text.as_str(cx), "grün und ");
        text.truncate(cx, 100);
        text.shrink_to_fit(cx).unwrap();
        text.reserve(cx, 100).unwrap();
        text.clear(cx);
        assert!(text.is_empty(cx) && Text::new().is_empty(cx));
        assert_eq!(more.into_bytes().as_slice(cx), b" und ");
        text.release(cx);
    });
}

/// SPEC: M5
pub fn a_map_agrees_with_another<H: TestHost>() {
    in_each::<H>(|cx| {
        let mut map = Map::new();
        let mut model = BTreeMap::new();
        let mut random = 12345_u32;
        assert_eq!((map.remove(cx, &1), map.len(cx), map.iter(cx).count()), (None, 0, 0));
        for n in 0..scaled(4000, 150) as u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = (random >> 16) % 97;
            match random >> 30 {
                0 => assert_eq!(map.remove(cx, &key), model.remove(&key)),
                1 => {
                    assert_eq!(map.get(cx, &key), model.get(&key));
                    if let (Some(a), Some(b)) = (map.get_mut(cx, &key), model.get_mut(&key)) {
                        *a += 1;
                        *b += 1;
                    }
                }
                _ => assert_eq!(map.insert(cx, key, n), Ok(model.insert(key, n))),
            }
            assert_eq!(map.len(cx), model.len());
            if n % 100 == 0 {
                map.shrink_to_fit(cx).unwrap();
                let seen: BTreeMap<_, _> = map.iter(cx).map(|(key, value)| (*key, *value)).collect();
                assert_eq!(seen, model);
            }
        }
        map.clear(cx);
        assert!(map.is_empty(cx) && !map.contains_key(cx, &3));
        assert_eq!(map.reserve(cx, usize::MAX).unwrap_err().cause, AllocCause::TooLarge);
        map.release(cx);
    });
}

/// SPEC: M5
pub fn a_map_is_asked_by_text<H: TestHost>() {
    in_each::<H>(|cx| {
        let mut map: Map<'_, Text<'_>, Text<'_>> = Map::new();
        for n in 0..scaled(200, 20) {
            let (key, value) = (format!("key {n}"), Text::of(cx, &n.to_string()).unwrap());
            let key = Text::of(cx, &key).unwrap();
            assert!(map.insert(cx, key, value).ok().unwrap().is_none());
        }
        assert_eq!(map.get(cx, "key 7").unwrap().as_str(cx), "7");
        let again = Text::of(cx, "key 7").unwrap();
        assert_eq!(map.get(cx, &again).unwrap().as_str(cx), "7");
        let other = Text::of(cx, "seven").unwrap();
        let old = map.insert(cx, again, other).ok().unwrap().unwrap();
        assert_eq!((old.as_str(cx), map.get(cx, "key 7").unwrap().as_str(cx)), ("7", "seven"));
        let (key, value) = map.remove_entry(cx, "key 7").unwrap();
        assert_eq!((key.as_str(cx), value.as_str(cx)), ("key 7", "seven"));
        assert!(map.get(cx, "key 7").is_none() && map.contains_key(cx, "key 8"));
    });
}

/// SPEC: M5
pub fn keys_that_lie_lose_entries_and_no_more<H: TestHost>() {
    struct Liar(Cell<u32>, #[expect(dead_code)] Noisy);
    impl<'i> Lookup<'i, Liar> for Liar {
        fn feed<H: Host>(&self, _: &Attached<'i, H>, hasher: &mut impl Hasher) {
            self.0.set(self.0.get() + 1);
            hasher.write_u32(self.0.get() % 5);
        }
        fn is<H: Host>(&self, _: &Attached<'i, H>, _: &Liar) -> bool {
            self.0.get() % 7 == 3
        }
    }
    in_each::<H>(|cx| {
        let (_, drops) = Noisy::new();
        let before = drops.count();
        let liar = |n| Liar(Cell::new(n), drops.another());
        let mut map = Map::new();
        let made = scaled(400, 60);
        for n in 0..made as u32 {
            let _ = map.insert(cx, liar(n), n).ok().unwrap();
            if n % 3 == 0 {
                let key = liar(n);
                map.remove(cx, &key);
                mem::forget(key);
            }
        }
        map.release(cx);
        assert_eq!(drops.count() - before, made, "each key is dropped once");
    });
}

/// One of each container, with values that count their drops.
type All<'i> =
    (Box<'i, Noisy>, Rc<'i, Noisy>, Vec<'i, Noisy>, Map<'i, u8, Noisy>, Vec<'i, Vec<'i, Noisy>>, Text<'i>);
const NOISES: usize = 8;

fn all<'i, H: Host>(cx: &Attached<'i, H>, drops: &Drops) -> All<'i> {
    let (mut vec, mut map, mut rows) = (Vec::new(), Map::new(), Vec::new());
    for n in 0..2 {
        vec.push(cx, drops.another()).ok().unwrap();
        map.insert(cx, n, drops.another()).ok().unwrap();
        let mut row = Vec::new();
        row.push(cx, drops.another()).ok().unwrap();
        rows.push(cx, row).ok().unwrap();
    }
    let boxed = Box::new(cx, drops.another()).ok().unwrap();
    let rc = Rc::new(cx, drops.another()).ok().unwrap();
    (boxed, rc, vec, map, rows, Text::of(cx, "text").unwrap())
}

/// SPEC: M5, M10, T6
pub fn dropping_a_container_waits_for_the_token<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let mut other = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let (_, drops) = Noisy::new();
                let before = drops.count();
                let count = || drops.count() - before;
                drop(all(cx, &drops));
                assert_eq!(count(), 0, "nothing goes before the next safepoint");
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(count(), NOISES);
                assert_empty(cx);
                let these = all(cx, &drops);
                cx.detach(|| drop(these));
                assert_eq!(count(), NOISES, "nothing is freed without the GIL");
                cx.settle();
                assert_eq!(count(), 2 * NOISES);
                let these = all(cx, &drops);
                // Containers are sent; beside another thread there is no token to read them with.
                cx.detach(|| thread::scope(|s| s.spawn(move || drop(these)).join().unwrap()));
                assert_eq!(count(), 2 * NOISES);
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(count(), 3 * NOISES, "also where nobody was told");
                let these = all(cx, &drops);
                cx.enter(&mut other, |cy| {
                    drop(these);
                    cy.settle();
                    assert_eq!(count(), 3 * NOISES, "another token frees nothing of it");
                })
                .unwrap();
                cx.settle();
                assert_eq!(count(), 4 * NOISES);
                assert_empty(cx);
                let (boxed, rc, vec, map, rows, text) = all(cx, &drops);
                boxed.release(cx);
                rc.release(cx);
                vec.release(cx);
                map.release(cx);
                rows.release(cx);
                text.release(cx);
                assert_eq!(count(), 5 * NOISES, "a release is immediate");
                assert_empty(cx);
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// SPEC: M5, L11
pub fn what_is_forgotten_goes_at_the_end<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let (_, drops) = Noisy::new();
        let before = drops.count();
        state
            .attach(|cx| {
                mem::forget(all(cx, &drops));
                let mut grown = Vec::new();
                for _ in 0..20 {
                    grown.push(cx, drops.another()).ok().unwrap();
                }
                mem::forget(grown);
            })
            .unwrap();
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert_eq!(drops.count() - before, NOISES + 20);
        assert_eq!((ledger.objects, ledger.destructors_skipped), (2, 0), "box and rc are objects");
        // The vec, the map, the rows and their vec, the text, and what was grown.
        assert_eq!((ledger.leaked.object.blocks, ledger.leaked.mem.blocks), (2, 7));
    }
}

/// SPEC: M5, O1
pub fn a_panic_in_a_destructor_costs_the_others_nothing<H: TestHost>() {
    struct Bomb(bool, #[expect(dead_code)] Noisy);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 {
                throw();
            }
        }
    }
    in_each::<H>(|cx| {
        let (noisy, drops) = Noisy::new();
        drop(noisy);
        let mut expected = 1;
        let bomb = |n| Bomb(n == 2, drops.another());
        for kind in 0..5 {
            let mut vec = Vec::new();
            let mut map = Map::new();
            for n in 0..5 {
                vec.push(cx, bomb(n)).ok().unwrap();
                map.insert(cx, n, bomb(n)).ok().unwrap();
            }
            expected += 10;
            let mut left = (Some(vec), Some(map));
            let mut thrown = 0;
            let panics = catch_unwind(AssertUnwindSafe(|| match kind {
                0 => left.0.take().unwrap().release(cx),
                1 => left.1.take().unwrap().release(cx),
                2 => left.0.as_mut().unwrap().clear(cx),
                3 => left.1.as_mut().unwrap().clear(cx),
                _ => {
                    left = (None, None);
                    cx.settle();
                }
            }));
            thrown += usize::from(panics.is_err());
            drop(left);
            // A panic leaves what else was owed to the next one.
            while thrown < 2 {
                let panics = catch_unwind(AssertUnwindSafe(|| cx.settle()));
                thrown += usize::from(panics.is_err());
            }
            cx.settle();
            assert_eq!(drops.count(), expected, "kind {kind}");
            assert_empty(cx);
        }
    });
}

/// A value with containers of everything in it.
pub struct Node<'i> {
    names: RefCell<Map<'i, Text<'i>, Edge<'i, NodeFamily>>>,
    rows: Vec<'i, Rc<'i, Noisy>>,
}

fn node<'i>() -> Node<'i> {
    Node { names: RefCell::default(), rows: Vec::new() }
}

/// [`Node`] at every brand.
pub struct NodeFamily;

impl Family for NodeFamily {
    type At<'i> = Node<'i>;
}

/// SPEC: M5, O1, T6
pub fn containers_lie_in_objects<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let (noisy, drops) = Noisy::new();
        let name = state
            .attach(|cx| {
                let parent = cx.alloc::<NodeFamily>(node()).ok().unwrap();
                let child = cx.alloc::<NodeFamily>(node()).ok().unwrap();
                let key = Text::of(cx, "child").unwrap();
                let edge = child.local(cx).to_owned().into_edge();
                // By a shared look: the map is changed while the object is.
                parent.get(cx).names.borrow_mut().insert(cx, key, edge).ok().unwrap();
                let rc = Rc::new(cx, noisy).ok().unwrap();
                // By unique access: taken out, changed, put back.
                let mut rows = child.get_mut(cx).rows.take();
                rows.push(cx, rc.share(cx)).ok().unwrap();
                rows.push(cx, rc).ok().unwrap();
                child.get_mut(cx).rows = rows;
                child.release(cx);
                cx.global(parent).ok().unwrap()
            })
            .unwrap();
        state
            .attach(|cx| {
                let parent = cx.local(&name).unwrap();
                let names = parent.get().names.borrow();
                let child = names.get(cx, "child").unwrap().get(cx);
                assert_eq!((child.rows.len(cx), drops.count()), (2, 0));
                drop(names);
                cx.release_global(&name).unwrap();
                assert_eq!(drops.count(), 1, "object, map, object, row, value");
                // The table of names goes with the interpreter.
                assert_eq!((cx.usage().object.blocks, cx.usage().mem.blocks), (0, 1));
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// SPEC: M5, T6
pub fn threads_take_turns_with_one_map<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let name = state
        .attach(|cx| {
            let object = cx.alloc::<NodeFamily>(node()).ok().unwrap();
            cx.global(object).ok().unwrap()
        })
        .unwrap();
    let (threads, rounds) = (scaled(6, 2), scaled(60, 4));
    thread::scope(|s| {
        for thread in 0..threads {
            let (rt, name) = (&rt, &name);
            s.spawn(move || {
                rt.ensure(id, |cx| {
                    for round in 0..rounds {
                        let key = Text::of(cx, &format!("{thread} {round}")).unwrap();
                        let edge = cx.local(name).unwrap().to_owned().into_edge();
                        let look = cx.local(name).unwrap().get();
                        look.names.borrow_mut().insert(cx, key, edge).ok().unwrap();
                        let gone = look.names.borrow_mut().remove(cx, &*format!("{thread} {}", round / 2));
                        drop(gone);
                        assert_eq!(cx.safepoint(), Ok(()));
                    }
                })
                .unwrap();
            });
        }
    });
    let left = threads * rounds / 2;
    state
        .attach(|cx| {
            assert_eq!(cx.local(&name).unwrap().get().names.borrow().len(cx), left);
            let map = cx.local(&name).unwrap().get().names.take();
            map.release(cx);
            cx.release_global(&name).unwrap();
            assert_eq!(cx.usage().object.blocks, 0);
        })
        .unwrap();
}

/// SPEC: M5, M6
pub fn a_refusal_gives_back_what_was_not_stored<H: TestHost>() {
    in_each::<H>(|cx| {
        let (mut vec, mut map) = (Vec::new(), Map::new());
        let none = cx.memory_limits();
        let live = cx.usage().bytes();
        cx.set_memory_limits(MemoryLimits::none().with_hard(Some(live + 3000))).unwrap();
        let mut stored = HashSet::new();
        let error = (0..).find_map(|n: u64| match vec.push(cx, n) {
            Ok(()) => None,
            Err((value, error)) => {
                assert_eq!((value, vec.len(cx)), (n, n as usize));
                Some(error)
            }
        });
        assert_eq!(
            error.map(|error| (error.domain, error.cause)),
            Some((Domain::Mem, AllocCause::HardLimit))
        );
        mem::take(&mut vec).release(cx);
        let error = (0..).find_map(|n: u64| match map.insert(cx, n, n + 1) {
            Ok(_) => {
                stored.insert(n);
                None
            }
            Err((entry, error)) => {
                assert_eq!((entry, map.len(cx)), ((n, n + 1), stored.len()));
                Some(error)
            }
        });
        assert_eq!(error.map(|error| error.cause), Some(AllocCause::HardLimit));
        assert!(stored.iter().all(|n| map.get(cx, n) == Some(&(n + 1))));
        let big = Box::new(cx, [1_u8; 4000]).err().unwrap();
        assert_eq!((big.0, big.1.domain), ([1; 4000], Domain::Object));
        assert!(Text::of(cx, &"x".repeat(4000)).is_err());
        assert!(cx.usage().bytes() <= live + 3000);
        cx.set_memory_limits(none).unwrap();
    });
}
