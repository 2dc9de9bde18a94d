//! Inside a detach there is no token to drop a collection of others with.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::foreign::InHeap,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let mut map = InHeap::new(cx, |handle| hashbrown::HashMap::new_in(handle)).ok().unwrap();
        map.get_mut(cx).insert(1i64, 1i64);
        cx.detach(|| map.release(cx));
    })
    .unwrap();
}
