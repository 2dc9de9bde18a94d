//! There is no heap without a token: not from a thread state, an interpreter or the runtime.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::memory::Domain,
};
use std::alloc::Layout;

fn main() {
    let runtime = Runtime::new().unwrap();
    let state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let interpreter = runtime.interpreter(state.interpreter()).unwrap();
    let _ = state.alloc_plain(1i64);
    let _ = state.allocate(Domain::Mem, Layout::new::<u64>());
    let _ = interpreter.allocate(Domain::Object, Layout::new::<u64>());
    let _ = runtime.allocate(Domain::Mem, Layout::new::<u64>());
}
