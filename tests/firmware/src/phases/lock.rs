//! The timer interrupts while the runtime's lock is held.

use core::time::Duration;

use archipelago_kernel::config::InterpreterConfig;

use super::{create, end, port};
use crate::{
    RUNTIME,
    clock::SysTickClock,
    handler::{self, TALLY},
};

/// The handler's call is told to the interpreter although the lock was not free, and runs once.
pub fn interrupted() {
    let (mut a, mut b) = (create(&InterpreterConfig::isolated()), create(&InterpreterConfig::isolated()));
    let armed = a.attach(|cx| cx.set_deadline(Some(Duration::from_micros(100))));
    assert_eq!(armed, Ok(Ok(())));
    let own = RUNTIME.thread_state(a.interpreter()).expect("it runs");
    handler::open([a.interpreter(), b.interpreter()].map(port), own);
    let ticks = TALLY.ticks.get();
    SysTickClock::interrupt_inside_lock();
    let _next = RUNTIME.tick();
    handler::close();
    assert!(TALLY.ticks.get() > ticks, "the timer interrupted");
    // A lock that masks interrupts puts the handler off until it is released.
    assert_eq!(TALLY.inside_lock.take(), u32::from(cfg!(feature = "spin")));
    for (n, state) in [&mut a, &mut b].into_iter().enumerate() {
        // A deadline may have passed meanwhile: it is told after the calls.
        let _interrupt = state.attach(|cx| cx.safepoint()).expect("it runs");
        let (added, ran) = (TALLY.added[n].take(), TALLY.ran[n].take());
        assert!(added > 0);
        assert_eq!(ran, added);
    }
    end(a);
    end(b);
}
