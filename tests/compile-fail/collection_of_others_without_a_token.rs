//! A collection of others is no smart pointer: without the token there is no way in.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::foreign::InHeap,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let map = InHeap::new(cx, |handle| hashbrown::HashMap::<i64, i64, hashbrown::DefaultHashBuilder, _>::new_in(handle));
        let map = map.ok().unwrap();
        cx.detach(|| map.len());
    })
    .unwrap();
}
