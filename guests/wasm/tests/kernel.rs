//! The guest: programs as the language of interpreters, stopped, limited and charged by the kernel.

mod common;

use archipelago::{
    Attached, GilChoice, GuestTable, InterpreterConfig, Runtime,
    kernel::{
        error::{GuestError, Interrupt},
        eval::Raise,
        guest::{Fault, Step, Value, Waiting},
        interpreter::Interpreter,
    },
};
use archipelago_guest_wasm::{
    Descriptor, Ending, Engine, Input, Output, Program, Sharing, SpawnError, StartError, Trap, WasiSetup,
    Wasm,
};
use common::*;
use core::time::Duration;
use std::{os::fd::OwnedFd, sync::Arc, thread, time::Instant};

const WASM: Option<&GuestTable> = Some(GuestTable::of::<Wasm>());
const LONG: Duration = Duration::from_secs(3600);
/// Far below an hour, far above what a busy machine needs.
const SOON: Duration = Duration::from_secs(300);

/// Counts for ever.
const SPIN: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))"#;

fn program(text: impl AsRef<[u8]>) -> Program {
    Program::load(&Engine::new(), "test", text.as_ref()).unwrap()
}

/// Runs a program in a new interpreter and ends it; its ledger must be clean.
fn run_with<R>(
    config: &InterpreterConfig,
    text: impl AsRef<[u8]>,
    setup: WasiSetup,
    look: impl FnOnce(&mut Attached<'_>, Step) -> R,
) -> R {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(config, WASM).unwrap();
    let id = state.interpreter();
    let program = program(text);
    let answer = state
        .attach(|cx| {
            Wasm::load(cx, &program, setup).unwrap();
            let step = cx.exec(b"");
            look(cx, step)
        })
        .unwrap();
    drop(state);
    assert!(runtime.end(id, Some(SOON)).unwrap().is_clean());
    assert!(runtime.finalize(Some(SOON)).unwrap().main.is_clean());
    answer
}

fn run(config: &InterpreterConfig, text: impl AsRef<[u8]>) -> Step {
    run_with(config, text, WasiSetup::new(), |_, step| step)
}

fn isolated() -> InterpreterConfig {
    InterpreterConfig::isolated()
}

/// Runs a program on a thread of its own, until `tell` has told its interpreter something.
fn stopped_by(
    text: &'static str,
    setup: WasiSetup,
    tell: impl FnOnce(&Interpreter<'_, archipelago::StdHost>),
) -> Step {
    let runtime = Runtime::new().unwrap();
    let config = isolated().with_allow_daemon_threads(true);
    let id = runtime.create(&config, WASM).unwrap().interpreter();
    let program = program(text);
    // A daemon: an end waits for other threads, and does not tell them.
    let running = runtime
        .spawn_daemon(id, move |cx| {
            Wasm::load(cx, &program, setup).unwrap();
            cx.exec(b"")
        })
        .unwrap();
    let interpreter = runtime.interpreter(id).unwrap();
    while !interpreter.is_running().unwrap() {
        thread::yield_now();
    }
    // Whether it is blocked already does not matter: what is told is kept.
    tell(&interpreter);
    running.join().unwrap()
}

#[test]
fn a_program_runs_and_gives_everything_back() {
    let (setup, sink) = collecting();
    let step = run_with(&isolated(), sample("hello"), setup, |cx, step| {
        assert_eq!(cx.usage().raw.blocks, 2, "the interpreter's own slots and the program's memory");
        assert!(cx.usage().bytes() > PAGE);
        assert_eq!(cx.guest_state::<Wasm>().unwrap().ending(), Some(&Ending::Exited(0)));
        step
    });
    assert_eq!(step, Step::Done(Value::Int(0)));
    assert_eq!(text(&sink), "hello from an interpreter\n");
}

#[test]
fn a_trap_is_told_in_full() {
    run_with(&isolated(), sample("trap"), WasiSetup::new(), |cx, step| {
        assert_eq!(step, Step::Failed(Fault::Raised(0)));
        let state = cx.guest_state::<Wasm>().unwrap();
        assert_eq!(state.ending(), Some(&Ending::Trapped(Trap::MemoryOutOfBounds)));
    });
}

#[test]
fn a_source_is_loaded_and_run() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&isolated(), WASM).unwrap();
    let steps = state.attach(|cx| {
        let nothing = cx.exec(b"");
        let trap = cx.exec(&sample("trap"));
        let text = r#"(module (func (export "_start")))"#;
        let fine = cx.exec(text.as_bytes());
        Wasm::unload(cx);
        (nothing, trap, fine, cx.exec(b"not a module"), cx.usage().raw.blocks)
    });
    let (nothing, trap, fine, refused, blocks) = steps.unwrap();
    assert_eq!(nothing, Step::Failed(Fault::Refused(GuestError::NotRunning)));
    assert_eq!(trap, Step::Failed(Fault::Raised(0)));
    assert_eq!(fine, Step::Done(Value::Int(0)));
    assert_eq!(refused, Step::Failed(Fault::Refused(GuestError::StartFailed)));
    assert_eq!(blocks, 1);
}

