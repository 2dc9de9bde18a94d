//! A counted reference is not kept in a static.

use archipelago::{InterpreterConfig, Runtime};
use archipelago::kernel::{guest::Plain, object::Owned};

std::thread_local! {
    static KEPT: core::cell::RefCell<Option<Owned<'static, Plain<i64>>>> = const { core::cell::RefCell::new(None) };
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let object = cx.alloc_plain(1i64).unwrap();
        KEPT.with_borrow_mut(|kept| *kept = Some(object));
    })
    .unwrap();
}
