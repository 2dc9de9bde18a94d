//! The suite on `lock_api` 0.4, with the mutexes of `parking_lot` 0.12.

use archipelago_lock_suite::{AsGil, AsLock, tier};
use archipelago_locks::FromLockApi04;
use parking_lot_012::{RawFairMutex, RawMutex};

tier!(as_lock: AsLock<FromLockApi04<RawMutex>>; basic);
tier!(as_lock_elsewhere: AsLock<FromLockApi04<RawMutex>>; other_thread);
tier!(as_gil: AsGil<FromLockApi04<RawMutex>>; basic);
tier!(as_gil_elsewhere: AsGil<FromLockApi04<RawMutex>>; other_thread);
tier!(timed: FromLockApi04<RawMutex>; timed);
tier!(fair: FromLockApi04<RawMutex>; fair);
tier!(fair_mutex_as_gil: AsGil<FromLockApi04<RawFairMutex>>; basic);

static STATIC: FromLockApi04<RawMutex> = FromLockApi04::new_const();

#[test]
fn a_static_is_free() {
    use archipelago_kernel::host::RawGil;
    assert!(STATIC.try_lock().is_some());
}
