//! The suite on the locks of the `spin` crate.

use archipelago_lock_suite::{AsGil, AsLock, tier};
use archipelago_locks::SpinLock;
use spin::Yield;

/// With more threads than cores the next ticket often belongs to a thread that does not run.
type TicketLock = archipelago_locks::TicketLock<Yield>;

tier!(spin_as_lock: AsLock<SpinLock>; basic);
tier!(spin_as_lock_elsewhere: AsLock<SpinLock>; other_thread);
tier!(spin_as_gil: AsGil<SpinLock>; basic);
tier!(spin_as_gil_elsewhere: AsGil<SpinLock>; other_thread);
tier!(ticket_as_lock: AsLock<TicketLock>; basic);
tier!(ticket_as_lock_elsewhere: AsLock<TicketLock>; other_thread);
tier!(ticket_as_gil: AsGil<TicketLock>; basic);
tier!(ticket_as_gil_elsewhere: AsGil<TicketLock>; other_thread);
tier!(ticket_fair: TicketLock; fair);

static SPIN: SpinLock = SpinLock::new_const();
static TICKET: archipelago_locks::TicketLock = archipelago_locks::TicketLock::new_const();

#[test]
fn statics_are_free() {
    use archipelago_kernel::host::RawLock;
    assert!(SPIN.try_lock().is_some());
    assert!(TICKET.try_lock().is_some());
}
