//! No container takes memory without a token.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::{Box, Map, Vec},
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let _ = Box::new(&a, 1i64);
    let _ = Vec::new().push(&runtime, 1i64);
    let _ = Map::new().insert(&runtime.interpreter(a.interpreter()).unwrap(), 1i64, 1i64);
    a.attach(|_| ()).unwrap();
}
