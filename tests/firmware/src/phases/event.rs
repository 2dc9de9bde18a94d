//! An interpreter that waits for an interrupt, while the core sleeps.

use archipelago_kernel::{
    config::InterpreterConfig,
    guest::{Step, Value, Waiting},
};
use archipelago_toy_guest::{Code, Toy};

use super::{assembled, create, end, port};
use crate::{
    RUNTIME,
    handler::{self, CALLS, TALLY},
};

static WAITS: Code = assembled("wait; load 7; halt");

/// The program waits for an event; a call from the handler is the event; the program goes on.
pub fn wakes() {
    let mut state = create(&InterpreterConfig::isolated());
    let mut other = create(&InterpreterConfig::isolated());
    assert_eq!(state.attach(|cx| cx.exec(WAITS.bytes())), Ok(Step::Waiting(Waiting::Event)));
    let own = RUNTIME.thread_state(other.interpreter()).expect("it runs");
    handler::open([state.interpreter(), other.interpreter()].map(port), own);
    while TALLY.added[0].get() == 0 {
        cortex_m::asm::wfi();
    }
    handler::close();
    for state in [&mut state, &mut other] {
        assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Ok(())));
    }
    let calls = state.attach(|cx| cx.guest_state::<Toy>().map(|guest| guest.global(CALLS)));
    assert_eq!(calls, Ok(Ok(Some(1))));
    assert_eq!(state.attach(|cx| cx.resume()), Ok(Step::Done(Value::Int(1))));
    for n in 0..handler::PORTS {
        assert_eq!(TALLY.added[n].take(), TALLY.ran[n].take());
    }
    end(state);
    end(other);
}
