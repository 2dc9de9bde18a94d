//! A look at an object does not live across a wait.

use archipelago::{InterpreterConfig, Runtime};

struct Nothing;

impl archipelago::kernel::host::Wake for Nothing {
    fn wake(&self) {}
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let local = object.local(cx);
        cx.wait(&Nothing, || ()).unwrap();
        let _ = local.get();
    })
    .unwrap();
}
