//! Reset: an interpreter becomes as it was when it was created, and stays the same one.
#![allow(unsafe_code)]

use core::{alloc::Layout, cell::Cell, panic::AssertUnwindSafe, time::Duration};
use std::{panic::catch_unwind, sync::Barrier, thread};

use archipelago_kernel::{
    Attached, Host, Runtime,
    config::InterpreterConfig,
    error::{AttachError, CreateError, EndError, GuestError, HandleError, Interrupt, ResetError},
    guest::{Guest, GuestTable, Plain, Step, Value},
    interpreter::Phase,
    memory::{Domain, MemoryLimits},
    object::InterpreterLocal,
};

use crate::{
    TestHost,
    support::{Gate, Log, Noisy, Scribe, Told, create, list_all, scaled, strategies, throw},
};

/// A guest that counts its runs, and can be told not to start.
struct Counter;

std::thread_local! {
    /// What `start` does on this thread.
    static START: Cell<Option<fn() -> GuestError>> = const { Cell::new(None) };
}

impl<H: Host> Guest<H> for Counter {
    type State = Plain<i64>;
    type Thread = Plain<i64>;

    fn start(cx: &mut Attached<'_, H>) -> Result<i64, GuestError> {
        match START.take() {
            // It has used memory by then, and what it registered goes too.
            Some(refuse) => {
                cx.allocate(Domain::Mem, Layout::new::<[u64; 20]>())?;
                Err(refuse())
            }
            None => Ok(0),
        }
    }

    fn start_thread(_: &mut Attached<'_, H>) -> Result<i64, GuestError> {
        Ok(0)
    }

    /// Says how often it ran: in the interpreter and in the thread state.
    fn exec(cx: &mut Attached<'_, H>, _: &[u8]) -> Step {
        match cx.guest::<Counter>() {
            Ok(parts) => {
                *parts.state += 1;
                *parts.thread += 1;
                Step::Done(Value::Int(*parts.state * 100 + *parts.thread))
            }
            Err(error) => Step::Failed(error.into()),
        }
    }

    fn resume(_: &mut Attached<'_, H>) -> Step {
        Step::Done(Value::None)
    }
}

fn counter<H: Host>() -> Option<&'static GuestTable<H>> {
    Some(GuestTable::of::<Counter>())
}

static KEPT: InterpreterLocal<Plain<Noisy>> = InterpreterLocal::new();

fn ran(state: i64, thread: i64) -> Step {
    Step::Done(Value::Int(state * 100 + thread))
}

