//! Steps on an interpreter with its account, its own heap or main's (SPEC V3).
#![no_main]

use archipelago::InterpreterConfig;
use archipelago_model::accounts::{Act, while_memory_fails};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<Act>)| {
    let config = if input.0 { InterpreterConfig::isolated() } else { InterpreterConfig::legacy() };
    while_memory_fails(&config, &input.1);
});
