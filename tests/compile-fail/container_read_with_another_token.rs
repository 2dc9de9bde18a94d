//! A container is read with a token of its own interpreter.

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::collections::Text,
};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let text = Text::of(cx, "here").unwrap();
        cx.enter(&mut b, |cy| text.as_str(cy).len()).unwrap();
    })
    .unwrap();
}