/// SPEC: L14
pub fn a_reset_interpreter_is_as_new<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let config =
            preset.with_memory_limit(Some(100_000)).with_memory_soft_limit(Some(90_000)).with_fuel(Some(50));
        let mut state = rt.create(&config, counter()).unwrap();
        let (id, first) = (state.interpreter(), state.id());
        let handle = rt.interpreter(id).unwrap();
        let seen =
            || (handle.usage(), handle.config(), handle.whence(), handle.threads(), handle.is_running());
        // Blocks that main's heap keeps are there from the first program on.
        let use_it = |state: &mut archipelago_kernel::ThreadState<'_, H>| {
            state.attach(|cx| {
                assert_eq!((cx.exec(b""), cx.exec(b"")), (ran(1, 1), ran(2, 2)));
                let (noisy, drops) = Noisy::new();
                KEPT.set(cx, cx.alloc_plain(noisy).ok().unwrap()).ok().unwrap();
                let name = cx.global(cx.alloc_plain(41_u64).unwrap()).ok().unwrap();
                core::mem::forget(cx.alloc_plain([3_u64; 3]));
                cx.allocate(Domain::Mem, Layout::new::<[u64; 30]>()).unwrap();
                cx.charge(1000).unwrap();
                assert_eq!(cx.spend(20), Ok(()));
                cx.set_memory_limits(MemoryLimits::none()).unwrap();
                cx.set_frame_eval(Some(|_, _| Step::Yielded));
                (name, drops)
            })
        };
        let before = seen();
        let (old_name, drops) = use_it(&mut state).unwrap();
        let mut other = rt.thread_state(id).unwrap();
        other.attach(|cx| assert_eq!(cx.exec(b""), ran(3, 1))).unwrap();
        let ledger = state.reset(None).unwrap();
        assert_eq!((ledger.objects, ledger.leaked.mem.blocks, ledger.leaked.raw.bytes), (2, 1, 1000));
        assert_eq!(drops.count(), 1);
        assert_eq!((state.interpreter(), seen()), (id, before));
        assert!(state.id() > first, "numbers of thread states are not used again");
        assert_eq!(other.attach(|_| ()), Err(AttachError::Ended));
        assert_eq!(other.reset(None), Err(ResetError::ThreadEnded));
        drop(other);
        let in_use = H::raw_in_use(&rt);
        for _ in 0..3 {
            state
                .attach(|cx| {
                    assert_eq!(cx.id(), id);
                    assert_eq!((cx.fuel(), cx.memory_limits()), (Some(50), config.memory_limits()));
                    assert!(KEPT.get(cx).is_none() && cx.frame_eval().is_none());
                    assert_eq!(cx.local(&old_name).map(|value| *value.get()), Err(HandleError::Stale));
                    let name = cx.global(cx.alloc_plain(42_u64).unwrap()).ok().unwrap();
                    assert_eq!(cx.local(&name).map(|value| *value.get()), Ok(42));
                    assert_eq!(cx.local(&old_name).map(|value| *value.get()), Err(HandleError::Stale));
                    cx.release_global(&name).unwrap();
                    assert_eq!(cx.local(&old_name).map(|value| *value.get()), Err(HandleError::Stale));
                })
                .unwrap();
            use_it(&mut state).unwrap();
            state.reset(None).unwrap();
            assert_eq!((seen(), H::raw_in_use(&rt)), (before, in_use), "all of it goes back");
        }
        assert!(
            handle.stats().is_ok_and(|stats| (stats.switches, stats.waits) == (1, 0)),
            "of the guest's start"
        );
        assert!(rt.end(id, None).unwrap().is_clean());
    }
    assert!(rt.finalize(None).is_ok());
}

/// SPEC: L14, E5, C7
pub fn what_the_config_sets_is_set_again<H: TestHost>() {
    let rt = H::started();
    let config = InterpreterConfig::isolated()
        .with_deadline(Some(Duration::from_secs(30)))
        .with_switch_interval(Some(Duration::from_millis(7)))
        .with_bound_to_thread(true);
    let mut state = rt.create(&config, None).unwrap();
    let id = state.interpreter();
    state
        .attach(|cx| {
            cx.set_switch_interval(Duration::from_millis(1));
            cx.set_deadline(Some(Duration::ZERO)).unwrap();
            H::pass(&rt, Duration::from_millis(1));
            rt.tick();
        })
        .unwrap();
    assert!(state.reset(None).is_ok());
    thread::scope(|s| {
        s.spawn(|| {
            rt.ensure(id, |cx| {
                assert_eq!(cx.switch_interval(), Duration::from_millis(7));
                rt.tick();
                assert_eq!(cx.safepoint(), Ok(()), "the deadline of before is gone");
            })
            .unwrap();
        });
    });
    assert_eq!(state.attach(|_| ()), Err(AttachError::WrongThread), "bound to the first after the reset");
    assert!(rt.end(id, None).is_ok());
}

