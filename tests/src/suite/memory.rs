//! Memory: domains, accounts, limits, ledgers, and that all of it goes back.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_kernel::{
    Attached, Host,
    config::{GilChoice, InterpreterConfig},
    error::Error,
    memory::{AllocCause, AllocError, Domain, Usage},
};

use crate::{
    TestHost,
    support::{Gate, create, scaled, strategies, until},
};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A block that the test has written to.
fn filled<H: Host>(cx: &Attached<'_, H>, domain: Domain, size: usize) -> NonNull<u8> {
    let block = cx.allocate(domain, layout(size, 8)).unwrap();
    // SAFETY: the block is fresh and has `size` bytes.
    unsafe { block.as_ptr().write_bytes(size as u8, size) };
    block
}

fn bytes_and_blocks(usage: &Usage) -> [(usize, usize); 3] {
    Domain::ALL.map(|domain| (usage.domain(domain).bytes, usage.domain(domain).blocks))
}

/// SPEC: M1
pub fn the_raw_domain_wants_nothing_attached<H: TestHost>() {
    let rt = H::fresh();
    let one = layout(100, 16);
    let block = rt.raw().allocate(one).unwrap();
    let address = block.as_ptr().expose_provenance();
    std::thread::scope(|s| {
        s.spawn(|| {
            let block = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(address)).unwrap();
            // SAFETY: the block has 100 bytes; the other thread does not use it meanwhile.
            unsafe { block.as_ptr().write_bytes(7, 100) };
            let own = rt.raw().allocate(one).unwrap();
            assert_ne!(own, block);
            // SAFETY: allocated above with this layout.
            unsafe { rt.raw().deallocate(own, one) };
        });
    });
    // SAFETY: the block is live and was written; it came with this layout.
    unsafe {
        assert_eq!(block.add(99).read(), 7);
        rt.raw().deallocate(block, one);
    }
}

/// SPEC: M1, M6
pub fn every_domain_is_charged_to_the_byte<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        state
            .attach(|cx| {
                let before = bytes_and_blocks(&cx.usage());
                assert_eq!(before[1..], [(0, 0); 2], "nothing but its own slots, in raw");
                let sizes = [1, 16, 17, 512, 513, 5000, 20_000];
                for domain in Domain::ALL {
                    let mut expected = before;
                    let mut blocks = Vec::new();
                    for size in sizes {
                        blocks.push((filled(cx, domain, size), size));
                        expected[domain as usize].0 += size;
                        expected[domain as usize].1 += 1;
                        assert_eq!(bytes_and_blocks(&cx.usage()), expected, "{domain:?} {size}");
                    }
                    assert_eq!(bytes_and_blocks(&interpreter.usage().unwrap()), expected, "from outside too");
                    for (block, size) in blocks {
                        // SAFETY: live, from this interpreter, with this domain and layout.
                        unsafe {
                            assert!(
                                (0..size).all(|n| block.add(n).read() == size as u8),
                                "nobody wrote to it"
                            );
                            cx.deallocate(domain, block, layout(size, 8));
                        }
                    }
                    assert_eq!(bytes_and_blocks(&cx.usage()), before);
                    assert_eq!(cx.usage().domain(domain).peak, expected[domain as usize].0);
                }
            })
            .unwrap();
    }
}

/// SPEC: M1, M11
pub fn no_bytes_and_large_alignments<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let empty = layout(0, 1);
                let blocks: Vec<_> = (0..8).map(|_| cx.allocate(Domain::Mem, empty).unwrap()).collect();
                for (n, block) in blocks.iter().enumerate() {
                    assert!(!blocks[..n].contains(block), "each one is a block of its own");
                }
                assert_eq!((cx.usage().mem.bytes, cx.usage().mem.blocks), (0, 8));
                for block in blocks {
                    // SAFETY: live, with this domain and layout.
                    unsafe { cx.deallocate(Domain::Mem, block, empty) };
                }
                for shift in 0..=12 {
                    for size in [1, 24, 600] {
                        let asked = layout(size, 1 << shift);
                        let block = cx.allocate(Domain::Object, asked).unwrap();
                        assert_eq!(block.as_ptr().addr() % asked.align(), 0);
                        // SAFETY: as above; the block has `size` bytes.
                        unsafe {
                            block.as_ptr().write_bytes(1, size);
                            cx.deallocate(Domain::Object, block, asked);
                        }
                    }
                }
                assert_eq!(cx.usage().object.bytes, 0);
            })
            .unwrap();
    }
}

