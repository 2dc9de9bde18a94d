//! Group k: a deadline that passes while thread states come and go.

use core::time::Duration;

use archipelago_kernel::{Host as _, ThreadState, config::InterpreterConfig, error::Interrupt};
use archipelago_loom_tests::{Carry, LoomHost, LoomRuntime, as_handler, model, own_gil};
use loom::thread;

type State = ThreadState<'static, LoomHost>;

const SOON: Duration = Duration::from_millis(1);

/// An interpreter whose deadline has passed, and nobody has looked yet.
fn overdue(rt: LoomRuntime) -> State {
    let state = rt.create(&InterpreterConfig::isolated().with_deadline(Some(SOON)), None).unwrap();
    rt.host().clock().advance(SOON);
    state
}

/// How often a thread state is told of a deadline: once or never.
fn told(state: &mut State) -> bool {
    state
        .attach(|cx| {
            let told = cx.safepoint() == Err(Interrupt::Deadline);
            assert_eq!(cx.safepoint(), Ok(()), "once");
            told
        })
        .unwrap()
}

/// A deadline that passes where no thread state is there is told to the first that comes, and to one that comes at the
/// same moment.
#[test]
fn tick_against_first_thread_state() {
    model("deadline::tick_against_first_thread_state", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = overdue(rt).interpreter();
        let timer = thread::spawn(move || assert_eq!(rt.tick(), None, "no other is armed"));
        let mut first = rt.thread_state(id).unwrap();
        timer.join().unwrap();
        let mut last = rt.thread_state(id).unwrap();
        assert_eq!((told(&mut first), told(&mut last)), (true, false));
    });
}

/// Two threads make the first thread state: one of them is told, or both.
#[test]
fn tick_against_two_thread_states() {
    model("deadline::tick_against_two_thread_states", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = overdue(rt).interpreter();
        let timer = thread::spawn(move || rt.tick());
        let other = thread::spawn(move || Carry::new(rt.thread_state(id).unwrap()));
        let mut mine = rt.thread_state(id).unwrap();
        timer.join().unwrap();
        let mut other = other.join().unwrap().take();
        let (mine, other) = (told(&mut mine), told(&mut other));
        assert!(mine || other);
    });
}

/// The last thread state goes at the moment the deadline passes: it was told, or the next is.
#[test]
fn tick_against_delete() {
    model("deadline::tick_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = overdue(rt);
        let id = state.interpreter();
        let timer = thread::spawn(move || {
            // A handler does not wait for the lock: it looks again at the next interrupt.
            while as_handler(|| rt.tick()) == Some(Duration::ZERO) {
                thread::yield_now();
            }
        });
        drop(state);
        let mut next = rt.thread_state(id).unwrap();
        timer.join().unwrap();
        told(&mut next);
        assert_eq!(rt.tick(), None, "it is not armed any more");
    });
}

/// A deadline that nobody was told of does not reach the slot's next interpreter.
#[test]
fn tick_against_end() {
    model("deadline::tick_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let id = overdue(rt).interpreter();
        let timer = thread::spawn(move || rt.tick());
        rt.end(id, None).unwrap();
        let mut next = own_gil(rt);
        timer.join().unwrap();
        assert!(!told(&mut next), "not for this one");
        assert_eq!(rt.tick(), None, "it is not armed any more");
    });
}
