//! Group l: what a panic leaves: of a destructor while an interpreter is taken down, of a guest while it
//! starts or ends, of an observer that is told of a creation.

use core::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use std::panic::{catch_unwind, resume_unwind};

use archipelago_kernel::{
    Attached,
    config::InterpreterConfig,
    error::{AttachError, CreateError, EndError, GuestError},
    guest::{Guest, GuestTable, Plain, Step},
    observe::{Event, Observer, ObserverNode, Veto},
};
use archipelago_loom_tests::{Heard, LoomHost, LoomRuntime, model, own_gil, second};
use loom::thread;

use crate::objects::drop_elsewhere;

/// Panics without a word, and answers whether it got through.
fn survives<R>(f: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_ok()
}

fn panic() -> ! {
    resume_unwind(Box::new(()))
}

/// A value whose destructor panics.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic();
    }
}

/// A guest with nothing to it but how it starts and ends.
struct Odd<const STARTS: bool, const ENDS: bool>;

impl<const STARTS: bool, const ENDS: bool> Guest<LoomHost> for Odd<STARTS, ENDS> {
    type State = Plain<()>;
    type Thread = Plain<()>;

    fn start(_: &mut Attached<'_, LoomHost>) -> Result<(), GuestError> {
        if STARTS { Ok(()) } else { panic() }
    }

    fn start_thread(_: &mut Attached<'_, LoomHost>) -> Result<(), GuestError> {
        Ok(())
    }

    fn exec(_: &mut Attached<'_, LoomHost>, _: &[u8]) -> Step {
        Step::Yielded
    }

    fn resume(_: &mut Attached<'_, LoomHost>) -> Step {
        Step::Yielded
    }

    fn end(_: &mut Attached<'_, LoomHost>) {
        if !ENDS {
            panic()
        }
    }
}

/// The slot and its GIL serve the next interpreter, whatever became of the last.
fn all_is_well(rt: LoomRuntime) {
    assert_eq!(rt.count(), Ok(1), "nothing is left of it");
    let mut next = own_gil(rt);
    assert_eq!(next.attach(|cx| cx.id()), Ok(next.interpreter()));
    assert!(rt.end(next.interpreter(), None).unwrap().is_clean());
}

/// A destructor panics while the interpreter is taken down, and another thread is on its way in.
#[test]
fn destructor_against_attach() {
    model("panics::destructor_against_attach", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let mut state = own_gil(rt);
        state.attach(|cx| core::mem::forget(cx.alloc_plain(Mine))).unwrap();
        let (other, id) = (second(&state), state.interpreter());
        let thread = thread::spawn(move || {
            let came = other.take().attach(|cx| drop(cx.alloc_plain(1u8)));
            assert!(matches!(came, Ok(()) | Err(AttachError::Finalizing | AttachError::Ended)));
        });
        assert!(!survives(|| rt.end(id, None)));
        assert_eq!(heard.ends(), (1, 0, 1), "told all the same");
        thread.join().unwrap();
        all_is_well(rt);
    });
}

/// As before, where the last one out completes the end: the panic is that thread's.
#[test]
fn destructor_and_the_last_one_out() {
    model("panics::destructor_and_the_last_one_out", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let mut state = own_gil(rt);
        state.attach(|cx| core::mem::forget(cx.alloc_plain(Mine))).unwrap();
        let (other, id) = (second(&state), state.interpreter());
        let thread = thread::spawn(move || survives(|| other.take().attach(|_| ())));
        let mut waited = Ok(());
        let ended = survives(|| waited = rt.end(id, Some(Duration::ZERO)).map(drop));
        assert!(matches!(waited, Ok(()) | Err(EndError::StillActive)));
        assert!(ended != thread.join().unwrap(), "one of them took it down");
        assert_eq!(heard.ends(), (1, 0, 1));
        all_is_well(rt);
    });
}

