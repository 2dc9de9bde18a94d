//! Inside a detach there is no token to free a container with.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Box,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let boxed = Box::new(cx, 1i64).unwrap();
        cx.detach(|| boxed.release(cx));
    })
    .unwrap();
}