/// SPEC: L14
pub fn who_may_not_end_it_may_not_reset_it<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    assert_eq!(main.reset(None), Err(EndError::Main.into()));
    for config in strategies::<H>() {
        let mut state = rt.create(&config, counter()).unwrap();
        let id = state.interpreter();
        let again = || rt.thread_state(id).unwrap().reset(None);
        let mut other = rt.create(&config, None).unwrap();
        state.attach(|cx| assert_eq!(cx.exec(b""), ran(1, 1))).unwrap();
        scribe.take();
        state
            .attach(|cx| {
                assert_eq!(again(), Err(EndError::Current.into()));
                assert_eq!(cx.detach(again), Err(EndError::WouldDeadlock.into()));
            })
            .unwrap();
        other.attach(|_| assert_eq!(again(), Err(EndError::AlreadyAttached.into()))).unwrap();
        if let Some(answer) = H::in_handler(|| state.reset(None)) {
            assert_eq!(answer, Err(EndError::InInterrupt.into()));
        }
        assert_eq!(scribe.take(), [], "nobody was told");
        scribe.veto_clearing(true);
        assert_eq!(state.reset(None), Err(EndError::Vetoed.into()));
        scribe.veto_clearing(false);
        state.attach(|cx| assert_eq!(cx.exec(b""), ran(2, 2), "it is as before")).unwrap();
        let id_of_other = other.interpreter();
        assert!(rt.end(id_of_other, None).is_ok());
        assert_eq!(other.reset(None), Err(ResetError::ThreadEnded));
        assert!(rt.end(id, None).is_ok());
    }
}

/// SPEC: L14, L10
pub fn out_of_patience_it_has_become_an_end<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, counter()).unwrap();
        let id = state.interpreter();
        let (inside, go) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            s.spawn(|| {
                rt.ensure(id, |cx| {
                    cx.detach(|| {
                        inside.open();
                        go.wait();
                    });
                    assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing));
                })
                .unwrap();
            });
            inside.wait();
            assert_eq!(state.reset(Some(Duration::ZERO)), Err(EndError::StillActive.into()));
            assert_eq!(state.reset(Some(Duration::ZERO)), Err(EndError::InProgress.into()));
            assert_eq!(state.attach(|_| ()), Err(AttachError::Finalizing));
            go.open();
        });
        assert_eq!(rt.interpreter(id).map(drop).ok(), None, "the last one out ended it");
        assert_eq!(state.reset(None), Err(ResetError::ThreadEnded));
    }
}

/// SPEC: L14, L10
pub fn running_code_is_told_and_leaves<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, counter()).unwrap();
        let id = state.interpreter();
        let inside = Gate::new();
        thread::scope(|s| {
            s.spawn(|| {
                rt.ensure(id, |cx| {
                    cx.detach(|| inside.open());
                    while cx.safepoint().is_ok() {}
                    assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing));
                    assert!(cx.alloc_plain(1_u8).is_err());
                })
                .unwrap();
            });
            inside.wait();
            assert!(state.reset(None).is_ok());
        });
        assert_eq!(rt.interpreter(id).unwrap().phase(), Ok(Phase::Running));
        rt.ensure(id, |cx| assert_eq!(cx.exec(b""), ran(1, 1))).unwrap();
        state.attach(|cx| assert_eq!(cx.exec(b""), ran(2, 1))).unwrap();
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// SPEC: L14, E2
pub fn ports_go_on_and_owed_calls_run_once<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, counter()).unwrap();
        let port = rt.interpreter(state.interpreter()).unwrap().port().unwrap();
        let log = Log::new();
        port.add(log.call(1)).unwrap();
        port.interrupt().unwrap();
        assert!(state.reset(None).is_ok());
        assert_eq!(log.values(), [1], "before the guest was taken down");
        port.add(log.call(2)).unwrap();
        state
            .attach(|cx| assert_eq!(cx.safepoint(), Ok(()), "the interrupt was the program's of before"))
            .unwrap();
        assert_eq!(log.values(), [1, 2]);
        port.interrupt().unwrap();
        state.attach(|cx| assert_eq!(cx.safepoint(), Err(Interrupt::Requested))).unwrap();
        assert!(rt.end(state.interpreter(), None).is_ok());
        assert!(port.interrupt().is_err());
    }
}

