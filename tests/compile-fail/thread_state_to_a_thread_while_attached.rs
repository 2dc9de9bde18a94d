//! A thread state is not used by another thread, attached or not.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        cx.safepoint().unwrap();
        std::thread::scope(|s| {
            s.spawn(|| a.attach(|_| ()));
        });
    })
    .unwrap();
}
