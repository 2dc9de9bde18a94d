//! The token is unique: it cannot be copied.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let _second = Clone::clone(&*cx);
    })
    .unwrap();
}
