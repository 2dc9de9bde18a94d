//! An object is not looked at without the token.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let _ = *object;
        let _ = object.get();
    })
    .unwrap();
}
