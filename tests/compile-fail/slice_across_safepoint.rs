//! What is borrowed from a container does not live across a safepoint.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Vec,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let mut vec = Vec::new();
        vec.push(cx, 1i64).unwrap();
        let first = vec.get_mut(cx, 0).unwrap();
        cx.safepoint().unwrap();
        *first = 2;
    })
    .unwrap();
}
