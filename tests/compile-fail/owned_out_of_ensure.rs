//! A counted reference does not leave the frame that it was made in.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let _object = runtime.ensure(a.interpreter(), |cx| cx.alloc_plain(1i64).unwrap());
    a.attach(|_| ()).unwrap();
}
