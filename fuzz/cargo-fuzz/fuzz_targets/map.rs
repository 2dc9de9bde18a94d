//! Steps on an interpreter's map (SPEC V3).
#![no_main]

use archipelago_model::map::{Act, Keys, steps};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Keys, Vec<Act>)| steps(input.0, &input.1));
