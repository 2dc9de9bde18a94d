//! What is borrowed from a container does not live across its growth.

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
        let slice = vec.as_slice(cx);
        vec.push(cx, 2).unwrap();
        assert_eq!(slice, [1]);
    })
    .unwrap();
}
