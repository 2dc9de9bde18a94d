//! No shared access beside a unique one.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let other = object.local(cx).to_owned();
        let one = object.get_mut(cx);
        *one = *other.get(cx);
    })
    .unwrap();
}
