//! A token that was ensured does not outlive the call that it was lent to.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = a.interpreter();
    a.attach(|cx| {
        let mut kept = None;
        cx.call_out(|| runtime.ensure(id, |cy| kept = Some(cy))).unwrap();
        let _ = kept;
    })
    .unwrap();
}
