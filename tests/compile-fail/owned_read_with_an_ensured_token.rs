//! A second token of the same interpreter has another brand: what the outer one may have borrowed stays alone.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = a.interpreter();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        cx.call_out(|| runtime.ensure(id, |cy| *object.get(cy))).unwrap();
    })
    .unwrap();
}
