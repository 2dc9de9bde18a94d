//! Pending calls in slots of the kernel's, and slots for handlers (SPEC E2, V4).

use archipelago_kernel::{
    Attached,
    config::InterpreterConfig,
    error::{Error, PendingError, SignalError},
    eval::{PendingFailed, SignalHandler},
};

use crate::{H, every_nth, inside, running};

fn nothing(_: &mut Attached<'_, H>, _: usize) -> Result<(), PendingFailed> {
    Ok(())
}

fn no_memory(error: Error) -> bool {
    error == PendingError::NoMemory.into()
}

fn made(rt: &crate::Rt) {
    running(rt);
    drop(rt.create(&InterpreterConfig::isolated(), None).expect("memory"));
}

/// The first call takes a block, the thirty-third another one.
#[test]
fn calls_at_every_allocation() {
    for given in [0, 32] {
        every_nth(
            |rt| {
                made(rt);
                let port = rt.interpreter(rt.head().expect("it was created")).expect("it is there").port();
                (0..given).for_each(|_| assert_eq!(port.expect("it is there").call(nothing, 0), Ok(())));
            },
            |rt, failure| {
                let port = rt.interpreter(rt.head().expect("it was created")).expect("it is there").port();
                failure.arm(rt);
                port.expect("it is there").call(nothing, 0).map_err(Error::from)
            },
            no_memory,
        );
        every_nth(
            made,
            |rt, failure| {
                inside(rt, |cx| {
                    (0..given).for_each(|_| assert_eq!(cx.call_soon(nothing, 0), Ok(())));
                    failure.arm(rt);
                    let added = cx.call_soon(nothing, 0);
                    (0..2).for_each(|_| assert_eq!(cx.safepoint(), Ok(())));
                    added.map_err(Error::from)
                })
            },
            no_memory,
        );
    }
}

#[test]
fn a_call_for_mains_thread_at_every_allocation() {
    every_nth(
        running,
        |rt, failure| {
            failure.arm(rt);
            rt.call_main(nothing, 0).map_err(Error::from)
        },
        no_memory,
    );
}

/// As many as before, wherever it fails.
#[test]
fn slots_for_handlers_at_every_allocation() {
    every_nth(
        made,
        |rt, failure| {
            let interpreter = rt.interpreter(rt.head().expect("it was created")).expect("it is there");
            failure.arm(rt);
            interpreter.reserve_calls(70).map_err(Error::from)
        },
        no_memory,
    );
}

/// The first handler takes the room for all of them.
#[test]
fn a_handler_of_a_signal_at_every_allocation() {
    let quiet = |_: &mut Attached<'_, H>, _: u32, _: usize| Ok(());
    every_nth(
        running,
        |rt, failure| {
            let set =
                |cx: &mut Attached<'_, H>| cx.on_signal(2, Some(SignalHandler { run: quiet, argument: 7 }));
            let state = rt.thread_state(rt.main().expect("it runs"));
            state.expect("memory").attach(|cx| {
                failure.arm(rt);
                set(cx).map(drop).map_err(Error::from)
            })?
        },
        |error| error == SignalError::NoMemory.into(),
    );
}
