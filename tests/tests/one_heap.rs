//! One heap for interpreters with GILs of their own: PEP 684's third strategy, beside the other two.
#![allow(missing_docs, unsafe_code)]

use core::{
    alloc::Layout,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};
use std::{sync::Barrier, thread};

use archipelago_kernel::{
    Attached, Runtime, ThreadState,
    config::{GilChoice, InterpreterConfig},
    error::{ConfigError, CreateError},
    guest::GuestTable,
    memory::Domain,
    raw,
};
use archipelago_tests::{
    BareHost, CountedLock, OneHeapHost, TestHost,
    support::{Scribe, create, scaled, strategies, until},
};
use archipelago_toy_guest::Toy;

type Rt = Runtime<OneHeapHost>;

fn one_heap() -> InterpreterConfig {
    InterpreterConfig::legacy().with_gil(GilChoice::Own)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// How many locks of heaps this thread takes in `f`.
fn locks(f: impl FnOnce()) -> usize {
    let before = CountedLock::taken();
    f();
    CountedLock::taken() - before
}

/// A block that was taken, written, resized, looked at and given back: the heap is asked three times at least.
fn use_it(cx: &Attached<'_, OneHeapHost>) {
    let block = cx.allocate(Domain::Mem, layout(40)).unwrap();
    // SAFETY: live, from this interpreter, with this domain and layout; 40 bytes.
    unsafe {
        block.write_bytes(7, 40);
        let block = cx.reallocate(Domain::Mem, block, layout(40), layout(4000)).unwrap();
        assert!((0..40).all(|n| block.add(n).read() == 7));
        cx.deallocate(Domain::Mem, block, layout(4000));
    }
}

/// SPEC: M3, C3
#[test]
fn the_three_strategies() {
    assert_eq!(strategies::<BareHost>().len(), 2);
    let [own, main, shared] = strategies::<OneHeapHost>().try_into().unwrap();
    assert_eq!((own, main, shared), (InterpreterConfig::isolated(), InterpreterConfig::legacy(), one_heap()));
    for config in [own, main] {
        assert_eq!((config.validate(), config.validate_on::<OneHeapHost>()), (Ok(()), Ok(())));
    }
    let refused = Err(ConfigError::OwnGilWithMainHeap);
    assert_eq!((shared.validate(), shared.validate_on::<BareHost>()), (refused, refused));
    assert_eq!(shared.validate_on::<OneHeapHost>(), Ok(()));
    // The other rules hold there too.
    let unchecked = InterpreterConfig::empty().with_gil(GilChoice::Own);
    assert_eq!(unchecked.validate_on::<OneHeapHost>(), Err(ConfigError::OwnHeapWithoutExtensionCheck));
}

/// SPEC: M3
#[test]
fn no_lock_before_the_first_that_needs_it() {
    let rt = OneHeapHost::started();
    let used = |state: &mut ThreadState<'_, _>| locks(|| state.attach(|cx| use_it(cx)).unwrap());
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    let mut own = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut tenant = rt.create(&InterpreterConfig::legacy(), None).unwrap();
    assert_eq!([&mut main, &mut own, &mut tenant].map(used), [0; 3]);
    let mut first = rt.create(&one_heap(), None).unwrap();
    let [in_main, in_own, in_tenant, in_first] = [&mut main, &mut own, &mut tenant, &mut first].map(used);
    assert!(in_main >= 2 && in_tenant >= 2 && in_first >= 2, "{in_main} {in_tenant} {in_first}");
    assert_eq!(in_own, 0, "its heap is its own");
    assert!(rt.end(first.interpreter(), None).unwrap().is_clean());
    assert!(used(&mut main) >= 2, "it stays on");
    drop((main, own, tenant, first));
    rt.finalize(None).unwrap();
    let main = rt.initialize(None).unwrap().main();
    assert_eq!(used(&mut rt.thread_state(main).unwrap()), 0, "until main ends");
}

/// SPEC: M3, G1
#[test]
fn whoever_switches_it_on_waits_for_mains_gil() {
    let rt = OneHeapHost::started();
    let main = rt.main().unwrap();
    let made = AtomicBool::new(false);
    let make = || {
        let id = create(&rt, &one_heap());
        made.store(true, Ordering::Release);
        id
    };
    rt.ensure(main, |cx| {
        assert_eq!(locks(|| use_it(cx)), 0);
        thread::scope(|s| {
            let first = s.spawn(make);
            until("the creator waits", || rt.interpreter(main).unwrap().gil().unwrap().waiters == 1);
            assert!(!made.load(Ordering::Acquire));
            assert_eq!(locks(|| use_it(cx)), 0, "not switched on while main's GIL is held");
            until("it is let in at a safepoint", || {
                assert_eq!(cx.safepoint(), Ok(()));
                made.load(Ordering::Acquire)
            });
            assert!(locks(|| use_it(cx)) >= 2);
            // Once is enough: nobody lets the GIL go here.
            assert_ne!(first.join().unwrap(), s.spawn(make).join().unwrap());
        });
    })
    .unwrap();
    let stats = rt.interpreter(main).unwrap().gil().unwrap();
    assert_eq!((stats.held, stats.waiters), (false, 0));
}

/// SPEC: M3, L1
#[test]
fn whoever_holds_a_gil_does_not_wait_for_mains() {
    let rt = OneHeapHost::started();
    let main = rt.main().unwrap();
    let attached = rt.ensure(main, |cx| {
        let refused = rt.create(&one_heap(), None).err();
        let called_out = cx.call_out(|| rt.create(&one_heap(), None).err());
        (refused, called_out)
    });
    let refused = Some(CreateError::AlreadyAttached);
    assert_eq!(attached, Ok((refused, refused)));
    let handler = OneHeapHost::in_handler(|| rt.create(&one_heap(), None).err());
    assert_eq!(handler, Some(Some(CreateError::InInterrupt)));
    let detached = rt.ensure(main, |cx| cx.detach(|| rt.create(&one_heap(), None).is_ok()));
    assert_eq!(detached, Ok(true), "inside a detach nothing is held");
}

/// SPEC: M3, L1
#[test]
fn the_raw_layer_lets_mains_gil_go_meanwhile() {
    let rt = OneHeapHost::started();
    let main = rt.main().unwrap();
    // SAFETY: [R1]: one runtime, and attaches close in order.
    unsafe {
        let caller = raw::thread_new(&rt, main).unwrap();
        raw::attach(&rt, caller).unwrap();
        let new = raw::new_interpreter_from_config(&rt, &one_heap(), Some(GuestTable::of::<Toy>())).unwrap();
        assert!(raw::current(&rt) == Some(new));
        let (sub, main) = (new.interpreter(&rt).unwrap(), rt.interpreter(main).unwrap());
        let held = |interpreter| rt.interpreter(interpreter).unwrap().gil().unwrap().held;
        assert!(held(sub) && !main.gil().unwrap().held);
        raw::with_token(&rt, |cx| use_it(cx)).unwrap();
        assert!(raw::end_interpreter(&rt, new, None).unwrap().is_clean());
        raw::attach(&rt, caller).unwrap();
        raw::with_token(&rt, |cx| use_it(cx)).unwrap();
        raw::detach(&rt).unwrap();
    }
}

/// SPEC: M3, L16, C3
#[test]
fn a_guest_that_cannot_start_leaves_nothing_in_the_heap() {
    let rt = OneHeapHost::started();
    let guest = Some(GuestTable::of::<Toy>());
    let tight = one_heap().with_memory_limit(Some(Rt::INTERPRETER_BYTES));
    for _ in 0..3 {
        let refused = rt.create(&tight, guest).err();
        assert_eq!(refused, Some(CreateError::Config(ConfigError::LimitBelowFootprint)));
        assert_eq!(rt.count(), Ok(1));
    }
    let id = rt.create(&one_heap(), guest).unwrap().interpreter();
    assert!(rt.end(id, None).unwrap().is_clean());
    assert!(rt.finalize(None).unwrap().main.is_clean());
}

/// Takes and gives back blocks of many sizes, each filled with what names it; leaves `left` of 24 bytes.
fn toil(cx: &mut Attached<'_, OneHeapHost>, seed: u8, rounds: usize, left: usize) {
    let mut live: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
    let give = |cx: &Attached<'_, OneHeapHost>, (block, size, mark): (NonNull<u8>, usize, u8)| {
        // SAFETY: live, with this domain and layout, and as long.
        unsafe {
            assert!((0..size).all(|n| block.add(n).read() == mark), "nobody else wrote to it");
            cx.deallocate(Domain::Object, block, layout(size));
        }
    };
    for round in 0..rounds {
        let (size, mark) = (1 + (round * 37 + usize::from(seed) * 101) % 700, seed ^ round as u8);
        let block = cx.allocate(Domain::Object, layout(size)).unwrap();
        // SAFETY: fresh, and so long.
        unsafe { block.write_bytes(mark, size) };
        live.push((block, size, mark));
        if live.len() > 12 {
            give(cx, live.swap_remove(round * 7 % 12));
        }
        if round % 16 == 0 {
            cx.alloc_plain([round; 3]).ok().unwrap().release(cx);
            assert_eq!(cx.safepoint(), Ok(()));
        }
    }
    live.into_iter().for_each(|block| give(cx, block));
    (0..left).for_each(|_| _ = cx.allocate(Domain::Mem, layout(24)).unwrap());
}

