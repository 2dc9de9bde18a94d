//! A look at an object is not used while the token is lent.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let local = object.local(cx);
        cx.call_out(|| *local.get());
    })
    .unwrap();
}
