//! A counted reference does not lie in the heap: other threads may drop what lies there. Edge is for that.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let _outer = cx.alloc_plain(object);
    })
    .unwrap();
}
