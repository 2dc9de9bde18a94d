//! Whichever thread holds the GIL drops the values, so they are Send.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Map,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let owned = cx.alloc_plain(1i64).unwrap();
        let mut map = Map::new();
        let _ = map.insert(cx, 1i64, owned);
    })
    .unwrap();
}
