//! A borrow through the token does not leave the attach.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let _value = a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        object.get(cx)
    });
}
