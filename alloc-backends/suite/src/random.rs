//! Random sequences of requests.

use core::alloc::Layout;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, RngSeed, TestRng, TestRunner},
};

use crate::{Model, Subject};

#[derive(Debug, Clone)]
enum Request {
    Allocate { size: usize, align: usize },
    Deallocate { nth: usize },
    Resize { nth: usize, size: usize },
    Relocate,
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 1..=64_usize, 4 => 65..=600_usize, 1 => 601..=8192_usize, 1 => 8193..=20_000_usize]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        6 => (size(), prop_oneof![8 => 0..=4_u32, 1 => 5..=12_u32])
            .prop_map(|(size, log)| Request::Allocate { size, align: 1 << log }),
        5 => any::<u16>().prop_map(|nth| Request::Deallocate { nth: nth.into() }),
        3 => (any::<u16>(), size()).prop_map(|(nth, size)| Request::Resize { nth: nth.into(), size }),
        1 => Just(Request::Relocate),
    ]
}

/// For backends, and for what stands in front of one that had as many.
pub(crate) const MANY: u32 = 200;
pub(crate) const FEW: u32 = 20;

/// Runs so many sequences of requests on new subjects; `end` gets each model after its sequence.
pub(crate) fn sequences<S: Subject>(cases: u32, subject: &impl Fn() -> S, end: impl Fn(Model<S>)) {
    let (cases, length) = if cfg!(miri) { (4.min(cases / 10), 40) } else { (cases, 300) };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    // A failure should be there again in the next run; who looks for others sets PROPTEST_RNG_SEED.
    let mut runner = match config.rng_seed {
        RngSeed::Random => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        RngSeed::Fixed(_) => TestRunner::new(config),
    };
    let outcome = runner.run(&vec(request(), 1..length), |requests| {
        let mut model = Model::new(subject());
        for request in requests {
            serve(&mut model, request);
        }
        model.check();
        end(model);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn serve<S: Subject>(model: &mut Model<S>, request: Request) {
    match request {
        Request::Allocate { size, align } => {
            // A bounded subject may refuse.
            let _ = model.allocate(Layout::from_size_align(size, align).expect("a layout"));
        }
        Request::Deallocate { nth } => {
            if let Some(address) = model.nth(nth) {
                model.deallocate(address);
            }
        }
        Request::Resize { nth, size } => {
            if let Some(address) = model.nth(nth) {
                let _ = model.resize(address, size);
            }
        }
        Request::Relocate => model.relocate(),
    }
}
