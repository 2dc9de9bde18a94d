//! The allocator does not leave the attach that gave its brand.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::foreign::InHeap,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut escaped = None;
    a.attach(|cx| drop(InHeap::new(cx, |handle| escaped = Some(handle)))).unwrap();
    drop(escaped);
}
