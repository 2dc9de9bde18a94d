//! Running: the main slot.

use core::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicUsize, Ordering},
};
use std::{panic::catch_unwind, sync::Barrier, thread};

use archipelago_kernel::{
    Interpreter, InterpreterId, Runtime,
    config::InterpreterConfig,
    error::{GuestError, LookupError},
    guest::{Fault, GuestTable, Step, Value, Waiting},
    interpreter::Whence,
};
use archipelago_toy_guest::Toy;

use crate::{
    TestHost,
    suite::guest::Tally,
    support::{Gate, presets, scaled, until},
};

const ALREADY: Step = Step::Failed(Fault::Refused(GuestError::AlreadyRunning));
const NOT_RUNNING: Step = Step::Failed(Fault::Refused(GuestError::NotRunning));

fn toy<'rt, H: TestHost>(
    rt: &'rt Runtime<H>,
    config: &InterpreterConfig,
) -> (InterpreterId, Interpreter<'rt, H>) {
    let id = rt.create(config, Some(GuestTable::of::<Toy>())).unwrap().interpreter();
    (id, rt.interpreter(id).unwrap())
}

/// SPEC: L7
/// CPython: test_api.TestInterpreterIsRunning.test_subinterpreter, test_api.TestInterpreterIsRunning.test_finished,
/// CPython: test_api.TestInterpreterIsRunning.test_from_subinterpreter, test__interpreters.IsRunningTests.test_subinterpreter,
/// CPython: test_api.LowLevelTests.test_is_running
pub fn not_before_but_during_and_not_after<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let (id, interpreter) = toy(&rt, &config);
        let mut state = rt.thread_state(id).unwrap();
        assert_eq!(interpreter.is_running(), Ok(false));
        state
            .attach(|cx| {
                assert!(!cx.is_running(), "attached is not running");
                assert_eq!(cx.exec(b"push 1; yield; halt"), Step::Yielded);
                assert!(cx.is_running());
            })
            .unwrap();
        assert_eq!(interpreter.is_running(), Ok(true), "the run is not over, nobody is attached");
        assert_eq!(state.attach(|cx| cx.resume()), Ok(Step::Done(Value::Int(1))));
        assert_eq!(interpreter.is_running(), Ok(false));
        rt.end(id, None).unwrap();
        assert_eq!(interpreter.is_running(), Err(LookupError::NotFound));
    }
}

/// SPEC: L7, L5
/// CPython: test_api.TestInterpreterIsRunning.test_created_with_capi
pub fn whoever_made_it<H: TestHost>() {
    let rt = H::fresh();
    let main = rt.initialize(Some(GuestTable::of::<Toy>())).unwrap().main();
    let table = Some(GuestTable::of::<Toy>());
    let foreign = rt.create_as(&InterpreterConfig::legacy(), table, Whence::CApi).unwrap().interpreter();
    // Asked by itself, by main and by nobody.
    for id in [main, foreign] {
        let interpreter = rt.interpreter(id).unwrap();
        let mut state = rt.thread_state(id).unwrap();
        let seen = |state: &mut archipelago_kernel::ThreadState<'_, H>| {
            let inside = state.attach(|cx| cx.is_running());
            let in_main = rt.ensure(main, |_| interpreter.is_running());
            [inside.ok(), in_main.unwrap().ok(), interpreter.is_running().ok()]
        };
        assert_eq!(seen(&mut state), [Some(false); 3]);
        assert_eq!(state.attach(|cx| cx.exec(b"yield; halt")), Ok(Step::Yielded));
        assert_eq!(seen(&mut state), [Some(true); 3]);
        assert!(state.attach(|cx| cx.resume()).unwrap().is_over());
        assert_eq!(seen(&mut state), [Some(false); 3]);
    }
}