/// SPEC: M5, M6
pub fn a_limit_holds_to_the_byte<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let probe = create(&rt, &config);
        let footprint = rt.interpreter(probe).unwrap().usage().unwrap().bytes();
        let limit = footprint + 1000;
        let mut state = rt.create(&config.with_memory_limit(Some(limit)), None).unwrap();
        state
            .attach(|cx| {
                assert_eq!((cx.memory_limits().hard, cx.available()), (Some(limit), 1000));
                let block = filled(cx, Domain::Mem, 600);
                assert_eq!(cx.available(), 400);
                for domain in Domain::ALL {
                    let error = cx.allocate(domain, layout(401, 1)).unwrap_err();
                    assert_eq!(
                        (error.domain, error.requested, error.cause),
                        (domain, 401, AllocCause::HardLimit)
                    );
                    assert_eq!(error.code(), AllocCause::HardLimit.code());
                }
                let rest = filled(cx, Domain::Object, 400);
                assert_eq!(cx.available(), 0);
                assert!(cx.allocate(Domain::Mem, layout(1, 1)).is_err());
                let (value, error) = cx.alloc_plain([1u8; 16]).err().unwrap();
                assert_eq!((value, error.cause), ([1; 16], AllocCause::HardLimit), "the value comes back");
                // SAFETY: live, with these domains and layouts.
                unsafe {
                    cx.deallocate(Domain::Mem, block, layout(600, 8));
                    assert_eq!(cx.available(), 600, "and then there is room again");
                    let again = filled(cx, Domain::Raw, 600);
                    cx.deallocate(Domain::Raw, again, layout(600, 8));
                    cx.deallocate(Domain::Object, rest, layout(400, 8));
                }
                let huge = layout(isize::MAX as usize - 4096, 1);
                let error = cx.allocate(Domain::Mem, huge).unwrap_err();
                assert_eq!((error.requested, error.cause), (huge.size(), AllocCause::HardLimit));
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// SPEC: M5
pub fn more_than_there_is_answers<H: TestHost>() {
    let rt = H::started();
    if cfg!(miri) && H::raw_in_use(&rt).is_none() {
        // Miri gives up where the system's allocator would answer.
        return;
    }
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let before = cx.usage();
                let huge = layout(isize::MAX as usize - 4096, 1);
                for domain in Domain::ALL {
                    let error = cx.allocate(domain, huge).unwrap_err();
                    assert_eq!((error.domain, error.requested), (domain, huge.size()));
                    assert!(matches!(error.cause, AllocCause::Exhausted | AllocCause::TooLarge), "{error}");
                }
                assert_eq!(bytes_and_blocks(&cx.usage()), bytes_and_blocks(&before));
                let block = filled(cx, Domain::Mem, 64);
                // SAFETY: live, with this domain and layout.
                unsafe { cx.deallocate(Domain::Mem, block, layout(64, 8)) };
            })
            .unwrap();
    }
}

/// SPEC: L11, M6
pub fn the_ledger_is_exact<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut objects = 0;
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                for (domain, sizes) in
                    [(Domain::Raw, &[10][..]), (Domain::Mem, &[20, 30]), (Domain::Object, &[40, 50, 20_000])]
                {
                    for size in sizes {
                        filled(cx, domain, *size);
                    }
                }
                let given_back = filled(cx, Domain::Mem, 100_000);
                // SAFETY: live, with this domain and layout.
                unsafe { cx.deallocate(Domain::Mem, given_back, layout(100_000, 8)) };
                let blocks = cx.usage().object.bytes;
                for value in 0..3u64 {
                    core::mem::forget(cx.alloc_plain(value).unwrap());
                }
                objects = cx.usage().object.bytes - blocks;
            })
            .unwrap();
        let whole = rt.interpreter(state.interpreter()).unwrap().usage().unwrap();
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert_eq!(bytes_and_blocks(&ledger.leaked), [(10, 1), (50, 2), (20_090 + objects, 6)]);
        assert_eq!((ledger.objects, ledger.destructors_skipped), (3, 0));
        assert_eq!(ledger.peak, whole.peak);
        assert!(ledger.peak >= 100_000);
        assert!(!ledger.is_clean());
    }
}

