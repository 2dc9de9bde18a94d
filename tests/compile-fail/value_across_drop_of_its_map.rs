//! What is borrowed from a map does not outlive it.

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
        let value = map.get(cx, &1).unwrap();
        drop(map);
        assert_eq!(*value, 1);
    })
    .unwrap();
}
