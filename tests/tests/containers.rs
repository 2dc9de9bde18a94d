//! Rows against those of std, by random operations; maps are in `fuzzed`.

use archipelago::{Attached, InterpreterConfig, Runtime};
use archipelago_kernel::collections::{Box, Vec};
use proptest::{collection, prelude::*, test_runner::RngSeed};

fn inner<'i>(cx: &Attached<'i>, boxed: Option<Box<'i, u8>>) -> Option<u8> {
    boxed.map(|boxed| boxed.into_inner(cx))
}

const STEPS: usize = if cfg!(miri) { 40 } else { 400 };

/// A failure should be there again in the next run; who looks for others sets PROPTEST_RNG_SEED.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0),
        given => given,
    };
    ProptestConfig { failure_persistence: None, rng_seed, ..default }
}

proptest! {
    #![proptest_config(config())]

    /// SPEC: M5
    #[test]
    fn a_vec_is_a_vec(acts in collection::vec((0_u8..8, any::<u8>()), 0..STEPS)) {
        let runtime = Runtime::new().unwrap();
        let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
        state.attach(|cx| {
            let (mut vec, mut model) = (Vec::new(), std::vec::Vec::new());
            for (act, n) in &acts {
                let (at, boxed) = (usize::from(*n), || Box::new(cx, *n).unwrap());
                match act {
                    0..=2 => {
                        vec.push(cx, boxed()).ok().unwrap();
                        model.push(*n);
                    }
                    3 => {
                        vec.insert(cx, at, boxed()).ok().unwrap();
                        model.insert(at.min(model.len()), *n);
                    }
                    4 => {
                        let popped = vec.pop(cx);
                        assert_eq!(inner(cx, popped), model.pop());
                    }
                    5 => {
                        let removed = vec.remove(cx, at);
                        assert_eq!(inner(cx, removed), (at < model.len()).then(|| model.remove(at)));
                    }
                    6 => {
                        let removed = (at < model.len()).then(|| model.swap_remove(at));
                        assert_eq!(inner(cx, vec.swap_remove(cx, at)), removed);
                    }
                    _ => {
                        vec.truncate(cx, at);
                        model.truncate(at);
                        vec.shrink_to_fit(cx).unwrap();
                    }
                }
                assert!(vec.as_slice(cx).iter().map(|boxed| boxed.get(cx)).eq(&model));
            }
            vec.release(cx);
            cx.settle();
            assert_eq!(cx.usage().mem.bytes + cx.usage().object.bytes, 0);
        }).unwrap();
    }
}
