//! Group q: pending calls in slots of the kernel's, the holder's own, and main's.

use core::sync::atomic::Ordering::Relaxed;

use archipelago_kernel::{
    Attached, ThreadState, config::InterpreterConfig, error::PendingError, eval::PendingFailed,
};
use archipelago_loom_tests::{Carry, LoomHost, LoomRuntime, as_handler, model, own_gil, port, second};
use loom::thread;

use crate::pending::{call, count, counter, until_ran};

/// A new interpreter with room for so many calls: blocks are no longer than that.
fn with_room(rt: LoomRuntime, calls: u32) -> ThreadState<'static, LoomHost> {
    rt.create(&InterpreterConfig::isolated().with_pending_calls(calls), None).unwrap()
}

/// Model 8: the first two calls race for extras and for the block: there is one of each, and both calls have a slot.
#[test]
fn two_adders() {
    model("calls::two_adders", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = with_room(rt, 2);
        let (port, (first, ran), (last, ran2)) = (port(&state), counter(), counter());
        let thread = thread::spawn(move || port.call(count, first).unwrap());
        port.call(count, last).unwrap();
        thread.join().unwrap();
        assert_eq!(port.call(count, last), Err(PendingError::Full), "room for two, whoever was first");
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!((ran.load(Relaxed), ran2.load(Relaxed)), (1, 1));
    });
}

/// Model 8: two race for the last slot: one has it, and the other is told.
#[test]
fn one_slot_for_two() {
    model("calls::one_slot_for_two", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = with_room(rt, 1);
        let (port, (argument, ran)) = (port(&state), counter());
        // The block is there.
        port.call(count, argument).unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        let thread = thread::spawn(move || port.call(count, argument));
        let mine = port.call(count, argument);
        let theirs = thread.join().unwrap();
        assert!(matches!(
            (mine, theirs),
            (Ok(()), Err(PendingError::Full)) | (Err(PendingError::Full), Ok(()))
        ));
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 2);
    });
}

/// Model 8: a slot is taken again while its call is taken out: what is in it is one call or the other.
#[test]
fn full_against_a_pass() {
    model("calls::full_against_a_pass", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = with_room(rt, 1);
        let (port, (first, ran), (last, ran2)) = (port(&state), counter(), counter());
        port.call(count, first).unwrap();
        let thread = thread::spawn(move || port.call(count, last));
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        let added = thread.join().unwrap();
        assert!(matches!(added, Ok(()) | Err(PendingError::Full)));
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!((ran.load(Relaxed), ran2.load(Relaxed)), (1, added.is_ok().into()));
        assert_eq!(port.call(count, last), Ok(()), "it is free again");
    });
}

/// Model 8: what was added before the end runs there, and no block goes while somebody adds.
#[test]
fn call_against_end() {
    model("calls::call_against_end", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = with_room(rt, 1);
        let (port, (argument, ran)) = (port(&state), counter());
        let thread = thread::spawn(move || port.call(count, argument));
        rt.end(state.interpreter(), None).unwrap();
        let added = thread.join().unwrap();
        assert!(matches!(added, Ok(()) | Err(PendingError::Ended)));
        assert_eq!(ran.load(Relaxed), usize::from(added.is_ok()));
    });
}

/// Model 8: the holder puts its call where nothing waits, while another thread pushes one.
#[test]
fn holder_against_adder() {
    model("calls::holder_against_adder", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (port, (theirs, ran), (mine, ran2)) = (port(&state), call(), call());
        let thread = thread::spawn(move || port.add(theirs).unwrap());
        state
            .attach(|cx| {
                cx.add_call(mine).unwrap();
                cx.safepoint().unwrap();
            })
            .unwrap();
        thread.join().unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!((ran.load(Relaxed), ran2.load(Relaxed)), (1, 1));
    });
}

/// Model 8: the holder adds a call and lets the GIL go: somebody who waits detached runs it.
#[test]
fn holder_adds_and_detaches() {
    model("calls::holder_adds_and_detaches", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (other, (call, ran)) = (second(&state), call());
        let thread = thread::spawn(move || waits_for(other, ran));
        state
            .attach(|cx| {
                cx.add_call(call).unwrap();
                // It does not come back before that.
                cx.detach(|| thread.join().unwrap());
            })
            .unwrap();
        assert_eq!(ran.load(Relaxed), 1);
    });
}

