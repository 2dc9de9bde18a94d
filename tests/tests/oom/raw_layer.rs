//! The raw layer: what asks for memory, and what never does.
// SAFETY of every call here, [R1] of the layer: raw states are used on this thread only, and attaches close in order.
#![allow(clippy::undocumented_unsafe_blocks)]

use archipelago_kernel::{
    config::InterpreterConfig,
    error::{AttachError, CreateError, Error, ThreadError},
    interpreter::Whence,
    raw,
};

use archipelago_tests::support::scaled;

use crate::{H, Rt, every_nth, hungry, kinds, no_memory, running};

#[test]
fn raw_create_at_every_allocation_leaves_the_caller_attached() {
    for (config, guest) in kinds() {
        every_nth(
            running,
            |rt, failure| {
                let main = rt.main().expect("it is running");
                unsafe {
                    let caller = raw::thread_new(rt, main).expect("memory");
                    raw::attach(rt, caller).expect("nothing is attached");
                    failure.arm(rt);
                    let made = raw::new_interpreter_from_config(rt, &config, guest);
                    if made.is_err() {
                        assert_eq!(raw::current(rt), Some(caller), "attached exactly as before");
                        assert_eq!(raw::with_token(rt, |cx| cx.id()), Ok(main));
                    }
                    raw::detach(rt).expect("one is attached");
                    raw::attach(rt, caller).expect("it is alive");
                    raw::thread_clear(rt, caller).expect("it is attached");
                    raw::thread_delete_current(rt).expect("it is cleared");
                    made.map(|_| ())
                }
            },
            no_memory,
        );
    }
}

#[test]
fn raw_ensure_at_every_allocation_leaves_the_caller_attached() {
    every_nth(
        running,
        |rt, failure| unsafe {
            let caller = raw::thread_new(rt, rt.main().expect("it is running")).expect("memory");
            // Its thread state stays, so that no slot is free.
            let state = rt.create(&InterpreterConfig::isolated(), None).expect("memory");
            let made = state.interpreter();
            raw::attach(rt, caller).expect("nothing is attached");
            let view = rt.interpreter(made).and_then(|it| it.view()).expect("it was created");
            failure.arm(rt);
            let ensured = raw::ensure_from_view(rt, &view);
            match &ensured {
                Ok(ensured) => raw::release(rt, *ensured).expect("it is the last one"),
                Err(_) => assert_eq!(rt.interpreter(made).and_then(|it| it.threads()), Ok(1)),
            }
            assert_eq!(raw::current(rt), Some(caller), "attached as before");
            raw::thread_clear(rt, caller).expect("it is attached");
            raw::thread_delete_current(rt).expect("it is cleared");
            drop(state);
            rt.end(made, None).expect("nobody is inside");
            Ok(ensured.map(drop)?)
        },
        |error| matches!(error, Error::Attach(AttachError::NoMemory)),
    );
}

#[test]
fn an_interpreter_without_thread_states_at_every_allocation() {
    let all = [(hungry(), true), (None, false), (hungry(), false), (None, true)];
    for (guest, attached) in all.into_iter().take(scaled(4, 2)) {
        every_nth(
            running,
            |rt, failure| unsafe {
                let caller = raw::thread_new(rt, rt.main().expect("it is running")).expect("memory");
                if attached {
                    raw::attach(rt, caller).expect("nothing is attached");
                }
                failure.arm(rt);
                let made = raw::interpreter_new(rt, guest);
                assert_eq!(raw::current(rt), attached.then_some(caller), "as before");
                if let Ok(id) = made {
                    let new = rt.interpreter(id).expect("it was created");
                    assert_eq!((new.threads(), new.whence()), (Ok(0), Ok(Whence::Unknown)));
                }
                if !attached {
                    raw::attach(rt, caller).expect("nothing is attached");
                }
                raw::thread_clear(rt, caller).expect("it is attached");
                raw::thread_delete_current(rt).expect("it is cleared");
                made.map(drop).map_err(Into::into)
            },
            no_memory,
        );
    }
}

#[test]
fn a_raw_thread_state_at_every_allocation() {
    every_nth(
        running,
        |rt, failure| unsafe {
            let main = rt.main().expect("it is running");
            let kept = raw::thread_new(rt, main).expect("memory");
            raw::attach(rt, kept).expect("nothing is attached");
            failure.arm(rt);
            let made = raw::thread_new(rt, main);
            assert_eq!(raw::current(rt), Some(kept));
            if let Ok(made) = made {
                raw::swap(rt, Some(made)).expect("both are alive");
                raw::swap(rt, Some(kept)).expect("both are alive");
                raw::thread_clear(rt, made).expect("it is alive");
                raw::thread_delete(rt, made).expect("it is cleared");
            }
            raw::thread_clear(rt, kept).expect("it is attached");
            raw::thread_delete_current(rt).expect("it is cleared");
            made.map(drop).map_err(Into::into)
        },
        |error| error == ThreadError::NoMemory.into(),
    );
}

/// Swaps between all kinds of interpreters, and every end of what there is.
#[test]
fn nothing_else_needs_memory() {
    let rt: Rt = archipelago_model::manual().runtime;
    let backend = rt.raw().backend().clone();
    running(&rt);
    let mut ids = vec![rt.main().expect("it is running")];
    ids.extend(
        kinds().into_iter().map(|(config, guest)| rt.create(&config, guest).expect("memory").interpreter()),
    );
    unsafe {
        let bare = raw::interpreter_new(&rt, None).expect("memory");
        let states: Vec<_> =
            ids.iter().chain([&bare]).map(|id| raw::thread_new(&rt, *id).expect("memory")).collect();
        backend.0.set_budget(Some(0));
        let refused = rt.create(&InterpreterConfig::isolated(), None).map(drop);
        assert_eq!(refused, Err(CreateError::NoMemory), "there is none");
        raw::attach(&rt, states[0]).expect("nothing is attached");
        let mut before = states[0];
        for state in states.iter().rev().chain(&states).copied() {
            assert_eq!(raw::swap(&rt, Some(state)), Ok(Some(before)));
            assert_eq!(raw::with_token(&rt, |cx| cx.detach(|| attached(&rt))), Ok(None));
            before = state;
        }
        assert_eq!(raw::swap(&rt, None), Ok(Some(before)));
        // Each in its own way: the last one by its parts, one by its thread state, the others by the runtime.
        let cleared = *states.last().expect("there are some");
        raw::attach(&rt, cleared).expect("nothing is attached");
        raw::interpreter_clear(&rt, cleared, None).expect("nobody else is inside");
        raw::detach(&rt).expect("it stayed attached");
        raw::interpreter_delete(&rt, bare).expect("it is cleared");
        raw::attach(&rt, states[1]).expect("nothing is attached");
        raw::end_interpreter(&rt, states[1], None).expect("nobody else is inside");
        raw::attach(&rt, states[0]).expect("nothing is attached");
        raw::thread_clear(&rt, states[0]).expect("it is attached");
        raw::thread_delete_current(&rt).expect("it is cleared");
    }
    assert_eq!(rt.finalize(None).expect("nobody is inside").left_over, ids.len() - 2);
    drop(rt);
    assert_eq!(backend.0.live(), (0, 0));
}

/// What is attached inside a `detach`.
fn attached(rt: &Rt) -> Option<raw::RawThreadState<H>> {
    unsafe { raw::current(rt) }
}