/// SPEC: L11, L1
pub fn all_memory_goes_back<H: TestHost>() {
    let rt = H::started();
    let round = |config: &InterpreterConfig| {
        let mut state = rt.create(config, None).unwrap();
        let id = state.interpreter();
        let mut second = rt.thread_state(id).unwrap();
        state
            .attach(|cx| {
                for n in 0..scaled(40, 12) {
                    filled(cx, Domain::ALL[n % 3], 1 + n * 37);
                    core::mem::forget(cx.alloc_plain([n; 4]).unwrap());
                }
                let object = cx.alloc_plain(1u8).unwrap();
                assert!(cx.global(object).is_ok());
            })
            .unwrap();
        second.attach(|cx| filled(cx, Domain::Mem, 9)).unwrap();
        rt.end(id, None).unwrap();
    };
    // The first round leaves slots for the next.
    strategies::<H>().iter().for_each(round);
    let in_use = H::raw_in_use(&rt);
    for _ in 0..3 {
        strategies::<H>().iter().for_each(round);
        assert_eq!(H::raw_in_use(&rt), in_use);
    }
}

/// SPEC: M3, L11
pub fn what_leaks_on_mains_heap_is_not_mains<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let mut in_main = rt.thread_state(main).unwrap();
    let mine = in_main.attach(|cx| filled(cx, Domain::Mem, 77)).unwrap();
    let usage = || bytes_and_blocks(&rt.interpreter(main).unwrap().usage().unwrap());
    let before = usage();
    let shared_gil = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
    for config in strategies::<H>().into_iter().chain([shared_gil]) {
        let mut state = rt.create(&config, None).unwrap();
        state.attach(|cx| (0..20).for_each(|n| _ = filled(cx, Domain::Object, 1 + n * 50))).unwrap();
        assert_eq!(usage(), before, "main's account does not move");
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert_eq!(ledger.leaked.object.blocks, 20);
        assert_eq!(usage(), before);
    }
    in_main
        .attach(|cx| {
            // SAFETY: live, with this domain and layout.
            unsafe {
                assert!((0..77).all(|n| mine.add(n).read() == 77), "main's block is untouched");
                cx.deallocate(Domain::Mem, mine, layout(77, 8));
            }
        })
        .unwrap();
    assert!(rt.finalize(None).unwrap().main.is_clean());
}

/// SPEC: M6
pub fn what_an_engine_took_elsewhere_is_charged<H: TestHost>() {
    let rt = H::started();
    let probe = create(&rt, &InterpreterConfig::isolated());
    let footprint = rt.interpreter(probe).unwrap().usage().unwrap().bytes();
    let config = InterpreterConfig::isolated().with_memory_limit(Some(footprint + 1000));
    let mut state = rt.create(&config, None).unwrap();
    state
        .attach(|cx| {
            let before = cx.usage().raw;
            cx.charge(400).unwrap();
            assert_eq!(
                (cx.usage().raw.bytes, cx.usage().raw.blocks),
                (before.bytes + 400, before.blocks + 1)
            );
            let error = cx.charge(601).unwrap_err();
            assert_eq!(
                (error.domain, error.requested, error.cause),
                (Domain::Raw, 601, AllocCause::HardLimit)
            );
            cx.recharge(400, 1000).unwrap();
            assert_eq!(cx.available(), 0);
            assert_eq!(cx.recharge(1000, 1001).unwrap_err().cause, AllocCause::HardLimit);
            assert_eq!(cx.available(), 0, "the old charge stands");
            cx.recharge(1000, 10).unwrap();
            cx.discharge(10).unwrap();
            assert_eq!((cx.usage().raw.bytes, cx.usage().raw.blocks), (before.bytes, before.blocks));
            assert_eq!(cx.available(), 1000);
        })
        .unwrap();
    assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
}

