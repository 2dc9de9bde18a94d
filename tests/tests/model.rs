//! Random lists of operations on a runtime and on the sequential model (SPEC V3).

use archipelago_kernel::Host;
use archipelago_model::{Operation, Setup, Sizes, manual, run};
use archipelago_tests::ScannedStdHost;
use archipelago_tests::{BareHost, TestHost};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, RngSeed, TestRng, TestRunner},
};

fn operations(length: usize) -> impl Strategy<Value = Vec<Operation>> {
    let first = any::<bool>().prop_map(|guest| Operation::Initialize { guest });
    (first, vec(any::<[u8; 4]>().prop_map(Operation::decode), 1..length)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

fn agree<H: Host>(setup: fn() -> Setup<H>) {
    let length = if cfg!(miri) { 48 } else { 400 };
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if cfg!(miri) {
        config.cases = config.cases.min(4);
    }
    // A failure should be there again in the next run; who looks for others sets PROPTEST_RNG_SEED.
    let mut runner = match config.rng_seed {
        RngSeed::Random => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        RngSeed::Fixed(_) => TestRunner::new(config),
    };
    let sizes = Sizes::measure(&setup().runtime);
    let outcome = runner.run(&operations(length), |operations| {
        run(setup(), &sizes, &operations);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn a_host_whose_clock_is_moved_by_hand_agrees_with_the_model() {
    agree(manual);
}

#[test]
fn the_bare_host_agrees_with_the_model() {
    agree(|| Setup::of(BareHost::fresh()));
}

#[test]
fn the_std_host_agrees_with_the_model() {
    agree(|| Setup::of(ScannedStdHost::fresh()));
}