/// SPEC: L7
/// CPython: test_api.TestInterpreterIsRunning.test_main, test__interpreters.IsRunningTests.test_main
pub fn main_runs_like_any_other<H: TestHost>() {
    let rt = H::fresh();
    let main = rt.initialize(Some(GuestTable::of::<Toy>())).unwrap().main();
    let interpreter = rt.interpreter(main).unwrap();
    assert_eq!(interpreter.is_running(), Ok(false));
    let mut state = rt.thread_state(main).unwrap();
    assert_eq!(state.attach(|cx| cx.exec(b"yield; halt")), Ok(Step::Yielded));
    assert_eq!(interpreter.is_running(), Ok(true));
    assert_eq!(state.attach(|cx| cx.resume()), Ok(Step::Done(Value::None)));
}

/// SPEC: L7
/// CPython: test_api.TestInterpreterIsRunning.test_with_only_background_threads,
/// CPython: test_api.TestInterpreterExec.test_with_background_threads_still_running
pub fn background_threads_do_not_count<H: TestHost>() {
    let rt = H::started();
    let (id, interpreter) = toy(&rt, &InterpreterConfig::isolated());
    let (inside, done) = (Gate::new(), Gate::new());
    thread::scope(|s| {
        s.spawn(|| {
            rt.ensure(id, |cx| {
                inside.open();
                cx.detach(|| done.wait());
            })
            .unwrap();
        });
        inside.wait();
        assert_eq!(interpreter.is_running(), Ok(false));
        let mut state = rt.thread_state(id).unwrap();
        assert_eq!(state.attach(|cx| cx.exec(b"push 7; halt")), Ok(Step::Done(Value::Int(7))));
        done.open();
    });
}

/// SPEC: L7
/// CPython: test_api.TestInterpreterExec.test_already_running, test__interpreters.RunStringTests.test_already_running
pub fn a_second_run_is_refused<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let (id, interpreter) = toy(&rt, &config);
        let (mut first, mut second) = (rt.thread_state(id).unwrap(), rt.thread_state(id).unwrap());
        assert_eq!(
            first.attach(|cx| cx.exec(b"wait; push 5; halt; fn f: ret")),
            Ok(Step::Waiting(Waiting::Event))
        );
        let refused = second.attach(|cx| {
            assert_eq!(cx.exec(b"halt"), ALREADY);
            assert_eq!(cx.call("f", &[]), ALREADY);
            assert_eq!(cx.resume(), NOT_RUNNING, "the run is another thread state's");
            cx.abandon();
            cx.is_running()
        });
        assert_eq!(refused, Ok(true), "nor can it be given up by another");
        assert_eq!(first.attach(|cx| cx.exec(b"halt")), Ok(ALREADY), "its own next run must wait, too");
        assert_eq!(first.attach(|cx| cx.resume()), Ok(Step::Done(Value::Int(5))), "it is as before");
        assert_eq!(interpreter.is_running(), Ok(false));
        assert_eq!(second.attach(|cx| cx.exec(b"push 6; halt")), Ok(Step::Done(Value::Int(6))));
    }
}

/// SPEC: L7
/// CPython: test_api.TestInterpreterExec.test_failure
pub fn however_a_run_ends_the_slot_is_free<H: TestHost>() {
    let rt = H::started();
    let (id, interpreter) = toy(&rt, &InterpreterConfig::isolated());
    let mut state = rt.thread_state(id).unwrap();
    assert_eq!(state.attach(|cx| cx.exec(b"push 9; raise")), Ok(Step::Failed(Fault::Raised(9))));
    assert_eq!(interpreter.is_running(), Ok(false), "it failed");
    state.attach(|cx| cx.set_fuel(Some(2))).unwrap();
    let out = state.attach(|cx| cx.exec(b"loop: jump loop")).unwrap();
    assert_eq!(out, Step::Failed(Fault::Interrupted(archipelago_kernel::error::Interrupt::OutOfFuel)));
    assert_eq!(interpreter.is_running(), Ok(false), "it was stopped");
    state.attach(|cx| cx.set_fuel(None)).unwrap();
    assert_eq!(state.attach(|cx| cx.exec(b"yield; halt")), Ok(Step::Yielded));
    state.attach(|cx| cx.abandon()).unwrap();
    assert_eq!(interpreter.is_running(), Ok(false), "it was given up");
    assert_eq!(state.attach(|cx| cx.resume()), Ok(NOT_RUNNING));
    assert_eq!(state.attach(|cx| cx.exec(b"yield; halt")), Ok(Step::Yielded));
    drop(state);
    assert_eq!(interpreter.is_running(), Ok(false), "its thread state was deleted");
}

