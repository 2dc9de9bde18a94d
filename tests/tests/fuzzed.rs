//! What the fuzz targets `heaps`, `accounts` and `map` do, with random input that is the same in every run.

use archipelago_kernel::config::InterpreterConfig;
use archipelago_model::{
    accounts,
    heaps::{Backend, Request, serve},
    map::{Act, Keys, steps},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, RngSeed, TestRng, TestRunner},
};

const LENGTH: usize = if cfg!(miri) { 40 } else { 400 };

/// Runs `test` on random lists; a failure should be there again in the next run, and who looks for others sets
/// PROPTEST_RNG_SEED.
fn on_lists<S: Strategy>(step: S, test: impl Fn(&[S::Value]))
where
    S::Value: Clone,
{
    let mut config = Config { failure_persistence: None, ..Config::default() };
    config.cases = if cfg!(miri) { 2 } else { config.cases.min(100) };
    let mut runner = match config.rng_seed {
        RngSeed::Random => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        RngSeed::Fixed(_) => TestRunner::new(config),
    };
    let outcome = runner.run(&vec(step, 0..LENGTH), |list| {
        test(&list);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// SPEC: V3
#[test]
fn heaps_agree_with_the_model_of_the_suite() {
    for &backend in Backend::ALL {
        on_lists(any::<[u8; 4]>().prop_map(Request::decode), |requests| serve(backend, requests));
    }
}

/// Inputs that a fuzzer is likely to begin with, and ends that meet a failing raw domain.
#[test]
fn short_lists_of_requests() {
    use Request as R;
    let lists: [&[Request]; 5] = [
        &[],
        &[R::Sweep, R::Trim, R::Relocate, R::Check],
        &[R::Allocate { size: 0, align: 0 }, R::Allocate { size: 0, align: 12 }, R::Deallocate { nth: 0 }],
        &[R::Budget { kibibytes: Some(0) }, R::Allocate { size: 8, align: 3 }, R::Trim],
        &[
            R::Allocate { size: 600, align: 3 },
            R::Fail { after: Some(0) },
            R::Reallocate { nth: 0, size: 8000 },
        ],
    ];
    for (backend, list) in
        Backend::ALL.iter().flat_map(|backend| lists.iter().map(move |list| (backend, list)))
    {
        serve(*backend, list);
    }
}

/// SPEC: M6, V3, V4
#[test]
fn accounts_are_plain_sums() {
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        on_lists(any::<[u8; 4]>().prop_map(accounts::Act::decode), |acts| {
            accounts::while_memory_fails(&config, acts);
        });
    }
}

fn act(keys: u16) -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..keys, any::<u32>()).prop_map(|(key, value)| Act::Insert(key, value)),
        4 => (0..keys).prop_map(Act::Remove),
        2 => (0..keys).prop_map(Act::Look),
        2 => (0..keys).prop_map(Act::Change),
        2 => any::<u8>().prop_map(Act::Reserve),
        2 => any::<Option<u8>>().prop_map(Act::Limit),
        1 => prop_oneof![9 => Just(Act::Shrink), 1 => Just(Act::Clear), 1 => Just(Act::Take)],
    ]
}

/// SPEC: M5, V3
#[test]
fn a_map_is_a_map() {
    for keys in [Keys::Numbers, Keys::Texts] {
        for among in [3, 40, 300] {
            on_lists(act(among), |acts| steps(keys, acts));
        }
    }
}
