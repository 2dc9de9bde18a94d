//! A look at an object does not live across a release.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let other = object.local(cx).to_owned();
        let local = object.local(cx);
        other.release(cx);
        let _ = local.get();
    })
    .unwrap();
}
