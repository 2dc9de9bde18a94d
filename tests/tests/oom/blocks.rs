//! Objects, names and blocks.

use core::alloc::Layout;

use archipelago_kernel::{
    config::InterpreterConfig,
    memory::{AllocCause, AllocError, Domain},
};

use crate::{every_nth, exhausted, inside, inside_at_every_nth, kinds, running};

#[test]
fn an_object_at_every_allocation() {
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        every_nth(
            |rt| {
                running(rt);
                drop(rt.create(&config, None).expect("memory"));
            },
            |rt, failure| {
                inside(rt, |cx| {
                    failure.arm(rt);
                    let (value, error) = match cx.alloc_plain([3_u8; 700]) {
                        Ok(object) => {
                            core::mem::forget(object);
                            return Ok(());
                        }
                        Err(refused) => refused,
                    };
                    assert_eq!(value, [3; 700], "the value comes back");
                    assert_eq!(error.domain, Domain::Object);
                    assert!(error.requested >= 700);
                    assert_eq!(cx.safepoint(), Ok(()));
                    Err(error.into())
                })
            },
            exhausted,
        );
    }
}

#[test]
fn a_name_at_every_allocation() {
    // The first name takes a table, the ninth a larger one; names that were given stay good.
    for given in [0, 8] {
        every_nth(
            |rt| {
                running(rt);
                drop(rt.create(&InterpreterConfig::legacy(), None).expect("memory"));
                let names = inside(rt, |cx| {
                    for n in 0..given {
                        let object = cx.alloc_plain(n).expect("memory");
                        let name = cx.global(object).ok().expect("memory");
                        assert_eq!(cx.local(&name).map(|object| *object.get()), Ok(n));
                    }
                    Ok(())
                });
                assert_eq!(names, Ok(()));
            },
            |rt, failure| {
                inside(rt, |cx| {
                    let object = cx.alloc_plain(given).expect("memory");
                    failure.arm(rt);
                    let (object, error) = match cx.global(object) {
                        Ok(name) => {
                            assert_eq!(cx.local(&name).map(|object| *object.get()), Ok(given));
                            return Ok(());
                        }
                        Err(refused) => refused,
                    };
                    assert_eq!(error.domain, Domain::Mem);
                    assert_eq!(*object.get(cx), given, "the reference comes back");
                    object.release(cx);
                    Err(error.into())
                })
            },
            exhausted,
        );
    }
}

#[test]
fn a_block_of_each_domain_at_every_allocation() {
    for (config, domain) in kinds().into_iter().flat_map(|(config, _)| Domain::ALL.map(|d| (config, d))) {
        every_nth(
            |rt| {
                running(rt);
                drop(rt.create(&config, None).expect("memory"));
            },
            |rt, failure| {
                inside(rt, |cx| {
                    failure.arm(rt);
                    match cx.allocate(domain, Layout::new::<[u64; 100]>()) {
                        Ok(_) => Ok(()),
                        Err(error) => {
                            let expected =
                                AllocError { domain, requested: 800, cause: AllocCause::Exhausted };
                            assert_eq!(error, expected);
                            Err(error.into())
                        }
                    }
                })
            },
            exhausted,
        );
    }
}

/// All of them take the same way.
const DOMAINS: &[Domain] = if cfg!(miri) { &[Domain::Mem] } else { &Domain::ALL };

#[test]
fn a_block_that_grows_at_every_allocation() {
    // None can grow where it is: a larger one is a new block.
    let layout = |size| Layout::from_size_align(size, 16).expect("a layout");
    for &domain in DOMAINS {
        inside_at_every_nth(|cx, arm| {
            let (small, large) = (layout(40), layout(4000));
            let block = cx.allocate(domain, small).expect("memory");
            // SAFETY: live, with this domain and layout, and as long; given back once, with the layout it has then.
            unsafe {
                block.write_bytes(7, 40);
                let (before, refused) =
                    (cx.usage(), AllocError { domain, requested: 4000, cause: AllocCause::Exhausted });
                assert_eq!(cx.resize(domain, block, small, large), Err(refused), "in place");
                assert_eq!(cx.usage(), before);
                arm();
                let grown = cx.reallocate(domain, block, small, large);
                let (now, has) = grown.map_or((block, small), |grown| (grown, large));
                assert!((0..40).all(|n| now.add(n).read() == 7));
                if grown.is_err() {
                    assert_eq!((grown, cx.usage()), (Err(refused), before), "as it was");
                }
                cx.deallocate(domain, now, has);
                grown.map(drop)
            }
        });
    }
}

#[test]
fn a_block_that_shrinks_at_every_allocation() {
    let layout = |size| Layout::from_size_align(size, 16).expect("a layout");
    for &domain in DOMAINS {
        inside_at_every_nth(|cx, arm| {
            let (large, small) = (layout(4000), layout(40));
            let block = cx.allocate(domain, large).expect("memory");
            let before = cx.usage();
            arm();
            // SAFETY: live, with this domain and layout; given back once, with the layout it has then.
            unsafe {
                let shrunk = cx.reallocate(domain, block, large, small);
                assert!(shrunk.is_ok() || cx.usage() == before, "as it was");
                let (now, has) = shrunk.map_or((block, large), |shrunk| (shrunk, small));
                cx.deallocate(domain, now, has);
                shrunk.map(drop)
            }
        });
    }
}
