//! A reference to a value is not kept in a static.

use archipelago::{InterpreterConfig, Runtime};

std::thread_local! {
    static KEPT: core::cell::Cell<Option<&'static i64>> = const { core::cell::Cell::new(None) };
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        KEPT.set(Some(object.get(cx)));
    })
    .unwrap();
}
