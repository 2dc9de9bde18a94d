//! What is dropped at the next safepoint, or at the end, borrows nothing from a stack.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Vec,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let local = 1i64;
    a.attach(|cx| {
        let mut vec = Vec::new();
        vec.push(cx, &local).unwrap();
    })
    .unwrap();
}
