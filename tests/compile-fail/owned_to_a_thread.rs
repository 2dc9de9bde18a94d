//! A counted reference stays on its thread: its count is not atomic.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        std::thread::scope(|s| {
            s.spawn(move || drop(object));
        });
    })
    .unwrap();
}