/// Of charges as much can be taken back as was charged: not the interpreter's own slots, and not its blocks.
///
/// SPEC: M5, M6
pub fn a_wrong_discharge_is_refused<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let layout = Layout::from_size_align(64, 8).unwrap();
                let block = cx.allocate(Domain::Raw, layout).unwrap();
                let before = cx.usage().raw;
                for wrong in [1, 64, usize::MAX] {
                    let refused = Err(AllocError {
                        domain: Domain::Raw,
                        requested: wrong,
                        cause: AllocCause::NotCharged,
                    });
                    assert_eq!(cx.discharge(wrong), refused);
                    assert_eq!(cx.recharge(wrong, wrong), refused);
                }
                cx.charge(10).unwrap();
                assert_eq!(cx.recharge(11, 5).unwrap_err().cause, AllocCause::NotCharged);
                assert_eq!(cx.discharge(11).unwrap_err().cause, AllocCause::NotCharged);
                cx.recharge(10, 4).unwrap();
                assert_eq!(cx.discharge(4), Ok(()));
                assert!(cx.discharge(0).is_err(), "there is no charge, not even of nothing");
                assert_eq!((cx.usage().raw.bytes, cx.usage().raw.blocks), (before.bytes, before.blocks));
                // SAFETY: the block came from this token with this domain and layout.
                unsafe { cx.deallocate(Domain::Raw, block, layout) };
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
    assert!(rt.finalize(None).is_ok());
}

/// SPEC: M5
pub fn a_refused_value_may_be_let_go<H: TestHost>() {
    fn store<H: Host>(cx: &Attached<'_, H>) -> Result<(), AllocError> {
        cx.alloc_plain([0_u8; 4096])?;
        Ok(())
    }
    fn through<H: Host>(cx: &Attached<'_, H>) -> Result<(), Error> {
        cx.alloc_plain([0_u8; 4096])?;
        Ok(())
    }
    let rt = H::started();
    let config = InterpreterConfig::isolated().with_memory_limit(Some(3000));
    let mut state = rt.create(&config, None).unwrap();
    let (stored, told) = state.attach(|cx| (store(cx), through(cx))).unwrap();
    let refused = stored.unwrap_err();
    assert_eq!((refused.cause, told), (AllocCause::HardLimit, Err(Error::Alloc(refused))));
}

/// SPEC: M1, L10
pub fn a_finalizing_interpreter_gives_nothing_out<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    let interpreter = rt.interpreter(id).unwrap();
    let gate = Gate::new();
    std::thread::scope(|s| {
        let inside = s.spawn(|| {
            rt.ensure(id, |cx| {
                let kept = filled(cx, Domain::Mem, 33);
                let object = cx.alloc_plain(5u8).unwrap();
                cx.detach(|| {
                    gate.open();
                    until("it finalizes", || {
                        interpreter.phase() == Ok(archipelago_kernel::interpreter::Phase::Finalizing)
                    });
                });
                for domain in Domain::ALL {
                    let error = cx.allocate(domain, layout(1, 1)).unwrap_err();
                    assert_eq!((error.domain, error.cause), (domain, AllocCause::Finalizing));
                }
                assert_eq!(cx.alloc_plain(1u8).err().unwrap().1.cause, AllocCause::Finalizing);
                assert_eq!(cx.charge(1).unwrap_err().cause, AllocCause::Finalizing);
                assert_eq!(cx.available(), 0);
                // What it has it still has, and may give back.
                assert_eq!(*object.get(cx), 5);
                // SAFETY: live, with this domain and layout.
                unsafe {
                    assert_eq!(kept.add(32).read(), 33);
                    cx.deallocate(Domain::Mem, kept, layout(33, 8));
                }
            })
        });
        gate.wait();
        assert!(rt.end(id, None).unwrap().is_clean());
        inside.join().unwrap().unwrap();
    });
}
