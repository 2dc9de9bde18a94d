//! A guest that allocates at start, and whose programs say at once what their first step comes to.

use archipelago_kernel::{
    Attached, Host,
    error::GuestError,
    guest::{Family, Fault, Guest, Plain, Step, Value, Waiting},
    object::Edge,
};

pub(crate) struct Toy;

pub(crate) struct ToyState<'i> {
    /// Keeps an object alive for as long as the interpreter.
    _root: Edge<'i, Plain<u64>>,
}

pub(crate) struct StateFamily;

impl Family for StateFamily {
    type At<'i> = ToyState<'i>;
}

/// What a program's first step comes to.
pub(crate) fn outcome(program: u8) -> Step {
    match program % 4 {
        0 => Step::Done(Value::Int(1)),
        1 => Step::Yielded,
        2 => Step::Waiting(Waiting::Event),
        _ => Step::Failed(Fault::Raised(7)),
    }
}

/// What every further step comes to.
pub(crate) const RESUMED: Step = Step::Done(Value::Int(2));

impl<H: Host> Guest<H> for Toy {
    type State = StateFamily;
    type Thread = Plain<u64>;

    fn start<'i>(cx: &mut Attached<'i, H>) -> Result<ToyState<'i>, GuestError> {
        let root = cx.alloc_plain(0_u64).map_err(|(_, error)| error)?;
        Ok(ToyState { _root: root.into_edge() })
    }

    fn start_thread<'i>(_: &mut Attached<'i, H>) -> Result<u64, GuestError> {
        Ok(0)
    }

    fn exec(_: &mut Attached<'_, H>, source: &[u8]) -> Step {
        outcome(source[0])
    }

    fn resume(_: &mut Attached<'_, H>) -> Step {
        RESUMED
    }
}