/// Model 8: as before, but the holder's frame closes.
#[test]
fn holder_adds_and_leaves() {
    model("calls::holder_adds_and_leaves", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = own_gil(rt);
        let (other, (call, ran)) = (second(&state), call());
        let thread = thread::spawn(move || waits_for(other, ran));
        state.attach(|cx| cx.add_call(call).unwrap()).unwrap();
        thread.join().unwrap();
        assert_eq!(ran.load(Relaxed), 1);
    });
}

/// Blocks in the interpreter until the call has run.
fn waits_for(other: Carry, ran: crate::pending::Ran) {
    other.take().attach(|cx| until_ran(cx, ran)).unwrap();
}

/// Model 8: main's only thread state goes and another comes while a call for main's thread is added.
#[test]
fn mains_call_against_birth() {
    model("calls::mains_call_against_birth", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let (argument, ran) = counter();
        let old = rt.thread_state(main).unwrap();
        let thread = thread::spawn(move || rt.call_main(count, argument).unwrap());
        drop(old);
        let mut new = rt.thread_state(main).unwrap();
        thread.join().unwrap();
        new.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 1);
    });
}

fn note_thread(cx: &mut Attached<'_, LoomHost>, ran: usize) -> Result<(), PendingFailed> {
    for _ in 0..cx.thread_id() {
        count(cx, ran)?;
    }
    Ok(())
}

/// Model 8: another thread of main's is told too, and leaves the call to main's thread, which does not lose it by that.
#[test]
fn mains_call_against_another_thread() {
    model("calls::mains_call_against_another_thread", |rt| {
        let main = rt.initialize(None).unwrap().main();
        let (argument, ran) = counter();
        let mut state = rt.thread_state(main).unwrap();
        let other = second(&state);
        let thread = thread::spawn(move || {
            rt.call_main(note_thread, argument).unwrap();
            other.take().attach(|cx| cx.safepoint().unwrap()).unwrap();
        });
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        thread.join().unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed) as u64, state.id(), "once, through this thread state");
    });
}

/// Model 8: a call for main's thread against main's end: it runs there, or is refused.
#[test]
fn mains_call_against_finalize() {
    model("calls::mains_call_against_finalize", |rt| {
        let _ = rt.initialize(None).unwrap();
        let (argument, ran) = counter();
        let thread = thread::spawn(move || rt.call_main(count, argument));
        rt.finalize(None).unwrap();
        let added = thread.join().unwrap();
        assert!(matches!(added, Ok(()) | Err(PendingError::Ended)));
        assert_eq!(ran.load(Relaxed), usize::from(added.is_ok()));
    });
}

/// Model 8: a handler finds its slot whatever a thread adds meanwhile.
#[test]
fn a_handler_and_a_thread() {
    model("calls::a_handler_and_a_thread", |rt| {
        let _ = rt.initialize(None).unwrap();
        let mut state = with_room(rt, 1);
        let (port, (argument, ran)) = (port(&state), counter());
        rt.interpreter(state.interpreter()).unwrap().reserve_calls(1).unwrap();
        port.call(count, argument).unwrap();
        let handler = thread::spawn(move || as_handler(|| port.call(count, argument)).unwrap());
        assert_eq!(port.call(count, argument), Err(PendingError::Full), "the reserve is not for threads");
        handler.join().unwrap();
        state.attach(|cx| cx.safepoint().unwrap()).unwrap();
        assert_eq!(ran.load(Relaxed), 2);
    });
}

/// Model 8: two set slots aside at once: there are as many as asked for, and no more.
#[test]
fn two_reserves() {
    model("calls::two_reserves", |rt| {
        let _ = rt.initialize(None).unwrap();
        let state = with_room(rt, 0);
        let id = state.interpreter();
        let reserve = move || rt.interpreter(id).unwrap().reserve_calls(2).unwrap();
        let thread = thread::spawn(reserve);
        reserve();
        thread.join().unwrap();
        let (port, (argument, _)) = (port(&state), counter());
        let added = [0, 1, 2].map(|_| as_handler(|| port.call(count, argument)));
        assert_eq!(added, [Ok(()), Ok(()), Err(PendingError::NoSlot)]);
    });
}