/// A guest panics at its end, and a second ender comes.
#[test]
fn guest_against_two_enders() {
    model("panics::guest_against_two_enders", |rt| {
        let _ = rt.initialize(None).unwrap();
        let guest = GuestTable::of::<Odd<true, false>>();
        let id = rt.create(&InterpreterConfig::isolated(), Some(guest)).unwrap().interpreter();
        let end = move || {
            let mut answer = Ok(());
            let survived = survives(|| answer = rt.end(id, None).map(drop));
            assert!(matches!(answer, Ok(()) | Err(EndError::InProgress | EndError::NotFound)));
            survived
        };
        let thread = thread::spawn(end);
        assert!(end() != thread.join().unwrap(), "one of them took it down");
        all_is_well(rt);
    });
}

/// A guest that panics when it starts undoes the creation, whoever finalizes meanwhile.
#[test]
fn roll_back_against_finalize() {
    model("panics::roll_back_against_finalize", |rt| {
        let _ = rt.initialize(None).unwrap();
        let heard = Heard::of(rt, 0);
        let thread = thread::spawn(move || {
            let mut answer = Ok(());
            let guest = GuestTable::of::<Odd<false, true>>();
            let create = || answer = rt.create(&InterpreterConfig::legacy(), Some(guest)).map(drop);
            if survives(create) {
                assert!(matches!(answer, Err(CreateError::NotRunning | CreateError::MainEnding)));
            }
        });
        assert!(rt.finalize(None).unwrap().main.is_clean());
        assert_eq!(rt.count(), Ok(0), "nobody is left behind");
        assert_eq!(heard.ends(), (0, 0, 0), "nobody was told of what never was");
        thread.join().unwrap();
    });
}

/// Panics when it is told of a sub-interpreter.
struct Unwilling(AtomicBool);

impl Observer for Unwilling {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        match event {
            Event::InterpreterCreated { .. } if self.0.swap(false, Relaxed) => panic(),
            _ => Ok(()),
        }
    }
}

/// An observer panics when it is told of a creation, and another thread has found the interpreter: the last one out
/// undoes it.
#[test]
fn undo_against_attach() {
    model("panics::undo_against_attach", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let unwilling: &'static Unwilling = Box::leak(Box::new(Unwilling(AtomicBool::new(true))));
        assert!(rt.observe(Box::leak(Box::new(ObserverNode::new(unwilling)))));
        let thread = thread::spawn(move || {
            let found = rt.head().unwrap();
            if found != main {
                let came = rt.ensure(found, |cx| drop(cx.alloc_plain(1u8)));
                assert!(!matches!(came, Err(AttachError::AlreadyAttached)));
            }
        });
        assert!(!survives(|| rt.create(&InterpreterConfig::isolated(), None)));
        thread.join().unwrap();
        all_is_well(rt);
    });
}

/// An observer panics when it is told of a creation, and another thread ends what it has found.
#[test]
fn undo_against_end() {
    model("panics::undo_against_end", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let unwilling: &'static Unwilling = Box::leak(Box::new(Unwilling(AtomicBool::new(true))));
        assert!(rt.observe(Box::leak(Box::new(ObserverNode::new(unwilling)))));
        let thread = thread::spawn(move || {
            let found = rt.head().unwrap();
            if found != main {
                let ended = rt.end(found, None);
                assert!(matches!(ended, Ok(_) | Err(EndError::InProgress | EndError::NotFound)));
            }
        });
        assert!(!survives(|| rt.create(&InterpreterConfig::isolated(), None)));
        thread.join().unwrap();
        all_is_well(rt);
    });
}

/// Counts its drops.
struct Noisy(&'static AtomicUsize);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A destructor panics while debts are settled, and another thread owes more: what was left is settled the next time.
#[test]
fn settle_against_owe() {
    model("panics::settle_against_owe", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let dropped: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
        state
            .attach(|cx| {
                let first = cx.alloc_plain(Noisy(dropped)).ok().unwrap();
                let last = cx.alloc_plain(Mine).ok().unwrap();
                let theirs = cx.alloc_plain(Noisy(dropped)).ok().unwrap();
                let thread = drop_elsewhere(theirs.into_edge());
                // The last one that is owed is settled first.
                cx.detach(|| drop((first, last)));
                assert!(!survives(|| cx.settle()));
                cx.detach(|| thread.join().unwrap());
                cx.settle();
                assert_eq!(dropped.load(Relaxed), 2, "each once");
            })
            .unwrap();
        rt.end(state.interpreter(), None).unwrap();
        all_is_well(rt);
    });
}
