//! Two tokens do not change places.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        cx.enter(&mut b, |cy| core::mem::swap(cx, cy)).unwrap();
    })
    .unwrap();
}