#[test]
fn growth_stops_at_the_limit_of_the_interpreter() {
    let (setup, sink) = collecting();
    let limit = 8 * PAGE + PAGE / 2;
    run_with(&isolated().with_memory_limit(Some(limit)), sample("grow"), setup, |cx, step| {
        assert_eq!(step, Step::Done(Value::Int(0)));
        let usage = cx.usage();
        assert!(usage.peak <= limit && usage.bytes() > 8 * PAGE);
        let hit = cx.guest_state::<Wasm>().unwrap().limit_hit().unwrap();
        assert_eq!(hit.asked, PAGE);
        assert!(hit.available < PAGE);
    });
    assert_eq!(text(&sink), "8 pages, then refused\n");
}

#[test]
fn a_program_over_the_limit_does_not_start_and_is_not_charged() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&isolated().with_memory_limit(Some(PAGE)), WASM).unwrap();
    let program = program(sample("hello"));
    state
        .attach(|cx| {
            let before = cx.usage().raw;
            let error = Wasm::load(cx, &program, WasiSetup::new()).unwrap_err();
            assert!(matches!(error, SpawnError::Start(StartError::LimitExceeded(_))), "{error}");
            assert_eq!(cx.usage().raw.bytes, before.bytes);
        })
        .unwrap();
}

#[test]
fn fuel_is_exact() {
    let text = r#"(module (func (export "_start") (local i32)
        (loop $l (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br_if $l (i32.lt_u (local.get 0) (i32.const 100000))))))"#;
    let needed = run_with(&isolated(), text, WasiSetup::new(), |cx, step| {
        assert_eq!(step, Step::Done(Value::Int(0)));
        cx.guest_state::<Wasm>().unwrap().instance().unwrap().fuel_used()
    });
    assert_eq!(run(&isolated().with_fuel(Some(needed)), text), Step::Done(Value::Int(0)));
    for less in [needed - 1, needed / 2, 1, 0] {
        let step = run(&isolated().with_fuel(Some(less)), text);
        assert_eq!(step, Step::Failed(Fault::Interrupted(Interrupt::OutOfFuel)), "{less}");
    }
}

#[test]
fn a_deadline_ends_computing_and_sleeping() {
    let config = isolated().with_deadline(Some(Duration::from_millis(50)));
    for text in [SPIN.as_bytes(), &sample("sleep")] {
        let begun = Instant::now();
        assert_eq!(run(&config, text), Step::Failed(Fault::Interrupted(Interrupt::Deadline)));
        assert!(begun.elapsed() < SOON);
    }
}

