//! A thread state is not deleted while it is attached.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        drop(a);
        cx.safepoint().unwrap();
    })
    .unwrap();
}
