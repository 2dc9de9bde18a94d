//! One operation of the kernel, so many times: for tools that count instructions. `callgrind.sh` runs it.

use std::{env, process::ExitCode};

use archipelago::{GilChoice, InterpreterConfig, Runtime, ThreadState};
use archipelago_bench::{Trouble, figures::swap::swapping, ops};

const USAGE: &str = "usage: counts --list | counts OPERATION COUNT";

const NAMES: &[&str] = &[
    "detach",
    "attach",
    "safepoint",
    "pending-add-run",
    "alloc-release",
    "enter-same",
    "enter-shared",
    "enter-own",
    "swap-same",
    "swap-shared",
    "swap-own",
    "thread-state",
    "guard",
    "guard-labelled",
    "ensure-nested",
    "ensure-nested-id",
    "create-end",
];

fn run(name: &str, count: u64) -> Result<(), Trouble> {
    let rt = Runtime::new()?;
    let mut state = ops::isolated(&rt)?;
    let id = state.interpreter();
    let mut times = 0..count;
    match name {
        "detach" => state.attach(|cx| times.for_each(|_| ops::detach(cx)))?,
        "attach" => times.try_for_each(|_| ops::attach(&mut state))?,
        "safepoint" => {
            let answer = state.attach(|cx| times.try_for_each(|_| ops::safepoint(cx)))?;
            answer.map_err(archipelago::Error::from)?;
        }
        "pending-add-run" => state.attach(|cx| {
            times.try_for_each(|_| -> Result<(), Trouble> {
                ops::call_soon(cx)?;
                Ok(ops::safepoint(cx).map_err(archipelago::Error::from)?)
            })
        })??,
        "alloc-release" => state.attach(|cx| times.try_for_each(|_| ops::alloc_release(cx)))??,
        "enter-same" => enter(count, &mut state, &mut rt.thread_state(id)?)?,
        "enter-shared" => {
            let shared = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
            enter(count, &mut rt.create(&shared, None)?, &mut rt.create(&shared, None)?)?;
        }
        "enter-own" => enter(count, &mut state, &mut ops::isolated(&rt)?)?,
        "swap-same" => swapping(&rt, [id; 2], |swap| swap(count))?,
        "swap-shared" => {
            let shared = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
            let states = [rt.create(&shared, None)?, rt.create(&shared, None)?];
            swapping(&rt, states.each_ref().map(ThreadState::interpreter), |swap| swap(count))?;
        }
        "swap-own" => {
            let other = ops::isolated(&rt)?.interpreter();
            swapping(&rt, [id, other], |swap| swap(count))?;
        }
        "thread-state" => times.try_for_each(|_| ops::thread_state(&rt, id))?,
        "guard" | "guard-labelled" | "ensure-nested" | "ensure-nested-id" => {
            let view = rt.interpreter(id)?.view()?;
            match name {
                "guard" => times.try_for_each(|_| ops::guard(view))?,
                "guard-labelled" => times.try_for_each(|_| ops::labelled_guard(view))?,
                "ensure-nested" => {
                    state.attach(|cx| cx.call_out(|| times.try_for_each(|_| ops::ensure_by(view))))??;
                }
                _ => state.attach(|cx| cx.call_out(|| times.try_for_each(|_| ops::ensure(&rt, id))))??,
            }
        }
        "create-end" => times.try_for_each(|_| ops::create_end(&rt).map(drop))?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn enter(count: u64, from: &mut ThreadState<'_>, to: &mut ThreadState<'_>) -> Result<(), Trouble> {
    Ok(from.attach(|cx| (0..count).try_for_each(|_| ops::enter(cx, to)))??)
}

fn main() -> Result<ExitCode, Trouble> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &*arguments {
        [list] if list == "--list" => NAMES.iter().for_each(|name| println!("{name}")),
        [name, count] => run(name, count.parse()?)?,
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}
