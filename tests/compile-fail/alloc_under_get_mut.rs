//! Unique access to a value excludes the heap, too: the same token stands for both.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let one = object.get_mut(cx);
        let _other = cx.alloc_plain(2i64);
        *one = 2;
    })
    .unwrap();
}
