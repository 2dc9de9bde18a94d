//! WebAssembly programs under criterion: the same calls as the scoreboard's.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::io::sink;

use archipelago::{InterpreterConfig, Runtime};
use archipelago_bench::programs::{HELLO, Plain, busy, load, run};
use archipelago_guest_wasm::WasiSetup;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn programs(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    for (name, text) in [("hello", HELLO.to_owned()), ("busy", busy(1_000_000))] {
        let program = load(&text).expect("a program");
        c.bench_function(name, |b| {
            b.iter(|| run(&rt, &InterpreterConfig::isolated(), &program, WasiSetup::new()));
        });
        c.bench_function(&format!("peer/{name}"), |b| {
            let plain = || Plain::new(text.as_bytes(), Some(Box::new(sink()))).expect("a program");
            b.iter_batched_ref(plain, Plain::run, BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, programs);
criterion_main!(benches);
