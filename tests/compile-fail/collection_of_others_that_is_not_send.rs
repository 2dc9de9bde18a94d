//! What is dropped at a safepoint is dropped by whichever thread comes there: a collection in the heap is `Send`.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::foreign::InHeap,
};
use std::rc::Rc;

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let _ = InHeap::new(cx, |_| Rc::new(1i64));
    })
    .unwrap();
}
