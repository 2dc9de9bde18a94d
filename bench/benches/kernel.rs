//! The kernel's operations under criterion: the same calls as the scoreboard's.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use archipelago::{GilChoice, InterpreterConfig, Runtime};
use archipelago_bench::ops;
use criterion::{Criterion, criterion_group, criterion_main};
use parking_lot::Mutex;

fn lifecycle(c: &mut Criterion) {
    for others in [10, 10_000] {
        let rt = Runtime::new().expect("a runtime");
        for _ in 0..others {
            drop(ops::isolated(&rt).expect("an interpreter"));
        }
        c.bench_function(&format!("create-end/{others}"), |b| b.iter(|| ops::create_end(&rt)));
    }
    let rt = Runtime::new().expect("a runtime");
    let id = ops::isolated(&rt).expect("an interpreter").interpreter();
    c.bench_function("thread-state", |b| b.iter(|| ops::thread_state(&rt, id)));
    c.bench_function("ensure/foreign", |b| b.iter(|| ops::ensure(&rt, id)));
}

fn attached(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    let mut state = ops::isolated(&rt).expect("an interpreter");
    c.bench_function("attach", |b| b.iter(|| ops::attach(&mut state)));
    let bench = state.attach(|cx| {
        c.bench_function("detach", |b| b.iter(|| ops::detach(cx)));
        c.bench_function("safepoint", |b| b.iter(|| ops::safepoint(cx)));
        c.bench_function("alloc-release", |b| b.iter(|| ops::alloc_release(cx)));
    });
    bench.expect("an attached thread");
    let mutex = Mutex::new(());
    c.bench_function("peer/parking_lot", |b| b.iter(|| ops::lock_unlock(&mutex)));
}

fn enter(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    let shared = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
    for (name, config) in [("own", InterpreterConfig::isolated()), ("shared", shared)] {
        let mut from = rt.create(&config, None).expect("an interpreter");
        let mut to = rt.create(&config, None).expect("an interpreter");
        let mut same = rt.thread_state(from.interpreter()).expect("a thread state");
        let bench = from.attach(|cx| {
            c.bench_function(&format!("enter/{name}"), |b| b.iter(|| ops::enter(cx, &mut to)));
            c.bench_function(&format!("enter/same/{name}"), |b| b.iter(|| ops::enter(cx, &mut same)));
        });
        bench.expect("an attached thread");
    }
}

criterion_group!(benches, lifecycle, attached, enter);
criterion_main!(benches);
