//! Accounts: exact in any order of requests, each interpreter's own, and that of what is in transit.
#![allow(unsafe_code)]

use std::thread;

use archipelago_kernel::{
    config::InterpreterConfig,
    memory::{AllocCause, Domain},
};
use archipelago_model::accounts::{Act, steps};

use crate::{
    TestHost,
    suite::limits::{cause, footprint, layout},
    support::{Dice, create, presets, scaled, strategies},
};

/// Every way to take and give memory, with limits and the reserve, against plain sums.
///
/// SPEC: M6, C7, L11
pub fn accounts_are_exact_in_any_order<H: TestHost>() {
    let rt = H::started();
    let mut dice = Dice::new(1);
    let mut act = || {
        let [.., a, b, c, d] = dice.number().to_be_bytes();
        Act::decode([a, b, c, d])
    };
    for config in strategies::<H>() {
        for _ in 0..scaled(20, 2) {
            let acts: Vec<_> = (0..scaled(400, 80)).map(|_| act()).collect();
            steps(&rt, &config, None, &acts);
        }
    }
}

/// SPEC: M6, L15
pub fn threads_keep_accounts_of_their_own<H: TestHost>() {
    let rt = H::started();
    thread::scope(|s| {
        for n in 1..=scaled(8, 3) {
            let rt = &rt;
            s.spawn(move || {
                let limit = footprint::<H>() + 100 * n;
                let config = InterpreterConfig::isolated().with_memory_limit(Some(limit));
                let mut state = rt.create(&config, None).unwrap();
                for _ in 0..scaled(300, 10) {
                    state
                        .attach(|cx| {
                            let blocks: Vec<_> =
                                (0..n).map(|_| cx.allocate(Domain::Object, layout(100)).unwrap()).collect();
                            assert_eq!(
                                cause(cx.allocate(Domain::Mem, layout(1))),
                                Some(AllocCause::HardLimit)
                            );
                            assert_eq!(cx.usage().bytes(), limit);
                            for block in blocks {
                                // SAFETY: live, with this domain and layout.
                                unsafe { cx.deallocate(Domain::Object, block, layout(100)) };
                            }
                        })
                        .unwrap();
                }
                let seen = rt.interpreter(state.interpreter()).unwrap().usage().unwrap();
                assert_eq!((seen.bytes(), seen.peak, seen.object.blocks), (limit - 100 * n, limit, 0));
            });
        }
    });
}

/// SPEC: S11
pub fn what_is_in_transit_is_charged_to_no_interpreter<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &presets()[0]);
    let before = rt.interpreter(id).unwrap().usage();
    let transit = rt.transit();
    transit.set_limit(Some(1000));
    assert_eq!(transit.charge(600), Ok(()));
    let refused = transit.charge(401).unwrap_err();
    assert_eq!((refused.cause, refused.requested), (AllocCause::HardLimit, 401));
    assert_eq!(transit.charge(400), Ok(()));
    let refused = transit.discharge(1001).unwrap_err();
    assert_eq!((refused.cause, transit.usage().bytes), (AllocCause::NotCharged, 1000));
    transit.discharge(600).unwrap();
    let usage = transit.usage();
    assert_eq!((usage.bytes, usage.blocks, usage.peak), (400, 1, 1000));
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..scaled(1000, 20) {
                    if transit.charge(150).is_ok() {
                        assert!(transit.usage().bytes <= 1000);
                        transit.discharge(150).unwrap();
                    }
                }
            });
        }
    });
    transit.discharge(400).unwrap();
    assert_eq!((transit.usage().bytes, transit.usage().blocks), (0, 0));
    assert!(transit.usage().peak_blocks >= 2);
    assert_eq!(transit.discharge(0).unwrap_err().cause, AllocCause::NotCharged);
    assert_eq!(rt.interpreter(id).unwrap().usage(), before);
}
