//! Group o: what may be allocated, while somebody else decides how much that is.
#![allow(unsafe_code)]

use core::alloc::Layout;

use archipelago_kernel::memory::{AllocCause, Domain, LimitError, MemoryLimits};
use archipelago_loom_tests::{model, own_gil, second};
use loom::thread;

/// A limit that is lowered by another thread, against an allocation: one of the two is refused, whoever was first.
#[test]
fn change_against_allocation() {
    model("limits::change_against_allocation", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let other = second(&state);
        let layout = Layout::new::<[u8; 200]>();
        // Afterwards there is room that takes no closer look.
        let before = state
            .attach(|cx| {
                let block = cx.allocate(Domain::Mem, layout).unwrap();
                // SAFETY: it is live, and of this layout.
                unsafe { cx.deallocate(Domain::Mem, block, layout) };
                cx.usage().bytes()
            })
            .unwrap();
        let thread = thread::spawn(move || {
            let limits = MemoryLimits::none().with_hard(Some(before + 100));
            other.take().attach(|cx| cx.set_memory_limits(limits)).unwrap()
        });
        let allocated = state.attach(|cx| cx.allocate(Domain::Mem, layout).map(drop)).unwrap();
        let usage = rt.interpreter(state.interpreter()).unwrap().usage().unwrap();
        assert_eq!(usage.bytes(), before + if allocated.is_ok() { 200 } else { 0 }, "also from outside");
        match thread.join().unwrap() {
            Ok(()) => assert_eq!(allocated.map_err(|error| error.cause), Err(AllocCause::HardLimit)),
            Err(error) => assert_eq!((error, allocated.is_ok()), (LimitError::BelowLive, true)),
        }
    });
}

/// Model 12: what is charged in transit can be taken back, whatever else is asked that was never charged.
#[test]
fn transit_against_a_wrong_discharge() {
    model("limits::transit_against_a_wrong_discharge", |rt| {
        rt.transit().charge(10).unwrap();
        let thread = thread::spawn(move || assert!(rt.transit().discharge(20).is_err()));
        assert!(rt.transit().discharge(10).is_ok());
        thread.join().unwrap();
        let usage = rt.transit().usage();
        assert_eq!((usage.bytes, usage.blocks), (0, 0));
    });
}
