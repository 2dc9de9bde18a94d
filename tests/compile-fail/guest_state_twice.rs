//! There is one unique access to a guest's state at a time.

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
    type At<'i> = Vec<archipelago::kernel::object::Edge<'i, Plain<i64>>>;
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

fn twice(cx: &mut Attached<'_, StdHost>) {
    let one = cx.guest::<Language>().unwrap();
    let two = cx.guest::<Language>().unwrap();
    core::mem::swap(one.state, two.state);
}

fn main() {
    let _ = twice;
}
