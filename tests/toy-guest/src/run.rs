//! The evaluation loop.

use core::{mem, num::NonZeroU32, time::Duration};

use archipelago_kernel::{
    error::GuestError,
    guest::{Fault, Plain, Step, Value, Waiting},
    host::Host,
    object::Owned,
    thread::Attached,
};

use crate::{
    Code, Exception, Node, Op, Thread, Toy, arithmetic::combine, code::Instruction, node::NodeFamily,
};

/// Why the loop does not simply go on with the next instruction.
enum Turn {
    /// A safepoint is due.
    Safepoint,
    Raise(u32),
    Leave(Step),
}

impl From<Exception> for Turn {
    fn from(exception: Exception) -> Self {
        Turn::Raise(exception.into())
    }
}

impl From<GuestError> for Turn {
    fn from(error: GuestError) -> Self {
        Turn::Leave(Step::Failed(error.into()))
    }
}

/// Goes on with the run of this thread state. `throwing`: its exception is raised first.
///
/// The loop owns the continuation while it runs, because the token lends a guest's data only as long as nothing
/// else is asked of it; a pending call that looks meanwhile finds an empty one.
pub(crate) fn run<'i, H: Host>(cx: &mut Attached<'i, H>, throwing: bool) -> Step {
    let (mut thread, slice) = match cx.guest::<Toy>() {
        Ok(parts) => (mem::take(parts.thread), parts.state.slice),
        Err(error) => return Step::Failed(error.into()),
    };
    let Some(program) = &thread.program else {
        return Step::Failed(Fault::Refused(GuestError::NotRunning));
    };
    let program: Owned<'i, Plain<Code>> = program.local(cx).to_owned();
    let mut executed = 0;
    let step = match thread.exception.take().filter(|_| throwing) {
        Some(exception) if !thread.raise(exception) => Step::Failed(Fault::Raised(exception)),
        _ => run_slice(cx, &program, &mut thread, slice, &mut executed),
    };
    if step.is_over() {
        thread.program = None;
    }
    match cx.guest::<Toy>() {
        Ok(parts) => {
            parts.state.executed += executed;
            *parts.thread = thread;
            step
        }
        Err(error) => Step::Failed(error.into()),
    }
}

/// Runs until something is to be answered, at most `slice` instructions.
fn run_slice<'i, H: Host>(
    cx: &mut Attached<'i, H>,
    program: &Owned<'i, Plain<Code>>,
    thread: &mut Thread<'i>,
    slice: Option<NonZeroU32>,
    executed: &mut u64,
) -> Step {
    loop {
        if slice.is_some_and(|slice| *executed >= slice.get().into()) {
            return Step::Yielded;
        }
        if let Err(interrupt) = cx.spend(1) {
            return Step::Failed(interrupt.into());
        }
        *executed += 1;
        let instruction = program.get(cx).instruction(thread.at);
        let done = instruction.map_err(Turn::from).and_then(|instruction| {
            let from = mem::replace(&mut thread.at, instruction.next);
            perform(cx, thread, from, instruction)
        });
        match done {
            Ok(()) => {}
            Err(Turn::Safepoint) => {
                if let Err(interrupt) = cx.safepoint() {
                    return Step::Failed(interrupt.into());
                }
            }
            Err(Turn::Raise(exception)) if thread.raise(exception) => {}
            Err(Turn::Raise(exception)) => return Step::Failed(Fault::Raised(exception)),
            Err(Turn::Leave(step)) => return step,
        }
    }
}

/// What the run answers with when it is over.
fn result(thread: &Thread<'_>) -> Turn {
    Turn::Leave(Step::Done(thread.top().map_or(Value::None, Value::Int)))
}

/// Performs the instruction that stands at `from`; `thread.at` is behind it already.
fn perform<H: Host>(
    cx: &mut Attached<'_, H>,
    thread: &mut Thread<'_>,
    from: u16,
    Instruction { op, operand, next }: Instruction,
) -> Result<(), Turn> {
    let target = operand as u16;
    match op {
        Op::Push => thread.push(operand.into())?,
        Op::Pop => drop(thread.pop()?),
        Op::Dup => thread.push(thread.top().ok_or(Exception::Stack)?)?,
        Op::Swap => {
            let (b, a) = (thread.pop()?, thread.pop()?);
            thread.push(b)?;
            thread.push(a)?;
        }
        Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem | Op::Eq | Op::Lt => {
            let (b, a) = (thread.pop()?, thread.pop()?);
            thread.push(combine(op, a, b)?)?;
        }
        Op::Load => {
            let state = cx.guest_state::<Toy>()?;
            thread.push(state.global(operand as u8).ok_or(Exception::Syntax)?)?;
        }
        Op::Store => {
            let value = thread.pop()?;
            *cx.guest::<Toy>()?.state.global_mut(operand as u8).ok_or(Exception::Syntax)? = value;
        }
        Op::Jump => return jump(thread, from, target),
        Op::Jz if thread.pop()? == 0 => return jump(thread, from, target),
        Op::Jz => {}
        Op::Call => {
            thread.enter(target, next)?;
            return Err(Turn::Safepoint);
        }
        Op::Ret if thread.leave() => {}
        Op::Ret | Op::Halt => return Err(result(thread)),
        Op::Try => thread.set_handler(Some(target)),
        Op::Untry => thread.set_handler(None),
        Op::Raise => return Err(Turn::Raise(thread.pop()? as u32)),
        Op::New => keep(cx, thread.pop()?)?,
        Op::Peek => {
            let kept = cx.guest_state::<Toy>()?.kept.as_ref().ok_or(Exception::Empty)?;
            thread.push(kept.get(cx).value)?;
        }
        Op::Free => give_up(cx)?,
        Op::Yield => return Err(Turn::Leave(Step::Yielded)),
        Op::Sleep => {
            let time = Duration::from_millis(u64::try_from(thread.pop()?).unwrap_or(0));
            return Err(Turn::Leave(Step::Waiting(Waiting::For(time))));
        }
        Op::Wait => return Err(Turn::Leave(Step::Waiting(Waiting::Event))),
    }
    Ok(())
}

/// Goes to `target`. A loop has to pass a safepoint, so a jump backward is one.
fn jump(thread: &mut Thread<'_>, from: u16, target: u16) -> Result<(), Turn> {
    thread.at = target;
    if target <= from { Err(Turn::Safepoint) } else { Ok(()) }
}

/// Makes an object of `value` and puts it before the one that was kept last.
fn keep<H: Host>(cx: &mut Attached<'_, H>, value: i64) -> Result<(), Turn> {
    let next = cx.guest::<Toy>()?.state.kept.take();
    let made = cx.alloc::<NodeFamily>(Node { value, next });
    let state = cx.guest::<Toy>()?.state;
    match made {
        Ok(node) => {
            state.kept = Some(node.into_edge());
            state.objects += 1;
            Ok(())
        }
        Err((node, error)) => {
            state.kept = node.next;
            Err(Turn::Leave(Step::Failed(error.into())))
        }
    }
}

/// Takes the object that was kept last out of the list.
fn give_up<H: Host>(cx: &mut Attached<'_, H>) -> Result<(), Turn> {
    let last = cx.guest::<Toy>()?.state.kept.take().ok_or(Exception::Empty)?;
    let last = last.into_owned(cx);
    let next = last.get_mut(cx).next.take();
    let state = cx.guest::<Toy>()?.state;
    state.kept = next;
    state.objects -= 1;
    last.release(cx);
    Ok(())
}
