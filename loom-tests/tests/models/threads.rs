//! Group c: requests to thread states that come and go, and blocked waits.

use archipelago_kernel::{
    Attached,
    error::{AttachError, Interrupt, ThreadError},
    eval::Raise,
};
use archipelago_loom_tests::{Flag, Guarded, LoomHost, LoomRuntime, model, own_gil, second};
use loom::{sync::Arc, thread};

/// Model 6: an interrupt and a drop request to a thread state that is being deleted, whose slot gets the next one.
#[test]
fn requests_against_delete() {
    model("threads::requests_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut keeper = own_gil(rt);
        let (going, number) = (second(&keeper), Guarded::new());
        let (id, theirs) = (keeper.interpreter(), number.clone());
        let thread = thread::spawn(move || {
            let mut going = going.take();
            going.attach(|_| theirs.bump()).unwrap();
            let before = going.id();
            drop(going);
            // Most often in the same slot.
            let mut next = rt.thread_state(id).unwrap();
            assert_ne!(next.id(), before);
            next.attach(|cx| {
                theirs.bump();
                assert!(matches!(cx.safepoint(), Ok(()) | Err(Interrupt::Requested)));
            })
            .unwrap();
        });
        // Waits behind the one and the other, so it asks both.
        keeper.attach(|_| number.bump()).unwrap();
        rt.interpreter(id).unwrap().interrupt().unwrap();
        thread.join().unwrap();
        keeper
            .attach(|cx| {
                assert_eq!(cx.safepoint(), Err(Interrupt::Requested));
                assert_eq!(number.get(), 3);
            })
            .unwrap();
        assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(1));
    });
}

/// Model 6: the end of an interpreter against the drop of one of its thread states.
#[test]
fn end_against_delete() {
    model("threads::end_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let thread = thread::spawn(move || drop(other.take()));
        rt.end(state.interpreter(), None).unwrap();
        // Its thread states get the slots that became free, each its own.
        let next = own_gil(rt);
        let more = second(&next).take();
        thread.join().unwrap();
        assert_ne!(next.id(), more.id());
        assert_eq!(rt.interpreter(next.interpreter()).unwrap().threads(), Ok(2));
        drop(state);
        drop(more);
        assert_eq!(rt.interpreter(next.interpreter()).unwrap().threads(), Ok(1));
    });
}

/// Model 10: an interrupt ends a blocked wait, whenever it comes.
#[test]
fn interrupt_against_wait() {
    model("threads::interrupt_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let id = state.interpreter();
        let thread = thread::spawn(move || rt.interpreter(id).unwrap().interrupt().unwrap());
        state
            .attach(|cx| {
                let flag = Flag::default();
                // Refused before it blocks, or woken: it does not hang, and the reason is told once.
                let told = cx.wait(&flag, || flag.block()).and_then(|()| cx.safepoint());
                assert_eq!(told, Err(Interrupt::Requested));
                assert_eq!(cx.safepoint(), Ok(()));
            })
            .unwrap();
        thread.join().unwrap();
    });
}

/// Model 10: the end of the interpreter ends a blocked wait, and waits for its frame.
#[test]
fn end_against_wait() {
    model("threads::end_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let thread = thread::spawn(move || {
            let _ = other.take().attach(|cx| {
                let flag = Flag::default();
                let told = cx.wait(&flag, || flag.block()).and_then(|()| cx.safepoint());
                assert_eq!(told, Err(Interrupt::Finalizing));
            });
        });
        rt.end(state.interpreter(), None).unwrap();
        thread.join().unwrap();
    });
}

/// Model 10: two reasons at once, one wait.
#[test]
fn two_interrupts_against_wait() {
    model("threads::two_interrupts_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let id = state.interpreter();
        let flag = Arc::new(Flag::default());
        let thread = thread::spawn(move || {
            let interpreter = rt.interpreter(id).unwrap();
            interpreter.interrupt().unwrap();
            interpreter.interrupt().unwrap();
        });
        state
            .attach(|cx| {
                let told = cx.wait(&*flag, || flag.block()).and_then(|()| cx.safepoint());
                assert_eq!(told, Err(Interrupt::Requested));
            })
            .unwrap();
        thread.join().unwrap();
        // The waker is gone with the wait; an interrupt now finds none.
        rt.interpreter(id).unwrap().interrupt().unwrap();
    });
}

