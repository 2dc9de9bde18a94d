//! A collection of others is dropped by a token of its own interpreter.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::foreign::InHeap,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let mut map = InHeap::new(cx, |handle| hashbrown::HashMap::new_in(handle)).ok().unwrap();
        map.get_mut(cx).insert(1i64, 1i64);
        cx.enter(&mut b, |cy| map.release(cy)).unwrap();
    })
    .unwrap();
}
