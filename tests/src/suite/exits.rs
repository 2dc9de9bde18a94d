//! What an end does before anybody is refused anything: shutdown hooks, joins, at-exit callbacks.
#![allow(unsafe_code)]

use core::{cell::Cell, panic::AssertUnwindSafe, ptr, time::Duration};
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{
    Attached, Host, Runtime,
    config::InterpreterConfig,
    error::{EndError, RuntimeError, ThreadError},
    guest::GuestTable,
    interpreter::{ExitFailed, JoinTicket, Phase},
    memory::{AllocCause, Domain},
};
use archipelago_toy_guest::Toy;

use crate::{
    TestHost,
    support::{Log, create, strategies, throw, until},
};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Notes its argument, and fails where that is odd.
fn note<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), ExitFailed> {
    let value = Log::note(argument, cx.id().number());
    if value.is_multiple_of(2) { Ok(()) } else { Err(ExitFailed) }
}

/// Notes its argument and registers [`note`] with the next two.
fn note_and_more<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), ExitFailed> {
    Log::note(argument, cx.id().number());
    cx.at_exit(note::<H>, argument + 2).map_err(|_| ExitFailed)?;
    cx.on_shutdown(note::<H>, argument + 4).map_err(|_| ExitFailed)?;
    Ok(())
}

/// SPEC: L13
/// CPython: test_atexit.SubinterpreterTest.test_callbacks_leak
pub fn callbacks_run_last_in_first_out<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let log = Log::new();
        state
            .attach(|cx| {
                let before = cx.usage().mem.blocks;
                cx.at_exit(note::<H>, log.argument(2)).unwrap();
                let gone = cx.at_exit(note::<H>, log.argument(4)).unwrap();
                cx.at_exit(note::<H>, log.argument(6)).unwrap();
                cx.on_shutdown(note::<H>, log.argument(8)).unwrap();
                cx.at_exit(note_and_more::<H>, log.argument(10)).unwrap();
                cx.at_exit(note::<H>, log.argument(1)).unwrap();
                assert!(cx.forget_exit(gone));
                assert!(!cx.forget_exit(gone), "it is gone");
                assert_eq!(cx.usage().mem.blocks, before + 5);
            })
            .unwrap();
        let ledger = rt.end(id, None).unwrap();
        assert!(ledger.is_clean(), "{ledger:?}");
        assert_eq!(ledger.callbacks_failed, 1);
        // What a callback registers comes in the same end, in the next round: its hook before its callback.
        assert_eq!(log.entries(), [8, 1, 10, 6, 2, 14, 12].map(|value| (value, id.number())));
    }
}

/// SPEC: L8, L10, L13
/// CPython: test_threading.SubinterpThreadingTests.test_threads_join_with_no_main
pub fn hooks_then_joins_then_callbacks<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let log = Log::new();
        let ticket = rt.interpreter(id).unwrap().join_ticket().unwrap();
        assert_eq!((ticket.id(), rt.interpreter(id).unwrap().stats().unwrap().joinable), (id, 1));
        state
            .attach(|cx| {
                cx.at_exit(note::<H>, log.argument(2)).unwrap();
                cx.on_shutdown(note::<H>, log.argument(8)).unwrap();
            })
            .unwrap();
        let rt = &rt;
        thread::scope(|s| {
            s.spawn(move || {
                let until_here: JoinTicket<'_, H> = ticket;
                until("the hook tells the thread", || log.values() == [8]);
                // It is not refused anything, and what it registers is run too.
                rt.ensure(id, |cx| {
                    assert_eq!(cx.safepoint(), Ok(()));
                    cx.at_exit(note::<H>, log.argument(4)).unwrap();
                    Log::note(log.argument(6), 0);
                })
                .unwrap();
                drop(until_here);
            });
            assert!(rt.end(id, None).unwrap().is_clean());
        });
        assert_eq!(log.values(), [8, 6, 4, 2]);
    }
}

