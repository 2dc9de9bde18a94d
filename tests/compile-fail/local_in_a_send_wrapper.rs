//! Pretending that a look at an object may be sent does not carry it into a detach: this scheme does not rest on Send.

use archipelago::{InterpreterConfig, Runtime};

struct Pretend<T>(T);

unsafe impl<T> Send for Pretend<T> {}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let wrapped = Pretend(object.local(cx));
        cx.detach(|| {
            let _inside = &wrapped.0;
        });
    })
    .unwrap();
}
