//! Ends: they need no memory, but what they are to run does.

use archipelago_kernel::{
    Attached,
    config::InterpreterConfig,
    error::{CreateError, Error},
    interpreter::ExitFailed,
};
use archipelago_model::manual;

use crate::{H, Hungry, every_nth, exhausted, hungry, kinds, running};

#[test]
fn ends_need_no_memory() {
    let rt = manual().runtime;
    let raw = rt.raw().backend().clone();
    let _main = rt.initialize(hungry()).expect("memory");
    let mut states = std::vec::Vec::new();
    for (config, guest) in kinds() {
        let mut state = rt.create(&config, guest).expect("memory");
        let made = state.attach(|cx| {
            for n in 0..20_u64 {
                let object = cx.alloc_plain(n).expect("memory");
                let _name = cx.global(object).ok().expect("memory");
            }
            guest.map(|_| cx.guest::<Hungry>().map(|_| ()))
        });
        assert!(made.expect("nothing is attached").is_none_or(|data| data.is_ok()));
        states.push(state);
    }
    raw.0.set_budget(Some(0));
    assert_eq!(rt.create(&InterpreterConfig::isolated(), None).map(drop), Err(CreateError::NoMemory));
    let mut left = 0;
    for (nth, state) in states.into_iter().enumerate() {
        let id = state.interpreter();
        match nth % 3 {
            // Its own thread state first, or after the end, or the runtime ends it.
            0 => {
                drop(state);
                rt.end(id, None).expect("nobody is inside");
            }
            1 => {
                rt.end(id, None).expect("nobody is inside");
                drop(state);
            }
            _ => {
                drop(state);
                left += 1;
            }
        }
    }
    let ledger = rt.finalize(None).expect("nobody is inside");
    assert_eq!(ledger.left_over, left);
    drop(rt);
    assert_eq!(raw.0.live(), (0, 0));
}

/// SPEC: L13, V4
#[test]
fn a_callback_at_every_allocation() {
    fn nothing(_: &mut Attached<'_, H>, _: usize) -> Result<(), ExitFailed> {
        Ok(())
    }
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        every_nth(
            running,
            |rt, failure| {
                let mut state = rt.create(&config, None).expect("memory");
                let answer = state
                    .attach(|cx| {
                        failure.arm(rt);
                        cx.at_exit(nothing, 0).and_then(|_| cx.on_shutdown(nothing, 0)).map(drop)
                    })
                    .expect("nothing is attached");
                // An end needs no memory.
                assert!(rt.end(state.interpreter(), None).expect("nobody is inside").is_clean());
                answer.map_err(Error::from)
            },
            exhausted,
        );
    }
}
