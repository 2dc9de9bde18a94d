//! The token stays on its thread, also while nobody else uses it.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        std::thread::scope(|s| {
            s.spawn(move || {
                let _ = cx.safepoint();
            });
        });
    })
    .unwrap();
}
