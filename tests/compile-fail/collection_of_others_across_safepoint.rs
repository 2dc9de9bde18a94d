//! A collection of others is borrowed from the token.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::foreign::InHeap,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let mut map = InHeap::new(cx, |handle| hashbrown::HashMap::new_in(handle)).ok().unwrap();
        let inside = map.get_mut(cx);
        inside.insert(1i64, 1i64);
        cx.safepoint().unwrap();
        inside.insert(2, 2);
    })
    .unwrap();
}