/// SPEC: L14, R5
pub fn observers_are_told_of_a_reset<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let mut state = rt.create(&InterpreterConfig::isolated(), counter()).unwrap();
    let id = state.interpreter();
    scribe.take();
    let ledger = state.reset(None).unwrap();
    assert_eq!(scribe.take(), [Told::Clearing(id), Told::Reset(id, ledger)]);
    START.set(Some(|| GuestError::StartFailed));
    assert!(state.reset(None).is_err());
    assert!(
        matches!(scribe.take()[..], [Told::Clearing(one), Told::Ended(other, _)] if one == id && other == id)
    );
}

/// SPEC: L14, L16
pub fn a_guest_that_does_not_start_again_ends_the_interpreter<H: TestHost>() {
    let rt = H::started();
    let before = list_all(&rt);
    for config in strategies::<H>() {
        for attempt in [(|| GuestError::StartFailed) as fn() -> GuestError, || throw()] {
            let mut warm = rt.create(&config, counter()).unwrap();
            assert!(warm.reset(None).is_ok());
            let in_use = H::raw_in_use(&rt);
            START.set(Some(attempt));
            let answer = catch_unwind(AssertUnwindSafe(|| warm.reset(None)));
            if let Ok(answer) = answer {
                assert_eq!(answer, Err(CreateError::GuestFailed.into()));
            }
            assert!(START.take().is_none(), "it was tried");
            assert_eq!(list_all(&rt), before);
            assert_eq!(warm.attach(|_| ()), Err(AttachError::Ended));
            drop(warm);
            let next = rt.create(&config, counter()).unwrap();
            assert_eq!(H::raw_in_use(&rt), in_use, "nothing leaks");
            assert!(rt.end(next.interpreter(), None).unwrap().is_clean());
        }
    }
}

/// Dropping panics.
struct Thorn;

impl Drop for Thorn {
    fn drop(&mut self) {
        if !thread::panicking() {
            throw();
        }
    }
}

/// SPEC: L14, L11
pub fn a_destructor_that_panics_ends_it<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    for config in strategies::<H>() {
        let mut state = rt.create(&config, counter()).unwrap();
        state.attach(|cx| core::mem::forget(cx.alloc_plain(Thorn))).unwrap();
        scribe.take();
        assert!(catch_unwind(AssertUnwindSafe(|| state.reset(None))).is_err(), "the panic goes on");
        let ledgers = scribe.ended();
        assert_eq!(ledgers.len(), 1);
        assert_eq!((ledgers[0].0, ledgers[0].1.destructors_skipped), (state.interpreter().number(), 1));
        assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
    }
    assert!(rt.finalize(None).is_ok());
}

/// SPEC: L14, L15
pub fn of_many_that_reset_it_each_is_answered<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let many = scaled(6, 3);
        let start = Barrier::new(many);
        let done = thread::scope(|s| {
            let threads: Vec<_> = (0..many)
                .map(|_| {
                    s.spawn(|| {
                        let mut done = 0;
                        start.wait();
                        for _ in 0..scaled(50, 3) {
                            // It may be away at this moment.
                            let Ok(mut state) = rt.thread_state(id) else { continue };
                            match state.reset(None) {
                                Ok(_) => {
                                    done += 1;
                                    // Another one may have begun.
                                    let _ = state.attach(|cx| assert_eq!(cx.id(), id));
                                }
                                Err(ResetError::ThreadEnded | ResetError::End(EndError::InProgress)) => {}
                                Err(other) => panic!("{other}"),
                            }
                        }
                        done
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert!(done > 0);
        assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(0));
        rt.ensure(id, |cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// SPEC: L14, M6
pub fn memory_is_flat_over_many_resets<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, counter()).unwrap();
        let id = state.interpreter();
        let mut flat = None;
        for round in 0..scaled(300, 5) {
            state
                .attach(|cx| {
                    for n in 0..20 {
                        core::mem::forget(cx.alloc_plain([n; 50]));
                    }
                })
                .unwrap();
            assert_eq!(state.reset(None).unwrap().objects, 20);
            let now = (H::raw_in_use(&rt), Runtime::count(&rt), rt.interpreter(id).unwrap().usage());
            assert_eq!(*flat.get_or_insert(now), now, "round {round}");
        }
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}
