//! A thread state stays on its thread.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    std::thread::scope(|s| {
        s.spawn(move || a.attach(|_| ()));
    });
}
