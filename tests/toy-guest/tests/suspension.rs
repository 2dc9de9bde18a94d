//! Runs that stop on the way: slices, waits, interrupts, and more than one thread state.

mod support;

use core::{num::NonZeroU32, time::Duration};

use archipelago::{InterpreterConfig, Runtime};
use archipelago_kernel::{
    error::{GuestError, Interrupt},
    eval::{PendingCall, PendingFailed},
    guest::{Fault, Step, Value, Waiting},
};
use archipelago_toy_guest::{Exception, Toy};
use support::{int, table, within};

/// Adds up the numbers from a hundred down: 2 + 100 × 11 instructions, and a last one.
const SUM: &[u8] = b"push 100; store 0
    loop: load 1; load 0; add; store 1; load 0; push 1; sub; dup; store 0; jz end; jump loop
    end: load 1; halt";

#[test]
fn a_slice_is_so_many_instructions() {
    within(&InterpreterConfig::isolated(), |cx| {
        cx.guest::<Toy>().unwrap().state.slice = NonZeroU32::new(10);
        let mut step = cx.exec(SUM);
        let mut slices = 1u64;
        while step == Step::Yielded {
            assert_eq!(cx.guest_state::<Toy>().unwrap().executed, 10 * slices);
            assert!(cx.is_running());
            step = cx.resume();
            slices += 1;
        }
        assert_eq!(step, int(5050));
        let executed = 2 + 100 * 11 - 1 + 2;
        assert_eq!(cx.guest_state::<Toy>().unwrap().executed, executed);
        assert_eq!(slices, executed.div_ceil(10));
        assert!(!cx.is_running());
        assert_eq!(cx.resume(), Step::Failed(Fault::Refused(GuestError::NotRunning)));
    });
}

#[test]
fn interpreters_take_turns_on_one_stack() {
    let runtime = Runtime::new().unwrap();
    let config = InterpreterConfig::isolated();
    let mut states: Vec<_> = (0..10).map(|_| runtime.create(&config, table()).unwrap()).collect();
    let mut steps: Vec<_> = states
        .iter_mut()
        .map(|state| {
            state.attach(|cx| {
                cx.guest::<Toy>().unwrap().state.slice = NonZeroU32::new(7);
                cx.exec(SUM)
            })
        })
        .collect();
    while steps.contains(&Ok(Step::Yielded)) {
        for (state, step) in states.iter_mut().zip(&mut steps) {
            if *step == Ok(Step::Yielded) {
                *step = state.attach(|cx| cx.resume());
            }
        }
    }
    assert_eq!(steps, vec![Ok(int(5050)); 10]);
}

#[test]
fn a_program_yields_and_waits() {
    within(&InterpreterConfig::isolated(), |cx| {
        assert_eq!(cx.exec(b"push 1; yield; push 250; sleep; wait; halt"), Step::Yielded);
        assert_eq!(cx.resume(), Step::Waiting(Waiting::For(Duration::from_millis(250))));
        assert_eq!(cx.resume(), Step::Waiting(Waiting::Event));
        assert_eq!(cx.resume(), int(1));
    });
}

#[test]
fn an_exception_is_thrown_into_a_waiting_program() {
    within(&InterpreterConfig::isolated(), |cx| {
        assert_eq!(cx.exec(b"try oops; wait; halt; oops: push 1; add; halt"), Step::Waiting(Waiting::Event));
        cx.guest::<Toy>().unwrap().thread.throw(100);
        assert_eq!(cx.resume(), int(101));
        assert_eq!(cx.exec(b"wait; halt"), Step::Waiting(Waiting::Event));
        cx.guest::<Toy>().unwrap().thread.throw(100);
        assert_eq!(cx.resume(), Step::Failed(Fault::Raised(100)));
        assert_eq!(cx.guest::<Toy>().unwrap().thread.exception(), Some(100));
    });
}

#[test]
fn interrupts_end_the_run() {
    within(&InterpreterConfig::isolated().with_fuel(Some(1000)), |cx| {
        assert_eq!(cx.exec(b"loop: jump loop"), Step::Failed(Interrupt::OutOfFuel.into()));
        assert_eq!(cx.guest_state::<Toy>().unwrap().executed, 1000);
        assert_eq!(cx.fuel(), Some(0));
        assert!(!cx.is_running());
        cx.set_fuel(Some(2));
        assert_eq!(cx.exec(b"push 1; halt"), int(1));
    });
    within(&InterpreterConfig::isolated(), |cx| {
        let run = cx.with_fuel(1000, |cx| cx.exec(b"loop: jump loop"));
        assert_eq!((run.value, run.left, run.ran_out), (Step::Failed(Interrupt::OutOfFuel.into()), 0, true));
        assert_eq!(cx.guest_state::<Toy>().unwrap().executed, 1000);
        let run = cx.with_deadline(Duration::from_millis(10), |cx| cx.exec(b"loop: jump loop")).unwrap();
        assert_eq!(run.value, Step::Failed(Interrupt::Deadline.into()));
        assert_eq!(cx.exec(b"push 1; halt"), int(1));
    });
    let config = InterpreterConfig::isolated().with_deadline(Some(Duration::from_millis(10)));
    within(&config, |cx| {
        assert_eq!(cx.exec(b"loop: jump loop"), Step::Failed(Interrupt::Deadline.into()));
    });
}

