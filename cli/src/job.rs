//! One interpreter, from its creation to its end.

use core::time::Duration;
use std::{io, sync::Arc, time::Instant};

use archipelago::{
    InterpreterConfig, OnStd, Runtime,
    kernel::{Attached, ThreadState, guest::GuestTable, guest::Step, memory::Domain},
};
use archipelago_alloc_hooks::Frame;
use archipelago_guest_wasm::{Engine, Output, Program, WakeFd, Wasm};

use crate::{
    failure::{Failure, Run},
    gil_trace::GilTrace,
    heap_trace::HeapTrace,
    lines::Lines,
    names::Names,
    plan::Plan,
    signals::Stop,
    sites,
    status::Status,
    stream::Stream,
};

/// What all interpreters of one command share.
pub struct Context<H: OnStd> {
    /// Which interpreters there are.
    pub plan: Plan,
    /// How they are made.
    pub config: InterpreterConfig,
    /// Where they are made.
    pub runtime: Runtime<H>,
    /// What compiles their programs.
    pub engine: Engine,
    /// Whether to stop.
    pub stop: Arc<Stop>,
    /// Standard output and standard error, if several interpreters share them.
    pub streams: Option<[Arc<Stream>; 2]>,
    /// What the command calls the interpreters, where something is written down.
    pub names: Names,
    /// Where memory is written down, if it is: then `H` has the heap that does so.
    pub trace: Option<HeapTrace>,
    /// Where it is written down who waits for GILs and who holds them, if it is.
    pub gil_trace: Option<GilTrace>,
}

impl<H: OnStd> Context<H> {
    /// Does `act`, at the call site `step`.
    fn at<R>(&self, step: &'static Frame, act: impl FnOnce() -> R) -> R {
        let _there = self.trace.as_ref().map(|_| sites::at(step));
        act()
    }
}

/// What became of one interpreter.
#[derive(Debug)]
pub struct Outcome {
    /// Its number.
    pub number: usize,
    /// Its program was loaded.
    pub loaded: bool,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// What it did not give back.
    pub unclean: Option<Failure>,
    /// From its creation to its end.
    pub wall: Duration,
    /// Time its thread waited for the GIL.
    pub waited: Duration,
    /// How often it waited for the GIL.
    pub waits: usize,
    /// How often it took the GIL after another thread state.
    pub switches: usize,
    /// Units of work it did.
    pub fuel: u64,
    /// The most bytes it held.
    pub peak: usize,
    /// The most bytes it held of each domain: what its engine took, buffers and tables, objects.
    pub peaks: [usize; 3],
}

/// Runs interpreter `number`.
pub fn run<H: OnStd>(context: &Context<H>, number: usize) -> Outcome {
    let mut outcome = Outcome {
        number,
        loaded: false,
        failure: None,
        unclean: None,
        wall: Duration::ZERO,
        waited: Duration::ZERO,
        waits: 0,
        switches: 0,
        fuel: 0,
        peak: 0,
        peaks: [0; 3],
    };
    let program = context.plan.source(number).program(&context.engine);
    outcome.loaded = program.is_ok();
    let begun = Instant::now();
    outcome.failure = program.and_then(|program| live(context, program, &mut outcome)).err();
    outcome.wall = begun.elapsed();
    outcome
}

/// The interpreter's life.
fn live<H: OnStd>(context: &Context<H>, program: &Program, outcome: &mut Outcome) -> Result<(), Failure> {
    let (runtime, options) = (&*context.runtime, context.plan.options());
    let internal = |error: &dyn core::fmt::Display| Failure::new(Status::Internal, error.to_string());
    let create = || runtime.create(&context.config, Some(GuestTable::of::<Wasm>()));
    let mut state = context
        .at(&sites::CREATE, create)
        .map_err(|error| Failure::create(error, options, || least(context)))?;
    if context.trace.is_some() || context.gil_trace.is_some() {
        context.names.set(state.interpreter(), outcome.number);
    }
    // The look-up takes the runtime's lock. A signal either finds the interpreter listed, and interrupts it, or is
    // seen by the question after it.
    let interpreter = runtime.interpreter(state.interpreter()).map_err(|error| internal(&error))?;
    let ended = match context.stop.asked() {
        Some(signal) => Err(Failure::signal(signal)),
        None => context.at(&sites::RUN, || execute(context, program, &mut state, outcome)),
    };
    if let Ok(stats) = interpreter.stats() {
        (outcome.waited, outcome.waits, outcome.switches) = (stats.waited, stats.waits, stats.switches);
    }
    // What the end itself takes is in the peak over all domains only.
    if let Ok(usage) = interpreter.usage() {
        outcome.peaks = Domain::ALL.map(|domain| usage.domain(domain).peak);
    }
    let ledger = context.at(&sites::END, || {
        drop(state);
        interpreter.end(None).map_err(|error| internal(&error))
    })?;
    outcome.peak = ledger.peak;
    outcome.unclean = (!ledger.is_clean()).then(|| Failure::unclean(&ledger));
    ended
}

