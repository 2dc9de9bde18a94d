//! The suite on critical sections; the implementation linked here is `critical-section`'s own for std.
#![allow(unsafe_code)]

use std::thread;

use archipelago_kernel::host::{RawGil, RawLock};
use archipelago_lock_suite::{AsGil, AsLock, tier};
use archipelago_locks::{CsGil, CsLock, Relax};

/// With more threads than cores the next ticket often belongs to a thread that does not run.
struct Yields;

impl Relax for Yields {
    fn relax() {
        thread::yield_now();
    }
}

type CsTicketGil = archipelago_locks::CsTicketGil<Yields>;

// `CsLock` has no tier `other_thread`: there the other thread waits for the section.
tier!(as_lock: AsLock<CsLock>; basic);
tier!(as_gil: AsGil<CsGil>; basic);
tier!(as_gil_elsewhere: AsGil<CsGil>; other_thread);
tier!(ticket_as_gil: AsGil<CsTicketGil>; basic);
tier!(ticket_as_gil_elsewhere: AsGil<CsTicketGil>; other_thread);
tier!(ticket_fair: CsTicketGil; fair);

static LOCK: CsLock = CsLock::new_const();
static GIL: CsGil = CsGil::new_const();
static TICKETS: archipelago_locks::CsTicketGil = archipelago_locks::CsTicketGil::new_const();

#[test]
fn statics_are_free() {
    let held = LOCK.try_lock().expect("a static is free");
    // SAFETY: acquired above.
    unsafe { LOCK.unlock(held) };
    assert!(GIL.try_lock().is_some());
    assert!(TICKETS.try_lock().is_some());
}

#[test]
fn tickets_wrap() {
    let gil = CsTicketGil::new();
    for _ in 0..(1 << 16) + 2 {
        gil.lock();
        assert!(gil.try_lock().is_none());
        // SAFETY: acquired above.
        unsafe { gil.unlock(()) };
    }
    assert!(gil.try_lock().is_some());
}

#[test]
fn others_may_enter_a_section_while_the_gil_is_held() {
    let gil = CsGil::new();
    gil.lock();
    thread::scope(|scope| {
        let entered = scope.spawn(|| critical_section::with(|_| true)).join().unwrap();
        assert!(entered, "holding the GIL masks nothing");
    });
    // SAFETY: acquired above.
    unsafe { gil.unlock(()) };
}

#[test]
fn a_lock_inside_a_gil_inside_a_section() {
    let (outer, gil, inner) = (CsLock::new(), CsGil::new(), CsLock::new());
    let outer_held = outer.lock();
    gil.lock();
    let inner_held = inner.lock();
    assert!(outer.try_lock().is_none() && gil.try_lock().is_none() && inner.try_lock().is_none());
    // SAFETY: acquired above, released last in first out.
    unsafe {
        inner.unlock(inner_held);
        gil.unlock(());
        outer.unlock(outer_held);
    }
    // All sections are left: another thread can enter one.
    thread::scope(|scope| {
        assert!(scope.spawn(|| critical_section::with(|_| true)).join().unwrap());
    });
}
