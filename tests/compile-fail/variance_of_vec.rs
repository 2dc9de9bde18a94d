//! A vec does not change the lifetime of what is in it.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Vec,
};

fn shorter<'i, 'x>(vec: Vec<'i, &'static str>, _: &'x str) -> Vec<'i, &'x str> {
    vec
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|_| ()).unwrap();
}
