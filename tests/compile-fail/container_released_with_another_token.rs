//! A container is freed by a token of its own interpreter.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Vec,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let mut vec = Vec::new();
        vec.push(cx, 1i64).unwrap();
        cx.enter(&mut b, |cy| vec.release(cy)).unwrap();
    })
    .unwrap();
}
