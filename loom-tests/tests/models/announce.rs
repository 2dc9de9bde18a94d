//! Group j: of those who end one interpreter, one announces it and one takes it down.

use core::time::Duration;

use archipelago_kernel::{error::EndError, interpreter::Phase};
use archipelago_loom_tests::{Heard, is_gone, model, own_gil, second};
use loom::thread;

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Whether this end took it down; others may be at it, or have been.
fn ended<T>(answer: Result<T, EndError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error, EndError::InProgress | EndError::NotFound), "{error:?}");
            false
        }
    }
}

/// Model 4: two enders, one end: announced once, told once.
#[test]
fn two_enders() {
    model("announce::two_enders", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let id = own_gil(rt).interpreter();
        let thread = thread::spawn(move || ended(rt.end(id, None)));
        let (mine, other) = (ended(rt.end(id, None)), thread.join().unwrap());
        assert!(mine != other, "one of them ends it");
        assert!(is_gone(rt, id));
        assert_eq!(heard.ends(), (1, 0, 1));
    });
}

/// Model 4: one of two ends is vetoed; nothing has happened then, or the other did all of it.
#[test]
fn two_enders_and_a_veto() {
    model("announce::two_enders_and_a_veto", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 1);
        let id = own_gil(rt).interpreter();
        let thread = thread::spawn(move || rt.end(id, None));
        let answers = [rt.end(id, None), thread.join().unwrap()];
        assert_eq!(answers.iter().filter(|answer| **answer == Err(EndError::Vetoed)).count(), 1);
        let done = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(heard.ends(), (done, 0, done));
        if done == 0 {
            assert_eq!(rt.interpreter(id).unwrap().phase(), Ok(Phase::Running));
            rt.end(id, None).unwrap();
        }
        assert!(is_gone(rt, id));
    });
}

/// Model 4: two enders without patience, and a thread inside: whoever completes the end, it is announced once.
#[test]
fn two_enders_and_the_last_one_out() {
    model("announce::two_enders_and_the_last_one_out", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let mut state = own_gil(rt);
        let id = state.interpreter();
        let end = move || match rt.end(id, NOW) {
            Err(EndError::StillActive) => false,
            answer => ended(answer),
        };
        let enders = state.attach(|cx| cx.detach(|| [thread::spawn(end), thread::spawn(end)])).unwrap();
        for ender in enders {
            ender.join().unwrap();
        }
        assert!(is_gone(rt, id), "somebody completed it");
        assert_eq!(heard.ends(), (1, 0, 1));
    });
}

/// Model 4: an end without patience, and a thread inside that leaves at the last moment: one of them completes it.
#[test]
fn leave_against_defer() {
    model("announce::leave_against_defer", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let mut state = own_gil(rt);
        let id = state.interpreter();
        let ender = state.attach(|cx| cx.detach(|| thread::spawn(move || rt.end(id, NOW)))).unwrap();
        assert!(matches!(ender.join().unwrap(), Ok(_) | Err(EndError::StillActive)));
        assert!(is_gone(rt, id), "somebody completed it");
        assert_eq!(heard.ends(), (1, 0, 1));
    });
}

/// Model 4: an end whose patience runs out, against the last one out.
#[test]
fn patience_runs_out() {
    model("announce::patience_runs_out", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let state = own_gil(rt);
        let (other, id) = (second(&state), state.interpreter());
        let thread = thread::spawn(move || {
            let _ = other.take().attach(|_| ());
        });
        let answer = rt.end(id, Some(Duration::from_micros(1)));
        assert!(matches!(answer, Ok(_) | Err(EndError::StillActive)));
        thread.join().unwrap();
        assert!(is_gone(rt, id));
        assert_eq!(heard.ends(), (1, 0, 1));
    });
}

/// Model 9: an end against the finalization.
#[test]
fn end_against_finalize() {
    model("announce::end_against_finalize", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let id = own_gil(rt).interpreter();
        let thread = thread::spawn(move || ended(rt.end(id, None)));
        let left_over = rt.finalize(None).unwrap().left_over;
        let done = usize::from(thread.join().unwrap());
        assert_eq!((rt.count(), done + left_over), (Ok(0), 1), "one of them ended it");
        assert_eq!(heard.ends(), (1, left_over, 1));
    });
}

/// Model 4: an end against a close.
#[test]
fn end_against_close() {
    model("announce::end_against_close", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let interpreter = rt.interpreter(own_gil(rt).interpreter()).unwrap();
        let id = interpreter.id();
        let thread = thread::spawn(move || ended(rt.end(id, None)));
        let mine = ended(interpreter.close(None));
        assert!(mine != thread.join().unwrap());
        assert!(is_gone(rt, id));
        assert_eq!(heard.ends(), (1, 0, 1));
    });
}

/// Model 4: a vetoed close leaves the main slot free, whoever else tries to close meanwhile.
#[test]
fn two_closers_and_a_veto() {
    model("announce::two_closers_and_a_veto", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 1);
        let interpreter = rt.interpreter(own_gil(rt).interpreter()).unwrap();
        let id = interpreter.id();
        let thread =
            thread::spawn(move || rt.interpreter(id).ok().map(|interpreter| interpreter.close(None)));
        let answers = [Some(interpreter.close(None)), thread.join().unwrap()];
        let done = answers.iter().flatten().filter(|answer| answer.is_ok()).count();
        assert_eq!(heard.ends(), (done, 0, done));
        if done == 0 {
            assert_eq!(interpreter.is_running(), Ok(false), "{answers:?}");
            interpreter.close(None).unwrap();
        }
        assert!(is_gone(rt, id));
    });
}
