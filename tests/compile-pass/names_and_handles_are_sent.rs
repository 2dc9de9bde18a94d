//! Names, handles and ports are sent; what they lead to is found by a token.

use archipelago::{
    InterpreterConfig, Runtime, StdHost,
    kernel::{Interpreter, InterpreterId, guest::Plain, interpreter::Port, object::Global},
};

fn sendable<T: Send + Sync + Copy>() {}

fn main() {
    sendable::<InterpreterId>();
    sendable::<Interpreter<'static, StdHost>>();
    sendable::<Port<'static, StdHost>>();
    sendable::<Global<Plain<String>>>();
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let name = state
        .attach(|cx| {
            let object = cx.alloc_plain(String::from("sent")).unwrap();
            cx.global(object).ok().unwrap()
        })
        .unwrap();
    let worker = runtime.spawn(id, move |cx| cx.local(&name).unwrap().get().clone()).unwrap();
    assert_eq!(worker.join().unwrap(), "sent");
}
