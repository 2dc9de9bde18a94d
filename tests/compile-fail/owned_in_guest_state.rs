//! A guest does not keep counted references of a thread in its state. Edge is for that.

use archipelago::{
    StdHost,
    kernel::{
        Attached,
        error::GuestError,
        guest::{Family, Guest, Plain, Step, Value},
    },
};

struct StateFamily;

impl Family for StateFamily {
    type At<'i> = Option<archipelago::kernel::object::Owned<'i, Plain<i64>>>;
}

struct Language;

impl Guest<StdHost> for Language {
    type State = StateFamily;
    type Thread = Plain<()>;

    fn start<'i>(_: &mut Attached<'i, StdHost>) -> Result<<StateFamily as Family>::At<'i>, GuestError> {
        Err(GuestError::StartFailed)
    }

    fn start_thread<'i>(_: &mut Attached<'i, StdHost>) -> Result<(), GuestError> {
        Ok(())
    }

    fn exec(_: &mut Attached<'_, StdHost>, _: &[u8]) -> Step {
        Step::Done(Value::None)
    }

    fn resume(_: &mut Attached<'_, StdHost>) -> Step {
        Step::Done(Value::None)
    }
}

fn main() {}
