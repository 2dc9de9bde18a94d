//! A reference does not come to lie in another interpreter's container.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Vec,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let edge = cx.alloc_plain(1i64).unwrap().into_edge();
        cx.enter(&mut b, |cy| {
            let mut vec = Vec::new();
            vec.push(cy, edge).is_ok()
        })
        .unwrap();
    })
    .unwrap();
}
