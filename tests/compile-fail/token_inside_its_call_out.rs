//! The token is not used while it is lent.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        cx.call_out(|| cx.alloc_plain(1i64).is_ok());
    })
    .unwrap();
}