/// Main, interpreters with GILs of their own and one under main's: all in one heap, and those that can, at once.
///
/// SPEC: M3, M6, L11, G1
#[test]
fn interpreters_with_their_own_gils_allocate_at_once() {
    let rt = OneHeapHost::started();
    let main = rt.main().unwrap();
    let rounds = scaled(4000, 30);
    let mut mine = None;
    rt.ensure(main, |cx| mine = Some(cx.allocate(Domain::Mem, layout(16)).unwrap())).unwrap();
    let before = rt.interpreter(main).unwrap().usage().unwrap();
    let (inside, tenant) = (Barrier::new(3), create(&rt, &InterpreterConfig::legacy()));
    thread::scope(|s| {
        for seed in 1..=2 {
            let (rt, inside) = (&rt, &inside);
            s.spawn(move || {
                let mut state = rt.create(&one_heap(), None).unwrap();
                let id = state.interpreter();
                state
                    .attach(|cx| {
                        // Three GILs are held: two of them their own, and main's.
                        inside.wait();
                        toil(cx, seed, rounds, usize::from(seed));
                    })
                    .unwrap();
                let ledger = rt.end(id, None).unwrap();
                assert_eq!(ledger.leaked.mem.blocks, usize::from(seed));
                assert_eq!(
                    (ledger.leaked.mem.bytes, ledger.leaked.object.bytes),
                    (24 * usize::from(seed), 0)
                );
            });
        }
        // The creators need main's GIL first.
        until("both are made", || rt.count() == Ok(4));
        until("both run", || {
            rt.ensure(main, |cx| cx.safepoint().is_ok()).unwrap();
            let newest =
                |interpreter: archipelago_kernel::Interpreter<'_, _>| interpreter.gil().unwrap().held;
            let ids = archipelago_tests::support::list_all(&rt);
            ids[2..].iter().all(|id| rt.interpreter(*id).is_ok_and(newest))
        });
        rt.ensure(main, |cx| {
            inside.wait();
            toil(cx, 3, rounds / 2, 0);
        })
        .unwrap();
        rt.ensure(tenant, |cx| toil(cx, 4, rounds / 2, 5)).unwrap();
    });
    let after = rt.interpreter(main).unwrap().usage().unwrap();
    assert_eq!((after.mem.bytes, after.mem.blocks), (before.mem.bytes, before.mem.blocks));
    assert_eq!(rt.end(tenant, None).unwrap().leaked.mem.blocks, 5);
    rt.ensure(main, |cx| {
        // SAFETY: live, from main, with this domain and layout.
        unsafe { cx.deallocate(Domain::Mem, mine.unwrap(), layout(16)) };
    })
    .unwrap();
    assert!(rt.finalize(None).unwrap().main.is_clean());
}

