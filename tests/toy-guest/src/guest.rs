//! The machine as a guest.

use archipelago_kernel::{
    error::GuestError,
    guest::{Fault, Guest, Plain, Step, Value},
    host::Host,
    object::Owned,
    thread::Attached,
};

use crate::{Code, Exception, State, Thread, run, state::ToyState, thread::ToyThread};

/// The toy language.
pub struct Toy;

impl<H: Host> Guest<H> for Toy {
    type State = ToyState;
    type Thread = ToyThread;

    fn start<'i>(_: &mut Attached<'i, H>) -> Result<State<'i>, GuestError> {
        Ok(State::default())
    }

    fn start_thread<'i>(_: &mut Attached<'i, H>) -> Result<Thread<'i>, GuestError> {
        Ok(Thread::default())
    }

    fn exec(cx: &mut Attached<'_, H>, source: &[u8]) -> Step {
        load(cx, source).and_then(|()| begin(cx, None, &[])).unwrap_or_else(Step::Failed)
    }

    fn call(cx: &mut Attached<'_, H>, name: &str, arguments: &[Value]) -> Step {
        begin(cx, Some(name), arguments).unwrap_or_else(Step::Failed)
    }

    fn resume(cx: &mut Attached<'_, H>) -> Step {
        match cx.guest::<Toy>() {
            Ok(parts) if parts.thread.program.is_some() => {
                let throwing = parts.thread.exception.is_some();
                cx.eval_frame(throwing)
            }
            Ok(_) => Step::Failed(Fault::Refused(GuestError::NotRunning)),
            Err(error) => Step::Failed(error.into()),
        }
    }

    fn eval(cx: &mut Attached<'_, H>, throwing: bool) -> Step {
        run::run(cx, throwing)
    }
}

fn raised(exception: Exception) -> Fault {
    Fault::Raised(exception.into())
}

/// Takes a program up: text, if the crate can assemble it, or compiled.
fn compile(source: &[u8]) -> Result<Code, Exception> {
    #[cfg(feature = "text")]
    if source.first() != Some(&crate::code::MAGIC) {
        return Code::assemble_bytes(source).map_err(|_| Exception::Syntax);
    }
    Code::from_bytes(source)
}

/// Makes `source` the program of the main namespace.
fn load<H: Host>(cx: &mut Attached<'_, H>, source: &[u8]) -> Result<(), Fault> {
    let code = compile(source).map_err(raised)?;
    let code = cx.alloc_plain(code).map_err(|(_, error)| error)?;
    let replaced = cx.guest::<Toy>()?.state.program.replace(code.into_edge());
    drop(replaced);
    cx.settle();
    Ok(())
}

/// Begins a run of the main namespace's program: at its first instruction, or in a function.
fn begin<H: Host>(
    cx: &mut Attached<'_, H>,
    function: Option<&str>,
    arguments: &[Value],
) -> Result<Step, Fault> {
    let state = cx.guest_state::<Toy>()?;
    let program = state.program.as_ref().ok_or_else(|| raised(Exception::Name))?;
    let program: Owned<'_, Plain<Code>> = program.local(cx).to_owned();
    let at = match function {
        Some(name) => program.get(cx).function(name).ok_or_else(|| raised(Exception::Name))?,
        None => 0,
    };
    let mut thread = Thread::default();
    thread.at = at;
    for argument in arguments {
        let value = match *argument {
            Value::Int(value) => value,
            Value::Bool(value) => value.into(),
            _ => return Err(Fault::Refused(GuestError::Unsupported)),
        };
        thread.push(value).map_err(raised)?;
    }
    thread.program = Some(program.into_edge());
    *cx.guest::<Toy>()?.thread = thread;
    Ok(cx.eval_frame(false))
}
