//! Traps that other runtimes fell into. Each test is named after what it keeps from happening.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::{alloc::Layout, time::Duration};
use std::sync::Mutex;

use archipelago_kernel::{
    Host, InterpreterId, Runtime,
    config::{ConfigValue, InterpreterConfig},
    error::{
        AttachError, ConfigError, CreateError, EndError, GuestError, HandleError, Interrupt, LookupError,
        PendingError, RuntimeError,
    },
    eval::{PendingCall, PendingFailed},
    guest::{Fault, GuestTable, Step},
    interpreter::Phase,
    memory::{AllocCause, Domain},
    thread::Attached,
};
use archipelago_tests::ScannedStdHost;
use archipelago_tests::{
    BareHost, TestHost,
    support::{Gate, Log, Noisy, Scribe, forever, until},
};
use archipelago_toy_guest::Toy;

macro_rules! traps {
    ($($test:ident)+) => {
        mod std_host {
            $(
                #[test]
                #[cfg_attr(all(miri, target_pointer_width = "32"), ignore = "Miri does not know its futex")]
                fn $test() {
                    super::$test::<super::ScannedStdHost>()
                }
            )+
        }
        mod bare_host { $(#[test] fn $test() { super::$test::<super::BareHost>() })+ }
    };
}

traps! {
    an_end_between_a_check_and_an_attach
    a_close_between_a_check_and_a_run
    a_thread_that_comes_back_into_a_finalizing_interpreter_hangs
    a_limit_below_the_boot_footprint_crashes
    a_limit_that_is_met_in_the_embedders_code_crashes
    process_wide_counters_stop_enforcing
    cleanup_for_an_interpreter_that_is_gone_reaches_the_next
    a_value_dropped_elsewhere_is_freed_elsewhere
    a_thread_waits_for_itself
    a_lock_of_the_host_and_the_gil_in_two_orders
    numbers_are_used_again
}

fn rounds(natively: usize) -> usize {
    if cfg!(miri) { 3 } else { natively }
}

fn isolated<H: Host>(rt: &Runtime<H>) -> InterpreterId {
    rt.create(&InterpreterConfig::isolated(), None).expect("memory").interpreter()
}

/// cpython issue 127041: "is it running?" and "end it" were two steps.
fn an_end_between_a_check_and_an_attach<H: TestHost>() {
    let rt = H::started();
    for _ in 0..rounds(200) {
        let id = isolated(&rt);
        let (inside, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let Ok(mut state) = rt.thread_state(id) else { return };
                    loop {
                        let answer = state.attach(|cx| {
                            assert!(!ended.load(Ordering::SeqCst), "attached to what has ended");
                            inside.fetch_add(1, Ordering::SeqCst);
                            cx.detach(std::thread::yield_now);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        });
                        match answer {
                            Ok(()) => {}
                            Err(AttachError::Finalizing | AttachError::Ended) => return,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                });
            }
            assert!(rt.end(id, None).is_ok());
            assert_eq!(inside.load(Ordering::SeqCst), 0, "nothing is taken down while somebody is inside");
            ended.store(true, Ordering::SeqCst);
        });
    }
}

/// The same between "is it running?" and a close: one excludes the other.
fn a_close_between_a_check_and_a_run<H: TestHost>() {
    let rt = H::started();
    for _ in 0..rounds(200) {
        let mut state =
            rt.create(&InterpreterConfig::isolated(), Some(GuestTable::of::<Toy>())).expect("memory");
        let handle = rt.interpreter(state.interpreter()).expect("it is listed");
        std::thread::scope(|scope| {
            let closer = scope.spawn(|| handle.close(None));
            let ran = state.attach(|cx| {
                let step = cx.exec(b"push 1; yield; halt");
                let ran = step == Step::Yielded;
                assert_eq!(ran, cx.is_running() && ran);
                if !ran {
                    let refused = Step::Failed(Fault::Refused(GuestError::AlreadyRunning));
                    let told = Step::Failed(Fault::Interrupted(Interrupt::Finalizing));
                    assert!(step == refused || step == told, "{step:?}");
                }
                cx.detach(std::thread::yield_now);
                cx.abandon();
                ran
            });
            let closed = closer.join().expect("it does not panic");
            match (closed, ran) {
                (Ok(_), Ok(false) | Err(AttachError::Finalizing | AttachError::Ended)) => {}
                (Err(EndError::Running), Ok(true)) => {}
                // The run was over before the close looked.
                (Ok(_), Ok(true)) => {}
                (closed, ran) => panic!("{closed:?} and {ran:?}"),
            }
        });
        drop(state);
        let _ = handle.close(None);
        assert_eq!(handle.phase(), Ok(Phase::Ended));
    }
}