/// SPEC: M3, L11, R4
#[test]
fn what_is_left_on_the_heap_is_listed_and_main_goes_last() {
    let rt = OneHeapHost::started();
    let scribe = Scribe::of(&rt);
    for (n, config) in strategies::<OneHeapHost>().iter().cycle().take(6).enumerate() {
        let mut state = rt.create(config, None).unwrap();
        state.attach(|cx| toil(cx, n as u8, 5, n)).unwrap();
    }
    let _ = scribe.take();
    let ledger = rt.finalize(None).unwrap();
    assert_eq!((ledger.left_over, ledger.unclean), (6, 5));
    let ended: Vec<_> =
        scribe.ended().iter().map(|(number, ledger)| (*number, ledger.leaked.mem.blocks)).collect();
    assert_eq!(ended, [(6, 5), (5, 4), (4, 3), (3, 2), (2, 1), (1, 0), (0, 0)]);
    let in_use = OneHeapHost::raw_in_use(&rt);
    let _ = rt.initialize(None).unwrap();
    rt.finalize(None).unwrap();
    assert_eq!(OneHeapHost::raw_in_use(&rt), in_use, "everything is back");
}

/// Creators race for the switch while main computes.
///
/// SPEC: M3, L15
#[test]
fn many_creators_at_once() {
    for _ in 0..scaled(30, 2) {
        let rt = OneHeapHost::started();
        let main = rt.main().unwrap();
        let start = Barrier::new(4);
        thread::scope(|s| {
            for seed in 0..3 {
                let (rt, start) = (&rt, &start);
                s.spawn(move || {
                    start.wait();
                    let mut state = rt.create(&one_heap(), None).unwrap();
                    state.attach(|cx| toil(cx, seed, scaled(200, 8), 1)).unwrap();
                    assert_eq!(rt.end(state.interpreter(), None).unwrap().leaked.mem.blocks, 1);
                });
            }
            start.wait();
            rt.ensure(main, |cx| toil(cx, 9, scaled(400, 16), 0)).unwrap();
        });
        assert!(rt.finalize(None).unwrap().main.is_clean());
    }
}
