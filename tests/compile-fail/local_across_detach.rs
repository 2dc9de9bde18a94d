//! A look at an object does not live across a detach: another thread may run the interpreter meanwhile.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let local = object.local(cx);
        cx.detach(|| ());
        let _ = local.get();
    })
    .unwrap();
}
