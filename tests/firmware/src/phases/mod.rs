//! What the image does, phase by phase. Each asserts exact numbers and answers figures to be printed.

pub mod cost;
pub mod deadline;
pub mod event;
pub mod exhaustion;
pub mod lock;
pub mod round;
pub mod turns;

use archipelago_kernel::{
    InterpreterId, ThreadState, config::InterpreterConfig, guest::GuestTable, interpreter::Port,
};
use archipelago_toy_guest::{Code, Toy};

use crate::{RUNTIME, board::Board};

/// Assembles a program when the image is compiled.
pub const fn assembled(text: &str) -> Code {
    match Code::assemble(text) {
        Ok(code) => code,
        Err(_) => panic!("the program does not assemble"),
    }
}

/// A new interpreter of the toy guest.
pub fn create(config: &InterpreterConfig) -> ThreadState<'static, Board> {
    match RUNTIME.create(config, Some(GuestTable::of::<Toy>())) {
        Ok(state) => state,
        Err(error) => panic!("{error}"),
    }
}

/// The way in for pending calls.
pub fn port(id: InterpreterId) -> Port<'static, Board> {
    RUNTIME.interpreter(id).and_then(|handle| handle.port()).expect("it was created")
}

/// Ends it; it must have given everything back.
pub fn end(state: ThreadState<'static, Board>) {
    let id = state.interpreter();
    drop(state);
    let ledger = RUNTIME.end(id, None).expect("nobody is in it");
    assert!(ledger.is_clean(), "it left something behind");
}
