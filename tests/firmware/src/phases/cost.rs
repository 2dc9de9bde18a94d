//! What the hot operations cost, in instructions.

use archipelago_kernel::{config::InterpreterConfig, host::Clock};

use super::{create, end};
use crate::{
    RUNTIME,
    clock::{SysTickClock, nanoseconds},
};

/// The emulator counts so many nanoseconds for each instruction (`-icount shift=6`).
const NS_PER_INSTRUCTION: u64 = 64;
/// Repetitions; all of them fit into a period of the clock.
const TIMES: u64 = 50;

/// Instructions, the loop around them included.
pub struct Cost {
    /// Attaching and detaching.
    pub attach: u64,
    /// A safepoint with nothing to do.
    pub safepoint: u64,
    /// Making an object and giving it up.
    pub object: u64,
    /// Entering another interpreter under the same GIL, and coming back.
    pub enter: u64,
}

/// Averages `f`. A timer interrupt that falls into it is counted too.
fn average(mut f: impl FnMut()) -> u64 {
    let start = SysTickClock.now();
    for _ in 0..TIMES {
        f();
    }
    nanoseconds(start, SysTickClock.now()) / NS_PER_INSTRUCTION / TIMES
}

/// Measures.
pub fn measure() -> Cost {
    let mut own = create(&InterpreterConfig::isolated());
    let mut shared = create(&InterpreterConfig::legacy());
    let mut main = RUNTIME.thread_state(RUNTIME.main().expect("it runs")).expect("it runs");
    let attach = average(|| assert_eq!(own.attach(|_| ()), Ok(())));
    let (safepoint, object) = own
        .attach(|cx| {
            let safepoint = average(|| assert_eq!(cx.safepoint(), Ok(())));
            let object = average(|| match cx.alloc_plain(1u64) {
                Ok(object) => object.release(cx),
                Err(_) => panic!("there is memory"),
            });
            (safepoint, object)
        })
        .expect("it runs");
    let enter =
        main.attach(|cx| average(|| assert_eq!(cx.enter(&mut shared, |_| ()), Ok(())))).expect("it runs");
    end(own);
    end(shared);
    Cost { attach, safepoint, object, enter }
}
