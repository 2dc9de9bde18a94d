//! A thread state is attached once at a time.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        a.attach(|_| ()).unwrap();
        cx.safepoint().unwrap();
    })
    .unwrap();
}
