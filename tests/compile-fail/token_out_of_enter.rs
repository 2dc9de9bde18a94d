//! The token does not leave its frame by value.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let _token = cx.enter(&mut b, |cy| cy);
    })
    .unwrap();
}
