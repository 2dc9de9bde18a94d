//! Group r: the loss of the last reference against main's thread, against ends, and against new references.

use core::time::Duration;

use archipelago_kernel::{
    ThreadState,
    error::{EndError, LookupError},
    interpreter::{Decref, Interpreter},
};
use archipelago_loom_tests::{LoomHost, LoomRuntime, as_handler, is_gone, model, own_gil, second};
use loom::thread;

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Main, and an interpreter that is linked and has so many references.
fn linked(
    rt: LoomRuntime,
    references: u32,
) -> (ThreadState<'static, LoomHost>, ThreadState<'static, LoomHost>, Interpreter<'static, LoomHost>) {
    let main = rt.thread_state(rt.initialize(None).unwrap().main()).unwrap();
    let state = own_gil(rt);
    let of = rt.interpreter(state.interpreter()).unwrap();
    of.link().unwrap();
    for count in 1..=references {
        assert_eq!(of.incref(), Ok(count));
    }
    (main, state, of)
}

/// Main's thread runs what it was told of.
fn passes(main: &mut ThreadState<'static, LoomHost>) {
    main.attach(|cx| cx.safepoint().unwrap()).unwrap();
}

/// Model 15: the last reference is given back inside the interpreter: main's thread ends it, at its next safepoint at last.
#[test]
fn inside_against_main() {
    model("references::inside_against_main", |rt| {
        let (mut main, state, of) = linked(rt, 1);
        let other = second(&state);
        let thread = thread::spawn(move || {
            other.take().attach(|_| assert_eq!(of.decref(), Ok(Decref::Queued))).unwrap();
        });
        passes(&mut main);
        thread.join().unwrap();
        passes(&mut main);
        assert!(is_gone(rt, of.id()));
    });
}

/// Model 15: of two that give one back each, one ends it.
#[test]
fn decref_twice() {
    model("references::decref_twice", |rt| {
        let (_main, state, of) = linked(rt, 2);
        drop(state);
        let thread = thread::spawn(move || of.decref().unwrap());
        let given = [of.decref().unwrap(), thread.join().unwrap()];
        assert!(is_gone(rt, of.id()));
        assert!(given.contains(&Decref::Left(1)), "{given:?}");
        assert!(given.iter().any(|given| matches!(given, Decref::Ended(_))), "{given:?}");
    });
}

/// Model 15: somebody ends it meanwhile: one of the two does.
#[test]
fn decref_against_end() {
    model("references::decref_against_end", |rt| {
        let (mut main, state, of) = linked(rt, 1);
        drop(state);
        let thread = thread::spawn(move || of.decref());
        let ended = of.end(None);
        let given = thread.join().unwrap();
        match ended {
            Ok(_) => assert!(matches!(given, Ok(Decref::Queued) | Err(LookupError::NotFound)), "{given:?}"),
            Err(error) => {
                assert!(matches!(error, EndError::InProgress | EndError::NotFound), "{error}");
                assert!(matches!(given, Ok(Decref::Ended(_))));
            }
        }
        assert!(is_gone(rt, of.id()));
        passes(&mut main);
    });
}

/// Model 15: a new reference takes the queued end back, or is refused.
#[test]
fn incref_against_the_queued_end() {
    model("references::incref_against_the_queued_end", |rt| {
        let (mut main, state, of) = linked(rt, 1);
        drop(state);
        main.attach(|_| assert_eq!(of.decref(), Ok(Decref::Queued))).unwrap();
        let thread = thread::spawn(move || of.incref());
        passes(&mut main);
        match thread.join().unwrap() {
            Ok(count) => {
                assert_eq!(count, 1);
                passes(&mut main);
                assert!(matches!(of.decref(), Ok(Decref::Ended(_))), "it was kept");
            }
            Err(error) => assert_eq!(error, LookupError::NotFound),
        }
        assert!(is_gone(rt, of.id()));
    });
}

/// Model 15: a guard is in the way until main's thread has looked, or not: it looks again.
#[test]
fn guard_given_back_against_main() {
    model("references::guard_given_back_against_main", |rt| {
        let (mut main, state, of) = linked(rt, 1);
        drop(state);
        let guard = of.guard().unwrap();
        main.attach(|_| assert_eq!(of.decref(), Ok(Decref::Queued))).unwrap();
        let thread = thread::spawn(move || drop(guard));
        passes(&mut main);
        thread.join().unwrap();
        passes(&mut main);
        assert!(is_gone(rt, of.id()));
    });
}

/// Model 15: as before, with a thread that is to be joined.
#[test]
fn ticket_given_back_against_main() {
    model("references::ticket_given_back_against_main", |rt| {
        let (mut main, state, of) = linked(rt, 1);
        drop(state);
        let ticket = of.join_ticket().unwrap();
        main.attach(|_| assert_eq!(of.decref(), Ok(Decref::Queued))).unwrap();
        let thread = thread::spawn(move || drop(ticket));
        passes(&mut main);
        thread.join().unwrap();
        passes(&mut main);
        assert!(is_gone(rt, of.id()));
    });
}

/// Model 15: an end that somebody else asked for is in the way, and gives up because of a guard that is given back then.
#[test]
fn end_that_gives_up_against_main() {
    model("references::end_that_gives_up_against_main", |rt| {
        let (mut main, state, of) = linked(rt, 1);
        drop(state);
        let guard = of.guard().unwrap();
        main.attach(|_| assert_eq!(of.decref(), Ok(Decref::Queued))).unwrap();
        let thread = thread::spawn(move || of.end(NOW).map(drop));
        drop(guard);
        passes(&mut main);
        let ended = thread.join().unwrap();
        let given_up = [EndError::StillGuarded, EndError::InProgress, EndError::NotFound];
        assert!(ended.is_ok() || ended.is_err_and(|error| given_up.contains(&error)), "{ended:?}");
        passes(&mut main);
        assert!(is_gone(rt, of.id()));
    });
}

/// Model 15: a handler gives the last one back, whoever has the lock.
#[test]
fn handler_against_main() {
    model("references::handler_against_main", |rt| {
        let (mut main, state, of) = linked(rt, 1);
        drop(state);
        let port = of.port().unwrap();
        let thread = thread::spawn(move || as_handler(|| assert_eq!(port.decref(), Ok(Decref::Queued))));
        passes(&mut main);
        thread.join().unwrap();
        passes(&mut main);
        assert!(is_gone(rt, of.id()));
    });
}

/// Model 15: of two handlers that give one back each at the same time, which no lock keeps apart, one queues the end.
#[test]
fn decref_twice_without_the_lock() {
    model("references::decref_twice_without_the_lock", |rt| {
        let (mut main, state, of) = linked(rt, 2);
        drop(state);
        let port = of.port().unwrap();
        let gives_back = move || as_handler(|| port.decref().unwrap());
        let thread = thread::spawn(gives_back);
        let mut given = [gives_back(), thread.join().unwrap()];
        given.sort_by_key(|given| *given == Decref::Queued);
        assert_eq!(given, [Decref::Left(1), Decref::Queued]);
        passes(&mut main);
        assert!(is_gone(rt, of.id()));
    });
}