/// SPEC: L7
pub fn a_run_that_panics_frees_the_slot<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), Some(GuestTable::of::<Tally>())).unwrap();
    let id = state.interpreter();
    let run = || state.attach(|cx| cx.exec(b"panic"));
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert_eq!(rt.interpreter(id).unwrap().is_running(), Ok(false));
    assert_eq!(state.attach(|cx| cx.exec(b"3")), Ok(Step::Done(Value::Int(3))));
}

/// SPEC: L7
/// CPython: test__interpreters.RunStringTests.test_main_reused, test_api.TestInterpreterExec.test_success
pub fn the_main_namespace_stays_between_runs<H: TestHost>() {
    let rt = H::started();
    let (id, _) = toy(&rt, &InterpreterConfig::isolated());
    let run = |source: &[u8]| rt.thread_state(id).unwrap().attach(|cx| cx.exec(source)).unwrap();
    assert_eq!(run(b"push 41; store 0; halt"), Step::Done(Value::None));
    assert_eq!(run(b"load 0; push 1; add; halt"), Step::Done(Value::Int(42)));
}

/// SPEC: L7
/// CPython: test_api.TestInterpreterExec.test_in_thread, test__interpreters.RunStringTests.test_in_thread
pub fn a_run_may_be_begun_by_any_thread<H: TestHost>() {
    let rt = H::started();
    let (id, _) = toy(&rt, &InterpreterConfig::isolated());
    let run = || rt.ensure(id, |cx| cx.exec(b"push 2; push 3; mul; halt"));
    assert_eq!(thread::scope(|s| s.spawn(run).join().unwrap()), Ok(Step::Done(Value::Int(6))));
}

/// SPEC: L7, L15
/// CPython: test_interpreters.test_stress.StressTests.test_many_threads_running_interp_in_other_interp
pub fn many_threads_fight_to_run_one_interpreter<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let (id, interpreter) = toy(&rt, &config);
        let n = scaled(200, 5);
        let (start, done) = (Barrier::new(n), AtomicUsize::new(0));
        thread::scope(|s| {
            for _ in 0..n {
                s.spawn(|| {
                    start.wait();
                    let step = rt.ensure(id, |cx| {
                        let mut step = cx.exec(b"load 0; push 1; add; store 0; yield; load 0; halt");
                        while step == Step::Yielded {
                            cx.detach(thread::yield_now);
                            step = cx.resume();
                        }
                        step
                    });
                    match step.unwrap() {
                        Step::Done(Value::Int(_)) => _ = done.fetch_add(1, Ordering::Relaxed),
                        step => assert_eq!(step, ALREADY, "the only error"),
                    }
                });
            }
        });
        let done = done.into_inner();
        assert!(done >= 1);
        assert_eq!(interpreter.is_running(), Ok(false));
        let count = rt.ensure(id, |cx| cx.exec(b"load 0; halt"));
        assert_eq!(count, Ok(Step::Done(Value::Int(done as i64))), "exactly the runs that were let in");
    }
}

/// SPEC: L7
pub fn a_run_is_seen_from_other_threads<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), Some(GuestTable::of::<Tally>())).unwrap();
    let interpreter = rt.interpreter(state.interpreter()).unwrap();
    thread::scope(|s| {
        let seen = s.spawn(|| {
            until("it runs", || interpreter.is_running() == Ok(true));
            // The guest spins at safepoints until it is told to stop.
            interpreter.interrupt().unwrap();
        });
        let step = state.attach(|cx| cx.exec(b"spin")).unwrap();
        let requested = archipelago_kernel::error::Interrupt::Requested;
        assert_eq!(step, Step::Failed(Fault::Interrupted(requested)));
        seen.join().unwrap();
    });
}
