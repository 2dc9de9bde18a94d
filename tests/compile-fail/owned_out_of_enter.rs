//! A counted reference does not leave the frame that it was made in.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let _object = cx.enter(&mut b, |cy| cy.alloc_plain(1i64).unwrap());
    })
    .unwrap();
}
