//! A look at an object stays on its thread.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let local = object.local(cx);
        std::thread::scope(|s| {
            s.spawn(move || local.get());
        });
    })
    .unwrap();
}
