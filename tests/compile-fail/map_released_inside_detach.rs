//! Inside a detach there is no token to drop a map and its entries with.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Map,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let mut map = Map::new();
        map.insert(cx, 1i64, 1i64).unwrap();
        cx.detach(|| map.release(cx));
    })
    .unwrap();
}