/// What is raised in a thread state that is being deleted does not reach the next in its slot.
#[test]
fn raise_against_delete() {
    model("threads::raise_against_delete", |rt| {
        let _ = rt.initialize(None).unwrap();
        let keeper = own_gil(rt);
        let id = keeper.interpreter();
        let going = second(&keeper).take();
        let number = going.id();
        let thread = thread::spawn(move || {
            let raised = rt.interpreter(id).unwrap().raise_in(number, Raise::new(7));
            assert!(matches!(raised, Ok(None) | Err(ThreadError::Stale)), "{raised:?}");
        });
        drop(going);
        let mut next = rt.thread_state(id).unwrap();
        let told = next.attach(|cx| (cx.safepoint(), cx.take_raised()));
        assert_eq!(told, Ok((Ok(()), None)));
        thread.join().unwrap();
        let told = next.attach(|cx| (cx.safepoint(), cx.take_raised()));
        assert_eq!(told, Ok((Ok(()), None)));
    });
}

/// What is raised ends a blocked wait, whenever it comes.
#[test]
fn raise_against_wait() {
    model("threads::raise_against_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (id, number) = (state.interpreter(), state.id());
        let thread = thread::spawn(move || rt.interpreter(id).unwrap().raise_in(number, Raise::new(7)));
        state
            .attach(|cx| {
                let flag = Flag::default();
                let told = cx.wait(&flag, || flag.block()).and_then(|()| cx.safepoint());
                assert_eq!((told, cx.take_raised()), (Err(Interrupt::Raised), Raise::new(7)));
                assert_eq!(cx.safepoint(), Ok(()));
            })
            .unwrap();
        assert_eq!(thread.join().unwrap(), Ok(None));
    });
}

/// Two raise at once: each number is seen by the thread state, or by whoever replaced it, and by one of them only.
#[test]
fn two_raises() {
    model("threads::two_raises", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (id, number) = (state.interpreter(), state.id());
        let raise = move |what| rt.interpreter(id).unwrap().raise_in(number, Raise::new(what)).unwrap();
        let thread = thread::spawn(move || raise(1));
        let (mine, first) = state
            .attach(|cx| {
                let mine = raise(2);
                assert_eq!(cx.safepoint(), Err(Interrupt::Raised), "its own at least");
                (mine, cx.take_raised())
            })
            .unwrap();
        let theirs = thread.join().unwrap();
        let last = state.attach(|cx| match cx.safepoint() {
            Ok(()) => None,
            Err(interrupt) => {
                assert_eq!(interrupt, Interrupt::Raised);
                cx.take_raised()
            }
        });
        let mut seen: Vec<_> = [mine, theirs, first, last.unwrap()].into_iter().flatten().collect();
        seen.sort_by_key(|raise| raise.get());
        assert_eq!(seen.iter().map(|raise| raise.get()).collect::<Vec<_>>(), [1, 2]);
    });
}

/// A wait inside another: a token for the inner one is ensured while the outer one blocks. What comes meanwhile ends
/// both, so neither hangs.
fn wait_in_a_wait(rt: LoomRuntime, cx: &mut Attached<'_, LoomHost>) -> [Result<(), Interrupt>; 2] {
    let (id, outer, inner) = (cx.id(), Flag::default(), Flag::default());
    let mut told = Ok(());
    let waited = cx.wait(&outer, || {
        told = match rt.ensure(id, |cx| cx.wait(&inner, || inner.block()).and_then(|()| cx.safepoint())) {
            Ok(told) => told,
            Err(error) => {
                assert_eq!(error, AttachError::Finalizing);
                Err(Interrupt::Finalizing)
            }
        };
        outer.block();
    });
    [told, waited.and_then(|()| cx.safepoint())]
}

/// Model 10: an interrupt that comes during an inner wait ends the outer one too, and is told once.
#[test]
fn interrupt_against_nested_wait() {
    model("threads::interrupt_against_nested_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let id = state.interpreter();
        let thread = thread::spawn(move || rt.interpreter(id).unwrap().interrupt().unwrap());
        let told = state.attach(|cx| wait_in_a_wait(rt, cx)).unwrap();
        assert_eq!(told.iter().filter(|told| **told == Err(Interrupt::Requested)).count(), 1, "{told:?}");
        thread.join().unwrap();
    });
}

/// Model 10: the end that comes during an inner wait ends both, and waits for their frame.
#[test]
fn end_against_nested_wait() {
    model("threads::end_against_nested_wait", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = own_gil(rt);
        let other = second(&state);
        let thread = thread::spawn(move || {
            if let Ok([_, told]) = other.take().attach(|cx| wait_in_a_wait(rt, cx)) {
                assert_eq!(told, Err(Interrupt::Finalizing));
            }
        });
        rt.end(state.interpreter(), None).unwrap();
        thread.join().unwrap();
    });
}
