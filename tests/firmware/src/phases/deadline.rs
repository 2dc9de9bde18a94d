//! A deadline, on a clock that wraps every five milliseconds.

use core::{num::NonZeroU32, time::Duration};

use archipelago_kernel::{
    config::InterpreterConfig,
    error::{DeadlineError, Interrupt},
    guest::{Fault, Step},
    host::Clock,
};
use archipelago_toy_guest::{Code, Toy};

use super::{assembled, create, end};
use crate::{RUNTIME, clock::SysTickClock};

static FOREVER: Code = assembled("loop: jump loop");

/// An endless program is stopped after two milliseconds; how many slices it had.
pub fn interrupts() -> u32 {
    let mut state = create(&InterpreterConfig::isolated());
    let mut slices = 0;
    let within = Duration::from_millis(2);
    let mut step = state.attach(|cx| {
        assert_eq!(cx.set_deadline(Some(SysTickClock::MAX * 2)), Err(DeadlineError::TooLong));
        assert_eq!(cx.set_deadline(Some(within)), Ok(()));
        cx.guest::<Toy>().expect("it runs the toy guest").state.slice = NonZeroU32::new(20);
        cx.exec(FOREVER.bytes())
    });
    while step == Ok(Step::Yielded) {
        slices += 1;
        // At the end of each slice, so never later than half a period after the deadline.
        let next = RUNTIME.tick();
        assert!(next.is_none_or(|next| next <= within));
        step = state.attach(|cx| cx.resume());
    }
    assert_eq!(step, Ok(Step::Failed(Fault::Interrupted(Interrupt::Deadline))));
    end(state);
    slices
}
