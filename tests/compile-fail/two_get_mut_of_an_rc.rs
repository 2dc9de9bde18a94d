//! Unique access to a shared value excludes every other.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Rc,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let first = Rc::new(cx, 1i64).unwrap();
        let second = first.share(cx);
        let one = first.get_mut(cx);
        let two = second.get_mut(cx);
        core::mem::swap(one, two);
    })
    .unwrap();
}
