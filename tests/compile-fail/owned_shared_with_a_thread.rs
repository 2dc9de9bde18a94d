//! A counted reference is not shared with other threads, not even while detached.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        cx.detach(|| {
            std::thread::scope(|s| {
                s.spawn(|| {
                    let _inside = &object;
                });
            });
        });
    })
    .unwrap();
}
