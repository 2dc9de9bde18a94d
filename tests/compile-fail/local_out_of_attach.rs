//! A look at an object does not leave the attach.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let name = a
        .attach(|cx| {
            let object = cx.alloc_plain(1i64).unwrap();
            cx.global(object).ok().unwrap()
        })
        .unwrap();
    let _local = a.attach(|cx| cx.local(&name).unwrap());
}
