//! How soon a blocked program ends when it is told to (SPEC E3, E5): in process, through the adapter.

use core::time::Duration;
use std::{
    io::{PipeReader, PipeWriter, pipe},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Instant,
};

use archipelago::{
    InterpreterConfig, Runtime,
    kernel::{
        error::Interrupt,
        guest::{Fault, Step},
    },
};
use archipelago_guest_wasm::{Descriptor, Input, Output, WasiSetup, Wasm};

use crate::{
    Trouble, commands,
    figure::{Figure, Goal, Peer},
    measure::turns,
    programs::{ECHO, FLOOD, File, SLEEP, WASM, load},
};

const GOAL: Goal = Goal::AtMost(50.0);

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "blocked/read",
        what: "from an interrupt to the end of a program that reads from an empty pipe",
        unit: "ms",
        goal: GOAL,
        peer: Peer::None,
        measure: |effort| turns(effort, || interrupted(ECHO)),
    },
    Figure {
        name: "blocked/sleep",
        what: "from an interrupt to the end of a program that sleeps for an hour",
        unit: "ms",
        goal: GOAL,
        peer: Peer::None,
        measure: |effort| turns(effort, || interrupted(SLEEP)),
    },
    Figure {
        name: "blocked/write",
        what: "from an interrupt to the end of a program that writes to a full pipe",
        unit: "ms",
        goal: GOAL,
        peer: Peer::None,
        measure: |effort| turns(effort, || interrupted(FLOOD)),
    },
    Figure {
        name: "blocked/time-out",
        what: "from the deadline to the end of a program that sleeps for an hour",
        unit: "ms",
        goal: GOAL,
        peer: Peer::None,
        measure: |effort| turns(effort, timed_out),
    },
    Figure {
        name: "blocked/command",
        what: "the end of `archipelago run --timeout`, its start included, after the time-out: the worst of the three",
        unit: "ms",
        goal: GOAL,
        peer: Peer::None,
        measure: |effort| turns(effort, command),
    },
];

/// Two pipes whose far ends nobody uses.
struct Pipes {
    _input: PipeWriter,
    _output: PipeReader,
}

fn setup() -> Result<(Pipes, WasiSetup), Trouble> {
    let ((stdin, input), (output, stdout)) = (pipe()?, pipe()?);
    let descriptor = |fd: OwnedFd| Descriptor::new(fd).map(Arc::new);
    let setup = WasiSetup::new()
        .stdin(Input::Descriptor(descriptor(stdin.into())?))
        .stdout(Output::Descriptor(descriptor(stdout.into())?));
    Ok((Pipes { _input: input, _output: output }, setup))
}

/// Milliseconds from the interrupt to the return of the run.
fn interrupted(text: &str) -> Result<f64, Trouble> {
    let rt = Runtime::new()?;
    let program = load(text)?;
    let id = rt.create(&InterpreterConfig::isolated(), Some(WASM))?.interpreter();
    let (_pipes, setup) = setup()?;
    let thread = rt.spawn(id, move |cx| {
        let step = Wasm::load(cx, &program, setup).map(|()| cx.exec(b""));
        (step, Instant::now())
    })?;
    let interpreter = rt.interpreter(id)?;
    await_block(|| Ok(interpreter.is_running()? && !interpreter.gil()?.held))?;
    let told = Instant::now();
    interpreter.interrupt()?;
    let (step, over) = thread.join()?;
    match step? {
        Step::Failed(Fault::Interrupted(Interrupt::Requested)) => {
            Ok(over.duration_since(told).as_secs_f64() * 1e3)
        }
        step => Err(format!("the program was to be interrupted: {step:?}").into()),
    }
}

/// Waits until `blocked` was true at every look for a while.
fn await_block(blocked: impl Fn() -> Result<bool, Trouble>) -> Result<(), Trouble> {
    let patience = Instant::now() + Duration::from_secs(10);
    let mut looks = 0;
    while looks < 20 {
        thread::sleep(Duration::from_millis(1));
        looks = if blocked()? { looks + 1 } else { 0 };
        if Instant::now() > patience {
            return Err("the program did not block".into());
        }
    }
    Ok(())
}

/// Milliseconds from the deadline to the return of the run.
fn timed_out() -> Result<f64, Trouble> {
    const DEADLINE: Duration = Duration::from_millis(50);
    let rt = Runtime::new()?;
    let program = load(SLEEP)?;
    let mut state = rt.create(&InterpreterConfig::isolated(), Some(WASM))?;
    let (step, late) = state.attach(|cx| {
        Wasm::load(cx, &program, WasiSetup::new())?;
        let start = Instant::now();
        cx.set_deadline(Some(DEADLINE))?;
        let step = cx.exec(b"");
        Ok::<_, Trouble>((step, start.elapsed().saturating_sub(DEADLINE)))
    })??;
    match step {
        Step::Failed(Fault::Interrupted(Interrupt::Deadline)) => Ok(late.as_secs_f64() * 1e3),
        step => Err(format!("the program was to be timed out: {step:?}").into()),
    }
}

/// Milliseconds from the time-out to the end of the command, the worst of the programs that block.
fn command() -> Result<f64, Trouble> {
    let archipelago = commands::ours()?;
    let mut worst: f64 = 0.0;
    for (name, text) in [("echo", ECHO), ("sleep", SLEEP), ("flood", FLOOD)] {
        let file = File::new(name, text)?;
        let mut command = Command::new(&archipelago);
        command.args(["run", "--timeout", "100ms"]).arg(file.path());
        // Pipes that nobody writes to and nobody reads.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn()?;
        let (_stdin, _stdout) = (child.stdin.take(), child.stdout.take());
        let status = child.wait()?;
        let late = start.elapsed().as_secs_f64() * 1e3 - 100.0;
        if status.success() || late < 0.0 {
            return Err(format!("{name} was to be timed out: {status} after {late} ms").into());
        }
        worst = worst.max(late);
    }
    Ok(worst)
}
