//! A map and its entries are dropped by a token of their own interpreter.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Map,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let mut map = Map::new();
        map.insert(cx, 1i64, 1i64).unwrap();
        cx.enter(&mut b, |cy| map.release(cy)).unwrap();
    })
    .unwrap();
}