/// SPEC: L8, L10
/// CPython: test_threading.SubinterpThreadingTests.test_threads_join
pub fn out_of_patience_nothing_is_refused<H: TestHost>() {
    for config in strategies::<H>() {
        let rt = H::started();
        let mut state = rt.create(&config, None).unwrap();
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        let log = Log::new();
        state.attach(|cx| cx.at_exit(note::<H>, log.argument(2)).map(drop)).unwrap().unwrap();
        let (ticket, another) = (interpreter.join_ticket().unwrap(), interpreter.join_ticket().unwrap());
        assert_eq!(interpreter.end(NOW), Err(EndError::StillRunning));
        assert_eq!(interpreter.close(NOW), Err(EndError::StillRunning));
        drop(another);
        assert_eq!(state.reset(NOW).err(), Some(EndError::StillRunning.into()));
        assert_eq!(rt.finalize(NOW).err(), Some(RuntimeError::StillRunning));
        assert_eq!((interpreter.phase(), interpreter.is_running()), (Ok(Phase::Running), Ok(false)));
        assert_eq!((log.values().len(), interpreter.threads()), (0, Ok(1)));
        drop(ticket);
        assert!(interpreter.end(NOW).is_ok());
        assert_eq!(log.values(), [2]);
        assert_eq!(interpreter.join_ticket().err(), Some(ThreadError::NotFound));
        assert!(rt.finalize(None).is_ok());
    }
}

/// Whoever has a guard may register and start threads to the last; the end goes back to them.
///
/// SPEC: L9, L13
pub fn a_guard_holder_registers_late<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let view = rt.interpreter(id).unwrap().view().unwrap();
        let log = Log::new();
        let guard = view.guard().unwrap();
        thread::scope(|s| {
            let ender = s.spawn(|| rt.end(id, None));
            until("the end waits for guards", || view.guard().is_err());
            guard.ensure(|cx| cx.at_exit(note::<H>, log.argument(2)).map(drop)).unwrap().unwrap();
            until("it ran", || !log.values().is_empty());
            let ticket = view.interpreter().join_ticket().unwrap();
            drop(guard);
            rt.ensure(id, |cx| cx.at_exit(note::<H>, log.argument(4)).map(drop)).unwrap().unwrap();
            drop(ticket);
            assert!(ender.join().unwrap().unwrap().is_clean());
        });
        assert_eq!(log.values(), [2, 4]);
    }
}

/// SPEC: L13, L7, L8
pub fn callbacks_are_ordinary_code<H: TestHost>() {
    fn run<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), ExitFailed> {
        assert_eq!(cx.safepoint(), Ok(()));
        assert!(cx.exec(b"halt").is_over());
        assert!(cx.detach(|| true) && cx.exec(b"halt").is_over());
        cx.alloc_plain([1_u8; 40]).map_err(|_| ExitFailed)?.release(cx);
        note(cx, argument)
    }
    let rt = H::started();
    for config in strategies::<H>() {
        for close in [false, true] {
            let mut state = rt.create(&config, Some(GuestTable::of::<Toy>())).unwrap();
            let interpreter = rt.interpreter(state.interpreter()).unwrap();
            let log = Log::new();
            state.attach(|cx| cx.at_exit(run::<H>, log.argument(2)).map(drop)).unwrap().unwrap();
            let ledger = if close { interpreter.close(None) } else { interpreter.end(None) }.unwrap();
            assert!(ledger.is_clean() && ledger.callbacks_failed == 0, "{ledger:?}");
            assert_eq!(log.values(), [2]);
        }
    }
}

/// Whoever ends it runs the callbacks, also where only one thread may be attached.
///
/// SPEC: L13, C7
pub fn any_thread_may_run_them<H: TestHost>() {
    let rt = H::started();
    let isolated = InterpreterConfig::isolated();
    for config in [isolated.with_bound_to_thread(true), isolated.with_always_new_thread(true)] {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let log = Log::new();
        state.attach(|cx| cx.at_exit(note::<H>, log.argument(2)).map(drop)).unwrap().unwrap();
        let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
        thread::scope(|s| {
            s.spawn(|| assert!(rt.end(id, None).unwrap().is_clean()));
        });
        assert_eq!(log.values(), [2]);
        let other = {
            let mut state = rt.create(&config, None).unwrap();
            state.attach(|cx| cx.at_exit(note::<H>, log.argument(4)).map(drop)).unwrap().unwrap();
            state.interpreter()
        };
        main.attach(|cx| assert!(cx.detach(|| rt.end(other, None)).is_ok())).unwrap();
        assert_eq!(log.values(), [2, 4]);
    }
}

/// SPEC: L13, L10
pub fn a_callback_that_panics_leaves_the_rest_for_the_next_end<H: TestHost>() {
    fn thorn<H: Host>(_: &mut Attached<'_, H>, _: usize) -> Result<(), ExitFailed> {
        throw()
    }
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, Some(GuestTable::of::<Toy>())).unwrap();
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        let log = Log::new();
        state
            .attach(|cx| {
                cx.at_exit(note::<H>, log.argument(2)).unwrap();
                cx.at_exit(thorn::<H>, 0).unwrap();
                cx.at_exit(note::<H>, log.argument(4)).unwrap();
            })
            .unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| interpreter.end(None))).is_err());
        assert_eq!((log.values(), interpreter.phase()), (vec![4], Ok(Phase::Running)));
        assert_eq!(interpreter.threads(), Ok(1));
        state.attach(|cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
        assert!(interpreter.end(None).unwrap().is_clean());
        assert_eq!(log.values(), [4, 2]);
    }
}

