//! The token does not leave its frame by a variable.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let mut kept = None;
        cx.enter(&mut b, |cy| kept = Some(cy)).unwrap();
        let _ = kept;
    })
    .unwrap();
}
