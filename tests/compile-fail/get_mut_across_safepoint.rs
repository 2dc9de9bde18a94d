//! Unique access to a value ends at a safepoint.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let value = object.get_mut(cx);
        cx.safepoint().unwrap();
        *value = 2;
    })
    .unwrap();
}
