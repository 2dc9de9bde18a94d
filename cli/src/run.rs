//! Running the interpreters of a plan on threads.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::{sync::Arc, thread};

use archipelago::{GilChoice, OnStd, Runtime, StdHost};
use archipelago_guest_wasm::{Descriptor, Engine};
use rustix::fs::{Mode, OFlags, open};

use crate::{
    args::Options,
    complain,
    failure::Failure,
    gil_trace::{self, GilTrace, Target},
    heap_trace::{HeapTrace, TracedHost},
    job::{self, Context},
    names::Names,
    plan::Plan,
    report::Report,
    signals::{self, Stop},
    stats,
    status::Status,
    stream::Stream,
};

/// Runs the programs and answers the exit status.
pub fn run(options: Options) -> Status {
    let Some(plan) = Plan::new(options) else {
        return complain(Status::Usage, "--repeat is too large: there are not so many numbers");
    };
    if let Err(failure) = directories(&plan) {
        return complain(failure.status, &failure.text);
    }
    let targets = gil_trace::targets(plan.options());
    match (plan.options().heap_trace.clone().map(HeapTrace::create), targets) {
        (None, Ok(targets)) => run_on::<StdHost>(plan, None, targets),
        (Some(Ok(trace)), Ok(targets)) => run_on::<TracedHost>(plan, Some(trace), targets),
        (Some(Err(failure)), _) | (_, Err(failure)) => complain(failure.status, &failure.text),
    }
}

/// The heap is in the host's type, and everything from here to the kernel is built once for each: so a run that is not
/// traced has the instructions it would have if there were no traces.
fn run_on<H: OnStd>(plan: Plan, trace: Option<HeapTrace>, targets: Vec<Target>) -> Status {
    match prepare::<H>(plan, trace, targets) {
        Ok((context, report)) => carry_out(&context, &report),
        Err(error) => complain(Status::Start, &error),
    }
}

/// Each interpreter opens them for itself; what is wrong with one would be said by each.
fn directories(plan: &Plan) -> Result<(), Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for (host, _) in &plan.options().directories {
        open(host, flags, Mode::empty()).map_err(|error| Failure::directory(host, &error.into()))?;
    }
    Ok(())
}

fn prepare<H: OnStd>(
    plan: Plan,
    trace: Option<HeapTrace>,
    targets: Vec<Target>,
) -> Result<(Context<H>, Report), String> {
    let timed = plan.options().timeout.is_some();
    let (context, report) =
        set_up(plan, trace, targets).map_err(|error| format!("the runtime cannot be started: {error}"))?;
    if timed {
        context
            .runtime
            .watch_deadlines()
            .map_err(|error| format!("--timeout cannot be kept, for no thread can be had: {error}"))?;
    }
    Ok((context, report))
}

fn set_up<H: OnStd>(
    plan: Plan,
    trace: Option<HeapTrace>,
    targets: Vec<Target>,
) -> Result<(Context<H>, Report), archipelago::Error> {
    let stderr = Arc::new(Stream::new(Descriptor::stderr()?));
    let streams = match plan.count() {
        1 => None,
        _ => Some([Arc::new(Stream::new(Descriptor::stdout()?)), Arc::clone(&stderr)]),
    };
    let runtime = Runtime::on_host(None)?;
    let names = Names::default();
    let gil_trace = GilTrace::start(targets, &runtime);
    if let (GilChoice::Shared, Some(interval)) = (plan.options().gil, plan.options().switch_interval) {
        // The interval belongs to the GIL, and that is main's.
        runtime.thread_state(runtime.main()?)?.attach(|cx| cx.set_switch_interval(interval))?;
    }
    let stop = Arc::new(Stop::new()?);
    let report = Report::new(&plan, stderr, Arc::clone(&stop));
    let config = plan.config();
    Ok((
        Context { plan, config, runtime, engine: Engine::new(), stop, streams, names, trace, gil_trace },
        report,
    ))
}

fn carry_out<H: OnStd>(context: &Context<H>, report: &Report) -> Status {
    let watch = match signals::watch(context.runtime.clone(), Arc::clone(&context.stop)) {
        Ok(watch) => watch,
        Err(error) => return complain(Status::Start, &format!("signals cannot be watched: {error}")),
    };
    let before = stats::resident();
    let next = AtomicUsize::new(1);
    thread::scope(|scope| {
        for _ in 1..context.plan.jobs() {
            let worker = thread::Builder::new().spawn_scoped(scope, || work(context, report, &next));
            if worker.is_err() {
                // No thread to be had: those there are do the work.
                break;
            }
        }
        work(context, report, &next);
    });
    let begun = (next.into_inner() - 1).min(context.plan.count());
    report.not_started(context.plan.count() - begun);
    match context.runtime.finalize(None) {
        Ok(ledger) => report.runtime(&ledger),
        Err(error) => report.internal(&error.to_string()),
    }
    if context.plan.options().stats {
        report.stats(before, stats::resident());
    }
    if let Some(trace) = &context.trace {
        report.heap_trace(trace, &context.plan, &context.names);
    }
    if let Some(trace) = &context.gil_trace {
        report.gil_trace(trace, &context.plan, &context.names);
    }
    for stream in context.streams.iter().flatten() {
        report.settle(stream);
    }
    drop(watch);
    report.status()
}

/// One thread: takes the next number until there is none.
fn work<H: OnStd>(context: &Context<H>, report: &Report, next: &AtomicUsize) {
    while context.stop.asked().is_none() {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number > context.plan.count() {
            break;
        }
        report.add(job::run(context, number));
    }
}