/// SPEC: E5
#[test]
fn a_scopes_deadline_ends_computing_and_sleeping() {
    for text in [SPIN.as_bytes(), &sample("sleep")] {
        let runtime = Runtime::new().unwrap();
        let mut state = runtime.create(&isolated(), WASM).unwrap();
        let program = program(text);
        let mut host = runtime.create(&isolated(), None).unwrap();
        state
            .attach(|cx| {
                Wasm::load(cx, &program, WasiSetup::new()).unwrap();
                let run = cx.with_deadline(Duration::from_millis(20), |cx| cx.exec(b"")).unwrap();
                assert_eq!(run.value, Step::Failed(Fault::Interrupted(Interrupt::Deadline)));
                assert!(run.expired);
            })
            .unwrap();
        // And where it is entered from the interpreter that has the deadline.
        host.attach(|cx| {
            let run = cx.with_deadline(Duration::from_millis(20), |cx| {
                cx.enter(&mut state, |cx| {
                    Wasm::load(cx, &program, WasiSetup::new()).unwrap();
                    cx.exec(b"")
                })
            });
            let run = run.unwrap();
            assert_eq!(run.value, Ok(Step::Failed(Fault::Interrupted(Interrupt::Deadline))));
        })
        .unwrap();
    }
}

/// SPEC: E6
#[test]
fn a_scopes_fuel_is_exact() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&isolated().with_fuel(Some(1_000_000)), WASM).unwrap();
    let program = program(SPIN);
    state
        .attach(|cx| {
            for (given, spent) in [(1, 1), (12_345, 12_345), (0, 0)] {
                let before = cx.fuel().unwrap();
                Wasm::load(cx, &program, WasiSetup::new()).unwrap();
                let run = cx.with_fuel(given, |cx| cx.exec(b""));
                assert_eq!(run.value, Step::Failed(Fault::Interrupted(Interrupt::OutOfFuel)));
                assert_eq!((run.left, run.ran_out, cx.safepoint()), (0, true, Ok(())));
                assert_eq!(before - cx.fuel().unwrap(), spent);
            }
        })
        .unwrap();
}

/// SPEC: E3
#[test]
fn what_is_raised_ends_computing_and_sleeping() {
    let sleep: &str = String::leak(String::from_utf8(sample("sleep")).unwrap());
    for text in [SPIN, sleep] {
        let step = stopped_by(text, WasiSetup::new(), |interpreter| {
            // In each thread state that it has: which one runs is not known here.
            let raised = |thread| interpreter.raise_in(thread, Raise::new(1)).is_ok();
            assert!((1..10).filter(|&thread| raised(thread)).count() > 0);
        });
        assert_eq!(step, Step::Failed(Fault::Interrupted(Interrupt::Raised)));
    }
}

#[test]
fn an_interrupt_ends_computing_sleeping_and_reading() {
    let (read, _write) = std::io::pipe().unwrap();
    let pipe = Arc::new(Descriptor::new(OwnedFd::from(read)).unwrap());
    let reading = WasiSetup::new().stdin(Input::Descriptor(pipe));
    let sleep: &str = String::leak(String::from_utf8(sample("sleep")).unwrap());
    let echo: &str = String::leak(String::from_utf8(sample("echo")).unwrap());
    for (text, setup) in [(SPIN, WasiSetup::new()), (sleep, WasiSetup::new()), (echo, reading)] {
        let step = stopped_by(text, setup, |interpreter| interpreter.interrupt().unwrap());
        assert_eq!(step, Step::Failed(Fault::Interrupted(Interrupt::Requested)));
    }
}

#[test]
fn the_end_of_the_interpreter_ends_a_program() {
    let sleep: &str = String::leak(String::from_utf8(sample("sleep")).unwrap());
    for text in [SPIN, sleep] {
        let step = stopped_by(text, WasiSetup::new(), |interpreter| {
            assert!(interpreter.end(Some(SOON)).unwrap().is_clean());
        });
        assert_eq!(step, Step::Failed(Fault::Interrupted(Interrupt::Finalizing)));
    }
}

