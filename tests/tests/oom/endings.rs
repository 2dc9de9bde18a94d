//! What needs no memory.

use archipelago_kernel::{config::InterpreterConfig, error::CreateError};
use archipelago_model::manual;

use crate::{Hungry, hungry, kinds};

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
