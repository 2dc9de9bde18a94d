//! A thread state is not entered from itself.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        cx.enter(&mut a, |_| ()).unwrap();
    })
    .unwrap();
}
