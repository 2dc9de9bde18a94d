//! A runtime is a constant, and its thread states then live as long as the program.

use archipelago::{
    InterpreterConfig, StdHost,
    kernel::{Runtime, ThreadState},
};
use archipelago_alloc_system::SystemRaw;
use archipelago_locks::FromLockApi05;

static RUNTIME: Runtime<StdHost> = Runtime::new(StdHost::new(), SystemRaw, FromLockApi05::new_const());

fn main() {
    let main = RUNTIME.initialize(None).unwrap().main();
    let mut state: ThreadState<'static, StdHost> =
        RUNTIME.create(&InterpreterConfig::isolated(), None).unwrap();
    assert_eq!(state.attach(|cx| cx.id().number()).unwrap(), main.number() + 1);
    drop(state);
    RUNTIME.finalize(None).unwrap();
}