/// cpython issue 109793: a thread that re-attached to a finalizing interpreter hung or was ended.
fn a_thread_that_comes_back_into_a_finalizing_interpreter_hangs<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let id = isolated(&rt);
    let (inside, leave) = (Gate::new(), Gate::new());
    let (dropped, drops) = Noisy::new();
    std::thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            let mut state = rt.thread_state(id).expect("memory");
            let told = state.attach(|cx| {
                let kept = cx.alloc_plain(dropped).ok().expect("memory");
                cx.detach(|| {
                    inside.open();
                    leave.wait();
                });
                // It has the GIL and its values; everything fallible says that it is over.
                let told = cx.safepoint();
                assert_eq!(
                    cx.alloc_plain(1_u8).map(drop).map_err(|(_, e)| e.cause),
                    Err(AllocCause::Finalizing)
                );
                assert_eq!(cx.safepoint(), told, "and says so again");
                assert_eq!(drops.count(), 0);
                kept.release(cx);
                assert_eq!(drops.count(), 1);
                told
            });
            assert_eq!(told, Ok(Err(Interrupt::Finalizing)));
            assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
        });
        inside.wait();
        assert_eq!(rt.end(id, Some(Duration::ZERO)), Err(EndError::StillActive));
        assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::Finalizing));
        assert_eq!(rt.interpreter(id).and_then(|handle| handle.phase()), Ok(Phase::Finalizing));
        leave.open();
        visitor.join().expect("it does not panic");
    });
    assert_eq!(rt.end(id, None), Err(EndError::NotFound), "the last one out completed it");
    let ended = scribe.ended();
    assert_eq!(ended.len(), 1);
    assert!(ended[0].1.is_clean(), "{ended:?}");
}

/// lupa issue 211, quickjs-ng issue 1181: a limit too small for the runtime itself.
fn a_limit_below_the_boot_footprint_crashes<H: TestHost>() {
    let rt = H::started();
    let step = if cfg!(miri) { 4096 } else { 512 };
    for preset in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        let mut worked = 0;
        for limit in (512..=64 * 1024).step_by(step) {
            let mut config = preset;
            config.set("memory_limit", ConfigValue::Int(limit)).expect("a setting");
            match rt.create(&config, Some(GuestTable::of::<Toy>())) {
                Ok(mut state) => {
                    worked += 1;
                    let step = state.attach(|cx| cx.exec(b"push 7; new; push 2; push 3; add; halt"));
                    assert!(matches!(step, Ok(step) if step.is_over()), "{limit}: {step:?}");
                    let id = state.interpreter();
                    drop(state);
                    assert!(rt.end(id, None).is_ok());
                }
                Err(error) => {
                    assert_eq!(error, CreateError::Config(ConfigError::LimitBelowFootprint), "{limit}");
                    assert_eq!(worked, 0, "{limit}: less was enough");
                }
            }
            assert_eq!(rt.count(), Ok(1));
        }
        assert!(worked > 0);
    }
}

/// CCF issue 5589: the limit was met while the embedder's code ran, not the script's.
fn a_limit_that_is_met_in_the_embedders_code_crashes<H: TestHost>() {
    let rt = H::started();
    let table = Some(GuestTable::of::<Toy>());
    let boot = rt.create(&InterpreterConfig::isolated(), table).expect("memory");
    let footprint =
        rt.interpreter(boot.interpreter()).and_then(|handle| handle.usage()).expect("it is listed");
    drop(boot);
    let config = InterpreterConfig::isolated().with_memory_limit(Some(footprint.bytes()));
    let mut state = rt.create(&config, table).expect("just enough");
    let id = state.interpreter();
    let full = |cause| cause == AllocCause::HardLimit;
    state
        .attach(|cx| {
            assert_eq!(cx.available(), 0);
            assert!(cx.alloc_plain(1_u8).map(drop).is_err_and(|(_, error)| full(error.cause)));
            for domain in Domain::ALL {
                assert!(cx.allocate(domain, Layout::new::<u8>()).is_err_and(|error| full(error.cause)));
            }
            assert!(cx.charge(1).is_err_and(|error| full(error.cause)));
            let data = cx.guest::<Toy>().map(|_| ());
            assert!(matches!(data, Err(GuestError::Alloc(error)) if full(error.cause)), "{data:?}");
            let step = cx.exec(b"push 7; new; halt");
            assert!(matches!(step, Step::Failed(Fault::NoMemory(error)) if full(error.cause)), "{step:?}");
            assert!(!cx.is_running());
            // What takes no memory of the interpreter goes on.
            assert_eq!(cx.safepoint(), Ok(()));
            let mut other = rt.thread_state(id).expect("a thread state is the runtime's");
            assert_eq!(cx.enter(&mut other, |cx| cx.id()), Ok(id));
            assert_eq!(cx.detach(|| rt.ensure(id, |cx| cx.id())), Ok(id));
        })
        .expect("nothing is attached");
    drop(state);
    assert!(rt.end(id, None).is_ok());
}

