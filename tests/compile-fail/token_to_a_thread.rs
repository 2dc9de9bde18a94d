//! The token stays on its thread.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        std::thread::scope(|s| {
            s.spawn(|| cx.id());
        });
    })
    .unwrap();
}
