//! Lists of requests to a heap or a raw domain (SPEC V3).
#![no_main]

use archipelago_model::heaps::{Backend, Request, serve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Backend, Vec<Request>)| serve(input.0, &input.1));
