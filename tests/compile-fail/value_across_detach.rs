//! A reference to a value does not live across a detach.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(core::cell::Cell::new(1i64)).unwrap();
        let value = object.get(cx);
        cx.detach(|| value.set(2));
    })
    .unwrap();
}
