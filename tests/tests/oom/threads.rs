//! Thread states.

use archipelago_kernel::{
    config::InterpreterConfig,
    error::{AttachError, Error, GuestError, ThreadError},
    memory::AllocCause,
};

use crate::{Hungry, every_nth, hungry, running};

#[test]
fn a_thread_state_at_every_allocation() {
    every_nth(
        running,
        |rt, failure| {
            let main = rt.main().expect("it is running");
            let kept = rt.thread_state(main).expect("memory");
            failure.arm(rt);
            rt.thread_state(main).map(|_| drop(kept)).map_err(Error::from)
        },
        |error| error == ThreadError::NoMemory.into(),
    );
}

#[test]
fn ensure_at_every_allocation() {
    every_nth(
        |rt| {
            running(rt);
            // Not the one that initialization left for the next.
            core::mem::forget(rt.thread_state(rt.main().expect("it is running")).expect("memory"));
        },
        |rt, failure| {
            let main = rt.main().expect("it is running");
            failure.arm(rt);
            rt.ensure(main, |cx| assert_eq!(cx.id(), main)).map_err(Error::from)
        },
        |error| error == AttachError::NoMemory.into(),
    );
}

#[test]
fn the_guests_thread_data_at_every_allocation() {
    every_nth(
        |rt| {
            running(rt);
            drop(rt.create(&InterpreterConfig::isolated(), hungry()).expect("memory"));
        },
        |rt, failure| {
            let id = rt.head().expect("it was created");
            rt.ensure(id, |cx| {
                failure.arm(rt);
                cx.guest::<Hungry>().map(|parts| parts.thread[0] = 1).map_err(Error::from)
            })
            .expect("nothing is attached")
        },
        |error| matches!(error, Error::Guest(GuestError::Alloc(e)) if e.cause == AllocCause::Exhausted),
    );
}
