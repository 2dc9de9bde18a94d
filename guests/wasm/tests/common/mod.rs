//! What the tests share.

#![allow(dead_code, reason = "every test file uses a part of it")]

use archipelago_guest_wasm::{
    Engine, Instance, LoadError, Output, Program, Request, Slice, Trap, WakeFd, WasiSetup, WriterSink, serve,
};
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

pub const FUEL: u64 = 100_000;
pub const PAGE: usize = 64 << 10;
pub const PLENTY: usize = 256 * PAGE;

pub type Collected = Arc<WriterSink<Vec<u8>>>;

pub fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../cli/samples/{name}.wat", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub fn load(text: impl AsRef<[u8]>) -> Result<Program, LoadError> {
    Program::load(&Engine::new(), "test", text.as_ref())
}

pub fn instance(text: impl AsRef<[u8]>, setup: WasiSetup) -> Instance {
    Instance::new(&load(text).unwrap(), setup, PLENTY).unwrap()
}

/// A setup whose standard output is collected.
pub fn collecting() -> (WasiSetup, Collected) {
    let sink = Collected::default();
    (WasiSetup::new().stdout(Output::Sink(sink.clone())), sink)
}

pub fn text(sink: &Collected) -> String {
    sink.with(|bytes| String::from_utf8(bytes.clone()).unwrap())
}

/// Runs to the end, serving every request, and returns the end with the number of slices.
pub fn finish(instance: &mut Instance, fuel: u64) -> (Slice, usize) {
    let wake = WakeFd::new().unwrap();
    let mut slices = 0;
    loop {
        slices += 1;
        match instance.run(fuel) {
            Slice::OutOfFuel => {}
            Slice::Blocked(request) => instance.complete(serve(&request, &wake).unwrap()).unwrap(),
            end => return (end, slices),
        }
    }
}

pub fn exit_code(instance: &mut Instance) -> i32 {
    match finish(instance, FUEL).0 {
        Slice::Done(code) => code,
        other => panic!("the program did not end by itself: {other:?}"),
    }
}

pub fn trap_of(text: &str) -> Trap {
    match finish(&mut instance(text, WasiSetup::new()), FUEL).0 {
        Slice::Trapped(trap) => trap,
        other => panic!("the program did not trap: {other:?}"),
    }
}

/// Runs until the program is blocked.
pub fn blocked(instance: &mut Instance) -> Arc<Request> {
    loop {
        match instance.run(FUEL) {
            Slice::OutOfFuel => {}
            Slice::Blocked(request) => return request,
            end => panic!("the program was to block: {end:?}"),
        }
    }
}

/// Serves a request on another thread, where it blocks, and returns whether it was answered.
pub fn serve_elsewhere(request: Arc<Request>, wake: &Arc<WakeFd>) -> JoinHandle<bool> {
    let wake = Arc::clone(wake);
    thread::spawn(move || serve(&request, &wake).is_some())
}