#[test]
fn a_blocked_program_leaves_its_interpreter_to_others() {
    let sleep: &str = String::leak(String::from_utf8(sample("sleep")).unwrap());
    let step = stopped_by(sleep, WasiSetup::new(), |interpreter| {
        let begun = Instant::now();
        // It gives the GIL up unasked only where it waits.
        while interpreter.gil().unwrap().held {
            assert!(begun.elapsed() < SOON, "the program sleeps");
            thread::yield_now();
        }
        let mut other = interpreter.thread_state().unwrap();
        let second = other.attach(|cx| cx.exec(b"")).unwrap();
        assert_eq!(second, Step::Failed(Fault::Refused(GuestError::AlreadyRunning)));
        // The program may even be taken away under the run that waits.
        other.attach(Wasm::unload).unwrap();
        interpreter.interrupt().unwrap();
    });
    assert_eq!(step, Step::Failed(Fault::Interrupted(Interrupt::Requested)));
}

#[test]
fn a_closed_pipe_is_noted() {
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let pipe = Arc::new(Descriptor::new(OwnedFd::from(write)).unwrap());
    run_with(&isolated(), sample("flood"), WasiSetup::new().stdout(Output::Descriptor(pipe)), |cx, step| {
        assert_eq!(step, Step::Done(Value::Int(1)));
        let state = cx.guest::<Wasm>().unwrap().state;
        assert_eq!(state.take_output_error().unwrap().kind(), std::io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn one_native_stack_runs_two_interpreters_in_turn() {
    let runtime = Runtime::new().unwrap();
    let program = program(sample("hello"));
    let spin = crate::program(SPIN);
    let (setup, sink) = collecting();
    let mut hello = runtime.create(&isolated(), WASM).unwrap();
    let mut busy = runtime.create(&isolated().with_fuel(Some(1_000_000)), WASM).unwrap();
    let step = |state: &mut archipelago::ThreadState<'_>, program: &Program, setup| {
        state
            .attach(|cx| {
                Wasm::load(cx, program, setup).unwrap();
                cx.guest::<Wasm>().unwrap().state.set_sharing(Sharing::Turns);
                cx.exec(b"")
            })
            .unwrap()
    };
    assert_eq!(step(&mut busy, &spin, WasiSetup::new()), Step::Yielded);
    assert_eq!(step(&mut hello, &program, setup), Step::Waiting(Waiting::Event));
    assert_eq!(busy.attach(|cx| cx.resume()).unwrap(), Step::Yielded);
    assert_eq!(hello.attach(|cx| cx.resume()).unwrap(), Step::Done(Value::Int(0)));
    assert_eq!(text(&sink), "hello from an interpreter\n");
    let mut turns = 0;
    let end = loop {
        match busy.attach(|cx| cx.resume()).unwrap() {
            Step::Yielded => turns += 1,
            end => break end,
        }
    };
    assert!(turns > 1);
    assert_eq!(end, Step::Failed(Fault::Interrupted(Interrupt::OutOfFuel)));
}

#[test]
fn two_programs_share_one_gil() {
    let runtime = Runtime::new().unwrap();
    let config = InterpreterConfig::legacy().with_gil(GilChoice::Shared).with_deadline(Some(LONG));
    let running = [(); 2].map(|()| {
        let id = runtime.create(&config, WASM).unwrap().interpreter();
        let spin = program(SPIN);
        let thread = runtime.spawn(id, move |cx| {
            cx.set_switch_interval(Duration::from_millis(1));
            Wasm::load(cx, &spin, WasiSetup::new()).unwrap();
            cx.exec(b"")
        });
        (id, thread.unwrap())
    });
    let begun = Instant::now();
    for (id, _) in &running {
        while runtime.interpreter(*id).unwrap().stats().unwrap().switches < 5 {
            assert!(begun.elapsed() < SOON, "both computing programs get the GIL again and again");
            thread::yield_now();
        }
    }
    for (id, thread) in running {
        runtime.interpreter(id).unwrap().interrupt().unwrap();
        assert_eq!(thread.join().unwrap(), Step::Failed(Fault::Interrupted(Interrupt::Requested)));
        assert!(runtime.end(id, Some(SOON)).unwrap().is_clean());
    }
}