#[test]
fn another_thread_interrupts_and_ends_it() {
    let runtime = Runtime::new().unwrap();
    let config = InterpreterConfig::isolated().with_allow_daemon_threads(true);
    let id = runtime.create(&config, table()).unwrap().interpreter();
    let handle = runtime.interpreter(id).unwrap();
    // Daemons: an end waits for other threads, and does not tell them.
    let run = |expected: Interrupt| {
        runtime
            .spawn_daemon(id, move |cx| {
                assert_eq!(cx.exec(b"loop: jump loop"), Step::Failed(expected.into()))
            })
            .unwrap()
    };
    let worker = run(Interrupt::Requested);
    while !handle.is_running().unwrap() {
        std::thread::yield_now();
    }
    handle.interrupt().unwrap();
    worker.join().unwrap();

    let worker = run(Interrupt::Finalizing);
    while !handle.is_running().unwrap() {
        std::thread::yield_now();
    }
    let ledger = runtime.end(id, None).unwrap();
    assert_eq!(ledger.destructors_skipped, 0);
    worker.join().unwrap();
}

static ADDS_ONE: PendingCall<archipelago::StdHost> = PendingCall::new(
    |cx, amount| {
        *cx.guest::<Toy>().map_err(|_| PendingFailed)?.state.global_mut(5).ok_or(PendingFailed)? +=
            amount as i64;
        Ok(())
    },
    1,
);

#[test]
fn pending_calls_run_at_safepoints_and_see_the_state() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), table()).unwrap();
    let port = runtime.interpreter(state.interpreter()).unwrap().port().unwrap();
    port.add(&ADDS_ONE).unwrap();
    // The program loops until the call has run.
    let step = state.attach(|cx| cx.exec(b"loop: load 5; jz loop; load 5; halt"));
    assert_eq!(step, Ok(int(1)));
}

#[test]
fn one_run_at_a_time_and_each_thread_state_has_its_own() {
    let runtime = Runtime::new().unwrap();
    let mut first = runtime.create(&InterpreterConfig::isolated(), table()).unwrap();
    let mut second = runtime.thread_state(first.interpreter()).unwrap();
    let refused = |error: GuestError| Ok(Step::Failed(Fault::Refused(error)));
    assert_eq!(first.attach(|cx| cx.exec(b"push 1; yield; halt; fn two: push 2; ret")), Ok(Step::Yielded));
    assert_eq!(second.attach(|cx| cx.exec(b"halt")), refused(GuestError::AlreadyRunning));
    assert_eq!(second.attach(|cx| cx.resume()), refused(GuestError::NotRunning));
    first.attach(|cx| cx.abandon()).unwrap();
    assert_eq!(second.attach(|cx| cx.call("two", &[])), Ok(int(2)), "the program is the interpreter's");
    assert_eq!(first.attach(|cx| cx.resume()), refused(GuestError::NotRunning));
    assert_eq!(first.attach(|cx| cx.exec(b"push 3; halt")), Ok(int(3)));
}

#[test]
fn a_frame_evaluation_function_stands_between() {
    within(&InterpreterConfig::isolated(), |cx| {
        cx.set_frame_eval(Some(|cx, throwing| {
            *cx.guest::<Toy>().unwrap().state.global_mut(9).unwrap() += 1;
            match <Toy as archipelago_kernel::guest::Guest<_>>::eval(cx, throwing) {
                Step::Done(Value::Int(value)) => int(value + 1000),
                step => step,
            }
        }));
        assert_eq!(cx.exec(b"push 1; yield; halt"), Step::Yielded);
        assert_eq!(cx.resume(), int(1001));
        assert_eq!(cx.guest_state::<Toy>().unwrap().global(9), Some(2));
        cx.set_frame_eval(None);
        assert_eq!(cx.exec(b"push 1; halt"), int(1));
        assert_eq!(cx.exec(b"push 1; raise"), Step::Failed(Fault::Raised(Exception::Overflow as u32)));
    });
}