/// monty issue 740: with several interpreters, counters of the process stopped enforcing.
fn process_wide_counters_stop_enforcing<H: TestHost>() {
    let rt = H::started();
    let objects = |id: InterpreterId| {
        rt.ensure(id, |cx| {
            let mut count = 0;
            while let Ok(object) = cx.alloc_plain([0_u64; 16]) {
                core::mem::forget(object);
                count += 1;
                cx.detach(std::thread::yield_now);
            }
            assert!(cx.usage().bytes() <= cx.memory_limits().hard.expect("one was set"));
            count
        })
        .expect("nothing is attached")
    };
    for preset in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        let boot = rt.create(&preset, None).expect("memory");
        let footprint =
            rt.interpreter(boot.interpreter()).and_then(|handle| handle.usage()).expect("it is listed");
        drop(boot);
        let with_room = |room| {
            let config = preset.with_memory_limit(Some(footprint.bytes() + room));
            rt.create(&config, None).expect("memory").interpreter()
        };
        let alone: Vec<usize> = (1..=4).map(|n| objects(with_room(n * 1000))).collect();
        let ids: Vec<InterpreterId> = (1..=4).map(|n| with_room(n * 1000)).collect();
        let together: Vec<usize> = std::thread::scope(|scope| {
            let objects = &objects;
            let threads: Vec<_> = ids.iter().map(|id| scope.spawn(move || objects(*id))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        });
        assert_eq!(together, alone, "each has its own limit, whatever the others take");
        assert!(alone.windows(2).all(|pair| pair[0] < pair[1]), "{alone:?}");
    }
}

fn fail<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
    Log::note(argument, cx.id().number());
    Err(PendingFailed)
}

/// cpython issue 109556: cleanup was queued to an interpreter that was gone. A slot's next tenant must not get it.
fn cleanup_for_an_interpreter_that_is_gone_reaches_the_next<H: TestHost>() {
    let rt = H::started();
    let log = Log::new();
    let calls: Vec<&'static PendingCall<H>> =
        (0..40).map(|n| forever(PendingCall::new(fail::<H>, log.argument(n)))).collect();
    for preset in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        let before = log.entries().len();
        let mut state = rt.create(&preset, None).expect("memory");
        let old = rt.interpreter(state.interpreter()).expect("it is listed");
        let port = old.port().expect("it is listed");
        for call in &calls {
            assert_eq!(port.add(call), Ok(()));
        }
        let name = state.attach(|cx| cx.global(cx.alloc_plain(1_u8).expect("memory")).ok().expect("memory"));
        let name = name.expect("nothing is attached");
        old.interrupt().expect("it is listed");
        assert!(rt.end(old.id(), None).is_ok());
        let ran = log.entries().split_off(before);
        assert_eq!(ran.len(), calls.len());
        assert!(ran.iter().all(|(_, at)| *at == old.id().number()), "leftovers run in their own interpreter");
        assert!(calls.iter().all(|call| !call.is_queued()));

        // The next tenant of its memory.
        let mut next = rt.create(&preset, None).expect("memory");
        assert_eq!(port.add(calls[0]), Err(PendingError::Ended));
        assert_eq!(old.interrupt(), Err(LookupError::NotFound));
        next.attach(|cx| {
            assert_eq!(cx.safepoint(), Ok(()), "nobody interrupted this one");
            assert_eq!(cx.local(&name).map(|_| ()), Err(HandleError::WrongInterpreter));
            assert_eq!(cx.release_global(&name), Err(HandleError::WrongInterpreter));
        })
        .expect("nothing is attached");
        assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
        drop(state);
        assert_eq!(rt.interpreter(next.interpreter()).and_then(|handle| handle.threads()), Ok(1));
        assert_eq!(log.entries().len(), before + ran.len());
    }
}