/// SPEC: L10, L13
pub fn an_end_from_a_callback_is_refused<H: TestHost>() {
    fn ends<H: TestHost>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), ExitFailed> {
        // SAFETY: the test passes its runtime, which it keeps until the end has returned.
        let rt = unsafe { &*ptr::with_exposed_provenance::<Runtime<H>>(argument) };
        let id = cx.id();
        assert_eq!(rt.end(id, None), Err(EndError::Current));
        assert_eq!(rt.finalize(None).err(), Some(RuntimeError::AlreadyAttached));
        assert_eq!(cx.detach(|| rt.end(id, None)), Err(EndError::WouldDeadlock));
        assert_eq!(cx.detach(|| rt.finalize(None)).err(), Some(RuntimeError::WouldDeadlock));
        // Another one may be made and ended.
        let other = cx.detach(|| create(rt, &InterpreterConfig::isolated()));
        cx.detach(|| rt.end(other, None)).map(drop).map_err(|_| ExitFailed)
    }
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let this = ptr::from_ref(&rt).expose_provenance();
        state.attach(|cx| cx.at_exit(ends::<H>, this).map(drop)).unwrap().unwrap();
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert_eq!((ledger.is_clean(), ledger.callbacks_failed), (true, 0));
    }
}

std::thread_local! {
    static GOES_ON: Cell<bool> = const { Cell::new(false) };
}

/// Callbacks that register one another for ever keep an end with a time limit no longer than that.
///
/// SPEC: L10, L13
pub fn callbacks_without_end_are_given_up<H: TestHost>() {
    fn again<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), ExitFailed> {
        Log::note(argument, 0);
        match GOES_ON.get() {
            true => cx.at_exit(again::<H>, argument).map(drop).map_err(|_| ExitFailed),
            false => Ok(()),
        }
    }
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let log = Log::new();
        state.attach(|cx| cx.at_exit(again::<H>, log.argument(2)).map(drop)).unwrap().unwrap();
        GOES_ON.set(true);
        for round in 1..4 {
            assert_eq!(rt.end(id, NOW), Err(EndError::StillRunning));
            assert_eq!(log.values().len(), round, "what is there is run, also without patience");
            state.attach(|cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
        }
        GOES_ON.set(false);
        assert!(rt.end(id, NOW).unwrap().is_clean());
    }
}

/// SPEC: L13, R4
/// CPython: test_atexit.SubinterpreterTest.test_callbacks_leak_refcycle
pub fn a_runtime_runs_all_of_them<H: TestHost>() {
    let rt = H::started();
    let log = Log::new();
    let mut expected = Vec::new();
    let mut states = vec![rt.thread_state(rt.main().unwrap()).unwrap()];
    states.extend(strategies::<H>().iter().map(|config| rt.create(config, None).unwrap()));
    for (n, state) in states.iter_mut().enumerate() {
        state.attach(|cx| cx.at_exit(note::<H>, log.argument(2 * n)).map(drop)).unwrap().unwrap();
        expected.insert(0, (2 * n, state.interpreter().number()));
    }
    drop(states);
    let ledger = rt.finalize(None).unwrap();
    assert_eq!((ledger.unclean, log.entries()), (0, expected));
}

/// SPEC: L13, L14
pub fn a_reset_runs_them_once<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let log = Log::new();
        state.attach(|cx| cx.at_exit(note::<H>, log.argument(1)).map(drop)).unwrap().unwrap();
        assert_eq!(state.reset(None).unwrap().callbacks_failed, 1);
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert_eq!((ledger.callbacks_failed, log.values()), (0, vec![1]));
    }
}

/// SPEC: L13, M6
pub fn a_callback_is_charged_and_may_be_refused<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let footprint = Runtime::<H>::INTERPRETER_BYTES;
        let mut state = rt.create(&config.with_memory_limit(Some(footprint + 8)), None).unwrap();
        state
            .attach(|cx| {
                let refused = cx.at_exit(note::<H>, 0).unwrap_err();
                assert_eq!((refused.domain, refused.cause), (Domain::Mem, AllocCause::HardLimit));
                assert_eq!(cx.usage().mem.blocks, 0);
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}
