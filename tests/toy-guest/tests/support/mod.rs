//! One interpreter of the toy guest on the std host.
#![allow(dead_code)]

use archipelago::{Attached, GuestTable, InterpreterConfig, Runtime};
use archipelago_kernel::guest::{Step, Value};
use archipelago_toy_guest::Toy;

pub fn table() -> Option<&'static GuestTable> {
    Some(GuestTable::of::<Toy>())
}

/// Runs `f` on a token of a new interpreter.
pub fn within<R>(config: &InterpreterConfig, f: impl for<'i> FnOnce(&mut Attached<'i>) -> R) -> R {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(config, table()).unwrap();
    let answer = state.attach(f).unwrap();
    let id = state.interpreter();
    drop(state);
    let ledger = runtime.end(id, None).unwrap();
    assert_eq!((ledger.leaked.mem.bytes, ledger.destructors_skipped), (0, 0));
    answer
}

/// Runs a program in a new interpreter, to its first step.
pub fn exec(program: &str) -> Step {
    within(&InterpreterConfig::isolated(), |cx| cx.exec(program.as_bytes()))
}

pub fn int(value: i64) -> Step {
    Step::Done(Value::Int(value))
}
