//! Memory runs out, and nothing else happens.

use archipelago_kernel::{ThreadState, config::InterpreterConfig, error::CreateError, guest::GuestTable};
use archipelago_toy_guest::Toy;

use super::end;
use crate::{RUNTIME, board::Board};

/// The image has room for fewer.
const MOST: usize = 32;

/// Creates interpreters until there is no memory for another: how many there were.
pub fn fill() -> usize {
    let mut states: [Option<ThreadState<'static, Board>>; MOST] = [const { None }; MOST];
    let mut count = 0;
    for place in &mut states {
        match RUNTIME.create(&InterpreterConfig::isolated(), Some(GuestTable::of::<Toy>())) {
            Ok(state) => *place = Some(state),
            Err(error) => {
                assert_eq!(error, CreateError::NoMemory);
                break;
            }
        }
        count += 1;
    }
    assert!(count < MOST, "memory ran out");
    assert_eq!(RUNTIME.count(), Ok(count + 1));
    for state in states.into_iter().flatten() {
        end(state);
    }
    count
}
