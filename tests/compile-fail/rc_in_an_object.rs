//! What lies in the heap may be dropped by other threads, so it is Send.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let _object = cx.alloc_plain(std::rc::Rc::new(1));
    })
    .unwrap();
}