/// pybind11: a value that was dropped without its interpreter was freed there and then.
fn a_value_dropped_elsewhere_is_freed_elsewhere<H: TestHost>() {
    let rt = H::started();
    let (first, drops) = Noisy::new();
    let second = drops.another();
    let mut here = rt.create(&InterpreterConfig::isolated(), None).expect("memory");
    let mut there = rt.create(&InterpreterConfig::isolated(), None).expect("memory");
    here.attach(|cx| {
        let first = cx.alloc_plain(first).ok().expect("memory");
        cx.detach(|| drop(first));
        assert_eq!(drops.count(), 0, "not without the GIL");
        let second = cx.alloc_plain(second).ok().expect("memory");
        cx.enter(&mut there, |other| {
            drop(second);
            other.settle();
            assert_eq!(other.safepoint(), Ok(()));
            assert_eq!((drops.count(), other.usage().object.blocks), (0, 0), "not by another interpreter");
        })
        .expect("it is alive");
        assert_eq!(cx.safepoint(), Ok(()));
        assert_eq!((drops.count(), cx.usage().object.blocks), (2, 0), "but here");
    })
    .expect("nothing is attached");
}

/// Whoever would wait for itself is told so.
fn a_thread_waits_for_itself<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().expect("it is running");
    for preset in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        let mut state = rt.create(&preset, None).expect("memory");
        let mut second = rt.thread_state(state.interpreter()).expect("memory");
        let id = state.interpreter();
        state
            .attach(|cx| {
                assert_eq!(second.attach(|_| ()), Err(AttachError::AlreadyAttached));
                assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::AlreadyAttached));
                assert_eq!(rt.ensure(main, |_| ()), Err(AttachError::AlreadyAttached));
                assert_eq!(rt.end(id, None), Err(EndError::Current));
                assert_eq!(rt.finalize(None), Err(RuntimeError::AlreadyAttached));
                cx.detach(|| {
                    assert_eq!(rt.end(id, None), Err(EndError::WouldDeadlock));
                    assert_eq!(rt.finalize(None), Err(RuntimeError::WouldDeadlock));
                });
                cx.enter(&mut second, |_| {
                    assert_eq!(rt.end(id, None), Err(EndError::Current));
                })
                .expect("it is alive");
            })
            .expect("nothing is attached");
        drop((state, second));
        assert!(rt.end(id, None).is_ok());
    }
}

/// The diagram in PyO3's `marker.rs`: one thread has the GIL and wants a lock of the host, another has the lock and
/// wants the GIL. The first lets the GIL go while it waits.
fn a_lock_of_the_host_and_the_gil_in_two_orders<H: TestHost>() {
    let rt = H::started();
    let id = isolated(&rt);
    let (shared, attached) = (Mutex::new(0), Gate::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            attached.wait();
            let mut value = shared.lock().expect("nobody panics");
            // The lock first, the GIL second.
            rt.ensure(id, |_| *value += 1).expect("nothing is attached");
        });
        rt.ensure(id, |cx| {
            attached.open();
            until("the other has the lock and waits for the GIL", || {
                shared.try_lock().is_err() && rt.interpreter(id).unwrap().gil().unwrap().waiters > 0
            });
            // The GIL first, the lock second, with the GIL let go meanwhile.
            cx.detach(|| *shared.lock().expect("nobody panics") += 10);
            assert_eq!(cx.safepoint(), Ok(()));
        })
        .expect("nothing is attached");
    });
    assert_eq!(shared.into_inner().expect("nobody panics"), 11);
}

/// Review of cpython pull request 1748: a number that is used again names another interpreter.
fn numbers_are_used_again<H: TestHost>() {
    let rt = H::started();
    let (mut last, mut threads) = (0, 0);
    let mut old: Vec<InterpreterId> = Vec::new();
    for n in 0..rounds(300) {
        let mut state = rt.create(&InterpreterConfig::legacy(), None).expect("memory");
        let id = state.interpreter();
        assert!(id.number() > last && state.id() > threads, "{id:?}");
        (last, threads) = (id.number(), state.id());
        assert!(old.iter().all(|old| rt.interpreter(*old).map(|_| ()) == Err(LookupError::NotFound)));
        assert!(old.iter().all(|old| rt.end(*old, None) == Err(EndError::NotFound)));
        let value = state.attach(|cx| cx.id().number());
        assert_eq!(value, Ok(id.number()));
        drop(state);
        assert!(rt.end(id, None).is_ok());
        if n % 10 == 0 {
            old.push(id);
        }
    }
    // A new cycle counts from the beginning, and refuses the names of the old one.
    rt.finalize(None).expect("nobody is inside");
    let main = rt.initialize(None).expect("memory").main();
    assert_eq!(main.number(), 0);
    assert!(old.iter().all(|old| rt.interpreter(*old).map(|_| ()) == Err(LookupError::WrongCycle)));
}