/// What an interpreter takes before its program: what one without a limit took. It would be in a trace.
fn least<H: OnStd>(context: &Context<H>) -> Option<usize> {
    if context.trace.is_some() {
        return None;
    }
    let config = context.config.with_memory_limit(None);
    let state = context.runtime.create(&config, Some(GuestTable::of::<Wasm>())).ok()?;
    let interpreter = context.runtime.interpreter(state.interpreter()).ok()?;
    let usage = interpreter.usage();
    drop(state);
    interpreter.end(None).ok()?;
    usage.ok().map(|usage| usage.peak)
}

/// Runs the program in its interpreter.
fn execute<H: OnStd>(
    context: &Context<H>,
    program: &Program,
    state: &mut ThreadState<'_, H>,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let (plan, options) = (&context.plan, context.plan.options());
    let number = outcome.number;
    let lines = context.streams.as_ref().map(|streams| {
        let lines = |stream: &Arc<Stream>| Arc::new(Lines::new(Arc::clone(stream), number));
        streams.each_ref().map(lines)
    });
    let [stdout, stderr] = match &lines {
        Some(lines) => lines.each_ref().map(|lines| Output::Sink(Arc::clone(lines) as _)),
        None => [Output::Inherit, Output::Inherit],
    };
    let ended = state.attach(|cx| {
        if let Some(trace) = &context.trace {
            trace.charge(cx.id(), &sites::KERNEL, cx.usage().domain(Domain::Raw).bytes);
        }
        context
            .at(&sites::LOAD, || Wasm::load(cx, program, plan.setup(number, stdout, stderr)))
            .map_err(|error| Failure::spawn(&error, options, cx.usage().peak))?;
        let step = cx.exec(b"");
        let mut run = Run { step, ending: None, limit_hit: None, output_error: None, peak: cx.usage().peak };
        let id = cx.id();
        if let Ok(parts) = cx.guest::<Wasm>() {
            if let (Some(trace), Some(instance)) = (&context.trace, parts.state.instance()) {
                trace.charges(id, instance);
            }
            outcome.fuel = parts.state.instance().map_or(0, |instance| instance.fuel_used());
            run.ending = parts.state.ending().cloned();
            run.limit_hit = parts.state.limit_hit();
            run.output_error = parts.state.take_output_error();
        }
        let lost: usize = lines.iter().flatten().map(|lines| flush(cx, lines, &mut run)).sum();
        let failure = run.failure(options, context.stop.asked());
        failure.map_or(Ok(()), |failure| Err(failure.with_lost_output(lost)))
    });
    ended.unwrap_or_else(|error| Err(Failure::new(Status::Internal, error.to_string())))
}

/// Writes the last line, if the program did not end it. How many bytes were lost: a program that was stopped does not
/// wait for its readers.
fn flush<H: OnStd>(cx: &mut Attached<'_, H>, lines: &Lines, run: &mut Run) -> usize {
    if lines.is_empty() {
        return 0;
    }
    let wake = match WakeFd::new() {
        Ok(wake) => wake,
        Err(error) => return lose(run, error),
    };
    if !run.was_stopped() {
        match cx.wait(&wake, || lines.finish(&wake)) {
            Ok(Ok(())) if lines.is_empty() => return 0,
            Ok(Ok(())) => {}
            Ok(Err(error)) => return lose(run, error),
            Err(interrupt) => run.step = Step::Failed(interrupt.into()),
        }
        // Woken: this is where the reason is told.
        if let Err(interrupt) = cx.safepoint() {
            run.step = Step::Failed(interrupt.into());
        }
    }
    wake.wake();
    match lines.finish(&wake) {
        Ok(()) => lines.discard(),
        Err(error) => lose(run, error),
    }
}

/// The line is lost for this reason; that is a failure of its own, so nothing needs to be counted.
fn lose(run: &mut Run, error: io::Error) -> usize {
    run.output_error.get_or_insert(error);
    0
}
