//! Lists of operations on a runtime and on the sequential model (SPEC V3).
#![no_main]

use std::sync::OnceLock;

use archipelago_model::{Operation, Sizes, manual, run};
use libfuzzer_sys::fuzz_target;

static SIZES: OnceLock<Sizes> = OnceLock::new();

fuzz_target!(|input: (bool, Vec<Operation>)| {
    let (guest, mut operations) = input;
    operations.insert(0, Operation::Initialize { guest });
    run(manual(), SIZES.get_or_init(|| Sizes::measure(&manual().runtime)), &operations);
});
