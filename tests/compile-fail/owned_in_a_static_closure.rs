//! A counted reference is not captured by what outlives the frame.

use archipelago::{InterpreterConfig, Runtime};

std::thread_local! {
    static KEPT: core::cell::Cell<Option<Box<dyn Fn() -> usize>>> = const { core::cell::Cell::new(None) };
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        let _function: Box<dyn Fn() -> usize> = Box::new(move || {
            let _inside = &object;
            1
        });
        KEPT.set(Some(_function));
    })
    .unwrap();
}
