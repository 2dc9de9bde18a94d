//! A container does not leave the attach that gave its brand.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Box,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let boxed = a.attach(|cx| Box::new(cx, 1i64).unwrap()).unwrap();
    drop(boxed);
}
