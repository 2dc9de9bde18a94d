//! Group k: a deadline that passes while thread states come and go.

use core::time::Duration;

use archipelago_kernel::{Host as _, ThreadState, config::InterpreterConfig, error::Interrupt};
use archipelago_loom_tests::{Carry, Flag, LoomHost, LoomRuntime, as_handler, model, own_gil};
use loom::thread;

type State = ThreadState<'static, LoomHost>;

const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(1000);

const LATE: Result<(), Interrupt> = Err(Interrupt::Deadline);

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

/// Time passes on another thread, which looks.
fn timer(rt: LoomRuntime) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        rt.host().clock().advance(SOON);
        rt.tick();
    })
}

/// A deadline that passes inside an inner scope, in which the error is swallowed, is told again outside.
#[test]
fn inner_and_outer() {
    model("deadline::inner_and_outer", |rt| {
        let _ = rt.initialize(None).unwrap();
        own_gil(rt)
            .attach(|cx| {
                let outer = cx.with_deadline(SOON, |cx| {
                    let timer = timer(rt);
                    let inner = cx.with_deadline(LATER, |cx| cx.safepoint() == LATE).unwrap();
                    assert!(inner.expired || !inner.value, "told, so expired");
                    timer.join().unwrap();
                    assert_eq!([cx.safepoint(), cx.safepoint()], [LATE, Ok(())]);
                });
                assert!(outer.unwrap().expired);
                assert_eq!(cx.safepoint(), Ok(()));
            })
            .unwrap();
    });
}

/// A scope that closes at the moment its deadline passes leaves nothing behind.
fn close_against(name: &str, tick: fn(LoomRuntime)) {
    model(name, move |rt| {
        let _ = rt.initialize(None).unwrap();
        own_gil(rt)
            .attach(|cx| {
                let timer = cx.with_deadline(SOON, |_| {
                    rt.host().clock().advance(SOON);
                    thread::spawn(move || tick(rt))
                });
                timer.unwrap().value.join().unwrap();
                assert_eq!((cx.safepoint(), rt.tick()), (Ok(()), None));
            })
            .unwrap();
    });
}

#[test]
fn close_against_tick() {
    close_against("deadline::close_against_tick", |rt| assert_eq!(rt.tick(), None));
}

#[test]
fn close_against_a_handlers_tick() {
    close_against("deadline::close_against_a_handlers_tick", |rt| {
        // It may find the lock taken.
        assert!(matches!(as_handler(|| rt.tick()), None | Some(Duration::ZERO)));
    });
}

/// The interpreter's deadline passes as a scope opens or closes: whatever is told inside is told outside once.
#[test]
fn tick_against_a_scope() {
    model("deadline::tick_against_a_scope", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = overdue(rt);
        let timer = thread::spawn(move || rt.tick());
        state
            .attach(|cx| {
                let scope = cx.with_deadline(LATER, |cx| {
                    let _swallowed = cx.safepoint();
                });
                assert!(!scope.unwrap().expired, "it is not its own");
            })
            .unwrap();
        timer.join().unwrap();
        assert!(told(&mut state));
    });
}

/// What is entered from a scope is bound by it, and what is around the entered frame is told as well.
#[test]
fn tick_against_enter() {
    model("deadline::tick_against_enter", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut other = own_gil(rt);
        own_gil(rt)
            .attach(|cx| {
                let scope = cx.with_deadline(SOON, |cx| {
                    let timer = timer(rt);
                    let inside = cx.enter(&mut other, |cy| {
                        timer.join().unwrap();
                        [cy.safepoint(), cy.safepoint()]
                    });
                    assert_eq!(inside, Ok([LATE, Ok(())]));
                    [cx.safepoint(), cx.safepoint()]
                });
                assert_eq!(scope.unwrap().value, [LATE, Ok(())]);
            })
            .unwrap();
        assert!(!told(&mut other));
    });
}

/// A scope's deadline ends a blocked wait, whenever it passes.
#[test]
fn tick_against_wait() {
    model("deadline::tick_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        own_gil(rt)
            .attach(|cx| {
                let scope = cx.with_deadline(SOON, |cx| {
                    let timer = timer(rt);
                    let flag = Flag::default();
                    let told = cx.wait(&flag, || flag.block()).and_then(|()| cx.safepoint());
                    timer.join().unwrap();
                    told
                });
                assert_eq!(scope.unwrap().value, LATE);
            })
            .unwrap();
    });
}
