//! The raw layer: the C functions' contracts.
#![allow(unsafe_code)]
// SAFETY of every call here, [R1] of the layer: the runtime outlives its raw attaches and does not move, each name was
// made by it, and what was attached is detached in reverse order.
#![allow(clippy::undocumented_unsafe_blocks)]

use core::time::Duration;
use std::thread;

use archipelago_kernel::{
    Attached, InterpreterId, Runtime,
    config::{GilChoice, InterpreterConfig},
    error::{AttachError, ConfigError, CreateError, EndError, Error, ThreadError},
    eval::PendingFailed,
    guest::{GuestTable, Step, Value},
    interpreter::{Phase, Whence},
    raw::{self, RawThreadState},
    thread::{Status, ThreadWhence},
};
use archipelago_toy_guest::Toy;

use crate::{
    TestHost,
    support::{Gate, Log, Scribe, create, current, list_all, note, presets},
};

/// A raw thread state of main, attached.
fn attached_to_main<H: TestHost>(rt: &Runtime<H>) -> RawThreadState<H> {
    unsafe {
        let main = raw::thread_new(rt, rt.main().unwrap()).unwrap();
        raw::attach(rt, main).unwrap();
        main
    }
}

fn status<H: TestHost>(rt: &Runtime<H>, state: RawThreadState<H>) -> Result<Status, ThreadError> {
    unsafe { state.status(rt) }
}

fn held<H: TestHost>(rt: &Runtime<H>, id: InterpreterId) -> bool {
    rt.interpreter(id).unwrap().gil().unwrap().held
}

/// SPEC: L1, T4
pub fn new_from_config_attaches_the_new_one<H: TestHost>() {
    let rt = H::started();
    let main_id = rt.main().unwrap();
    let main = attached_to_main(&rt);
    let shared = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
    for config in [presets()[0], presets()[1], shared] {
        unsafe {
            let new = raw::new_interpreter_from_config(&rt, &config, None).unwrap();
            let id = new.interpreter(&rt).unwrap();
            assert_eq!(raw::current(&rt), Some(new));
            assert_eq!(raw::current_interpreter(&rt), Some(id));
            assert_eq!((status(&rt, new), status(&rt, main)), (Ok(Status::Attached), Ok(Status::Detached)));
            assert_eq!(held(&rt, main_id), config.gil() != GilChoice::Own, "the caller's GIL is released");
            assert!(held(&rt, id));
            assert_eq!(rt.interpreter(id).unwrap().whence(), Ok(Whence::CApi));
            assert_eq!(rt.interpreter(id).unwrap().config(), Ok(config));
            assert_eq!(new.whence(&rt), Ok(ThreadWhence::Init));
            assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(1), "no thread was started");
            // The way back of every embedder.
            assert_eq!(raw::swap(&rt, Some(main)), Ok(Some(new)));
            assert_eq!(raw::swap(&rt, Some(new)), Ok(Some(main)));
            assert!(raw::end_interpreter(&rt, new, None).unwrap().is_clean());
            raw::attach(&rt, main).unwrap();
        }
    }
    unsafe { raw::detach(&rt) }.unwrap();
    assert_eq!(list_all(&rt), [main_id]);
}

/// SPEC: L1
pub fn a_failed_creation_leaves_the_caller_attached<H: TestHost>() {
    let rt = H::started();
    let main_id = rt.main().unwrap();
    let scribe = Scribe::of(&rt);
    let isolated = InterpreterConfig::isolated();
    unsafe {
        let nothing = raw::new_interpreter_from_config(&rt, &isolated, None).err();
        assert_eq!(nothing, Some(Error::Attach(AttachError::NotAttached)));
    }
    let other = create(&rt, &isolated);
    for owner in [main_id, other] {
        let caller = unsafe { raw::thread_new(&rt, owner) }.unwrap();
        unsafe { raw::attach(&rt, caller) }.unwrap();
        let object = unsafe { raw::with_token(&rt, |cx| cx.alloc_plain(1u8).is_ok()) };
        assert_eq!(object, Ok(true));
        let as_before = |answer: Result<RawThreadState<H>, Error>, expected: CreateError| {
            assert_eq!(answer.err(), Some(Error::Create(expected)));
            assert_eq!(unsafe { raw::current(&rt) }, Some(caller));
            assert_eq!(status(&rt, caller), Ok(Status::Attached));
            assert!(held(&rt, owner));
            assert_eq!(unsafe { raw::with_token(&rt, |cx| cx.safepoint()) }, Ok(Ok(())));
            assert_eq!(list_all(&rt), [main_id, other]);
        };
        for (config, reason) in [
            (InterpreterConfig::empty(), ConfigError::OwnHeapWithoutExtensionCheck),
            (InterpreterConfig::legacy().with_gil(GilChoice::Own), ConfigError::OwnGilWithMainHeap),
            (isolated.with_memory_limit(Some(1)), ConfigError::LimitBelowFootprint),
        ] {
            if H::ONE_HEAP && reason == ConfigError::OwnGilWithMainHeap {
                continue;
            }
            let answer = unsafe { raw::new_interpreter_from_config(&rt, &config, None) };
            as_before(answer, CreateError::Config(reason));
        }
        scribe.veto_creating(true);
        as_before(unsafe { raw::new_interpreter_from_config(&rt, &isolated, None) }, CreateError::Vetoed);
        as_before(unsafe { raw::new_interpreter(&rt, None) }, CreateError::Vetoed);
        scribe.veto_creating(false);
        unsafe { raw::detach(&rt) }.unwrap();
    }
}

/// SPEC: L1, C7
pub fn what_its_creator_may_not_attach_to_is_not_left<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let scribe = Scribe::of(&rt);
    let caller = unsafe { raw::thread_new(&rt, main) }.unwrap();
    let config = InterpreterConfig::isolated().with_always_new_thread(true);
    let answer = rt.ensure(main, |cx| {
        cx.detach(|| unsafe {
            raw::attach(&rt, caller).unwrap();
            let answer = raw::new_interpreter_from_config(&rt, &config, None).err();
            assert_eq!(raw::current(&rt), Some(caller), "attached as before");
            raw::detach(&rt).unwrap();
            answer
        })
    });
    assert_eq!(answer, Ok(Some(Error::Attach(AttachError::NeedsNewThread))));
    assert_eq!(list_all(&rt), [main]);
    assert_eq!(scribe.ended().len(), 1, "who heard of it hears that it is gone");
}

/// SPEC: L2
pub fn new_interpreter_is_legacy<H: TestHost>() {
    let rt = H::started();
    let main = attached_to_main(&rt);
    unsafe {
        let new = raw::new_interpreter(&rt, Some(GuestTable::of::<Toy>())).unwrap();
        let id = new.interpreter(&rt).unwrap();
        assert_eq!(rt.interpreter(id).unwrap().config(), Ok(InterpreterConfig::legacy()));
        assert_eq!(rt.interpreter(id).unwrap().whence(), Ok(Whence::LegacyCApi));
        let ran = raw::with_token(&rt, |cx| cx.exec(b"push 4; halt"));
        assert_eq!(ran, Ok(Step::Done(Value::Int(4))));
        assert!(raw::end_interpreter(&rt, new, None).is_ok());
        raw::attach(&rt, main).unwrap();
        raw::detach(&rt).unwrap();
    }
}

/// SPEC: L3
pub fn end_wants_the_given_one_attached<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    for config in presets() {
        let main = attached_to_main(&rt);
        unsafe {
            let new = raw::new_interpreter_from_config(&rt, &config, None).unwrap();
            let id = new.interpreter(&rt).unwrap();
            let second = raw::thread_new(&rt, id).unwrap();
            assert_eq!(raw::end_interpreter(&rt, second, None), Err(EndError::NotAttached));
            assert_eq!(raw::end_interpreter(&rt, main, None), Err(EndError::NotAttached));
            raw::swap(&rt, Some(main)).unwrap();
            assert_eq!(raw::end_interpreter(&rt, new, None), Err(EndError::NotAttached));
            assert_eq!(raw::end_interpreter(&rt, main, None), Err(EndError::Main));
            assert_eq!(raw::current(&rt), Some(main), "nothing changed");
            raw::swap(&rt, Some(new)).unwrap();
            scribe.veto_clearing(true);
            assert_eq!(raw::end_interpreter(&rt, new, None), Err(EndError::Vetoed));
            assert_eq!((raw::current(&rt), status(&rt, new)), (Some(new), Ok(Status::Attached)));
            scribe.veto_clearing(false);

            let ledger = raw::end_interpreter(&rt, new, None).unwrap();
            assert!(ledger.is_clean());
            assert_eq!((raw::current(&rt), current::<H>()), (None, None), "nothing is attached");
            assert!(!held(&rt, rt.main().unwrap()), "no GIL is held");
            for gone in [new, second] {
                assert_eq!(status(&rt, gone), Err(ThreadError::Stale), "all its thread states are gone");
                assert_eq!(gone.id(&rt), Err(ThreadError::Stale));
                assert_eq!(raw::attach(&rt, gone), Err(AttachError::Ended));
                assert_eq!(raw::end_interpreter(&rt, gone, None), Err(EndError::NotAttached));
            }
            raw::attach(&rt, main).unwrap();
            raw::detach(&rt).unwrap();
        }
        assert_eq!(rt.count(), Ok(1));
    }
}

/// SPEC: L3, L10
pub fn end_with_others_inside_leaves_it_attached<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let main = attached_to_main(&rt);
        let new = unsafe { raw::new_interpreter_from_config(&rt, &config, None) }.unwrap();
        let id = unsafe { new.interpreter(&rt) }.unwrap();
        let (inside, back) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            // Below the GIL, which this thread holds, until it detaches.
            let sleeper = s.spawn(|| {
                rt.ensure(id, |cx| {
                    cx.detach(|| {
                        inside.open();
                        back.wait();
                    })
                })
            });
            unsafe {
                raw::with_token(&rt, |cx| cx.detach(|| inside.wait())).unwrap();
                assert_eq!(raw::end_interpreter(&rt, new, Some(Duration::ZERO)), Err(EndError::StillActive));
                assert_eq!(raw::current(&rt), Some(new), "attached as before");
                assert_eq!(rt.interpreter(id).unwrap().phase(), Ok(Phase::Finalizing));
                back.open();
                assert!(raw::end_interpreter(&rt, new, None).is_ok());
            }
            assert_eq!(sleeper.join().unwrap(), Ok(()));
        });
        assert_eq!(current::<H>(), None);
        unsafe {
            raw::attach(&rt, main).unwrap();
            raw::detach(&rt).unwrap();
        }
    }
}

/// SPEC: L4
pub fn low_level_new_clear_delete<H: TestHost>() {
    let rt = H::started();
    let main = attached_to_main(&rt);
    unsafe {
        // An attached thread state is not needed, but may exist.
        let ids = [raw::interpreter_new(&rt, None).unwrap(), {
            raw::detach(&rt).unwrap();
            raw::interpreter_new(&rt, Some(GuestTable::of::<Toy>())).unwrap()
        }];
        assert_eq!(list_all(&rt)[1..], ids);
        for id in ids {
            let interpreter = rt.interpreter(id).unwrap();
            assert_eq!((interpreter.threads(), interpreter.whence()), (Ok(0), Ok(Whence::Unknown)));
            assert_eq!(raw::interpreter_delete(&rt, id), Err(EndError::NotCleared));
            let state = raw::thread_new(&rt, id).unwrap();
            assert_eq!(raw::interpreter_clear(&rt, state, None), Err(EndError::NotAttached));
            raw::attach(&rt, state).unwrap();
            raw::with_token(&rt, |cx| {
                core::mem::forget(cx.alloc_plain(1u8).unwrap());
                cx.at_exit(|_, _| panic!("the low-level clear runs none"), 0).unwrap();
            })
            .unwrap();
            let ledger = raw::interpreter_clear(&rt, state, None).unwrap();
            assert_eq!((ledger.objects, ledger.leaked.mem.blocks), (1, 0));
            assert_eq!(raw::current(&rt), Some(state), "it stays attached");
            assert_eq!(raw::interpreter_delete(&rt, id), Err(EndError::ThreadsLeft));
            assert_eq!(raw::detach(&rt), Ok(state));
            assert_eq!(raw::attach(&rt, state), Err(AttachError::Finalizing), "nobody comes back");
            assert_eq!(raw::interpreter_delete(&rt, id), Ok(()));
            assert_eq!(raw::interpreter_delete(&rt, id), Err(EndError::NotFound));
            assert_eq!(status(&rt, state), Err(ThreadError::Stale));
            assert_eq!(raw::attach(&rt, state), Err(AttachError::Ended));
        }
        assert_eq!(rt.count(), Ok(1));
        raw::attach(&rt, main).unwrap();
        assert_eq!(raw::interpreter_clear(&rt, main, None), Err(EndError::Main));
        raw::detach(&rt).unwrap();
    }
}

/// SPEC: L4, R4
pub fn what_was_cleared_and_not_deleted_goes_with_the_runtime<H: TestHost>() {
    let rt = H::started();
    unsafe {
        let id = raw::interpreter_new(&rt, None).unwrap();
        let state = raw::thread_new(&rt, id).unwrap();
        raw::attach(&rt, state).unwrap();
        raw::interpreter_clear(&rt, state, None).unwrap();
        raw::detach(&rt).unwrap();
        raw::interpreter_new(&rt, None).unwrap();
    }
    assert_eq!(rt.finalize(None).map(|ledger| ledger.left_over), Ok(1));
    assert_eq!(rt.count(), Ok(0));
}

/// SPEC: T1
pub fn thread_states_new_clear_delete<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        unsafe {
            let states = [(); 3].map(|()| raw::thread_new(&rt, id).unwrap());
            let [a, b, c] = states;
            assert!(states.iter().all(|state| state.whence(&rt) == Ok(ThreadWhence::CApi)));
            let numbers = states.map(|state| state.id(&rt).unwrap());
            assert!(numbers.is_sorted_by(|x, y| x < y), "unique, and in order");
            let walk =
                core::iter::successors(raw::thread_head(&rt, id), |state| raw::thread_next(&rt, *state));
            assert_eq!(walk.collect::<Vec<_>>(), [c, b, a], "the newest first");

            assert_eq!(raw::thread_clear(&rt, a), Err(ThreadError::NotAttached));
            assert_eq!(raw::thread_delete(&rt, a), Err(ThreadError::NotCleared));
            raw::attach(&rt, b).unwrap();
            assert_eq!(raw::thread_clear(&rt, a), Ok(()));
            assert_eq!(raw::thread_delete(&rt, a), Ok(()));
            assert_eq!(raw::thread_delete(&rt, a), Err(ThreadError::Stale));
            assert_eq!(raw::thread_clear(&rt, a), Err(ThreadError::Stale));
            assert_eq!(raw::thread_next(&rt, a), None);
            assert_eq!(raw::thread_clear(&rt, b), Ok(()), "itself");
            assert_eq!(raw::thread_delete(&rt, b), Err(ThreadError::InUse), "but it is attached");
            assert_eq!(raw::thread_delete_current(&rt), Ok(()));
            assert_eq!((raw::current(&rt), status(&rt, b)), (None, Err(ThreadError::Stale)));
            assert_eq!(raw::thread_delete_current(&rt), Err(ThreadError::NotAttached));
            assert_eq!(raw::thread_head(&rt, id), Some(c));
            assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(1));
            let other = create(&rt, &config);
            let foreign = raw::thread_new(&rt, other).unwrap();
            raw::attach(&rt, c).unwrap();
            assert_eq!(raw::thread_clear(&rt, foreign), Err(ThreadError::Stale), "another interpreter's");
            raw::thread_delete_current(&rt).unwrap();
            assert!(rt.end(other, None).is_ok());
        }
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// SPEC: T2
pub fn attach_and_detach_are_a_state_of_the_thread<H: TestHost>() {
    let rt = H::started();
    let [own, shared] = presets().map(|config| create(&rt, &config));
    for id in [rt.main().unwrap(), own, shared] {
        unsafe {
            assert_eq!(raw::detach(&rt), Err(AttachError::NotAttached));
            assert_eq!(raw::with_token(&rt, |_| ()), Err(AttachError::NotAttached));
            let [a, b] = [(); 2].map(|()| raw::thread_new(&rt, id).unwrap());
            raw::attach(&rt, a).unwrap();
            assert_eq!(raw::attach(&rt, a), Err(AttachError::AlreadyAttached), "not twice");
            assert_eq!(raw::attach(&rt, b), Err(AttachError::AlreadyAttached), "one GIL at most");
            assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::AlreadyAttached));
            assert_eq!(raw::current(&rt), Some(a));
            thread::scope(|s| {
                let elsewhere = || {
                    assert_eq!(raw::current(&rt), None, "of the thread, not of the process");
                    raw::attach(&rt, a)
                };
                assert_eq!(s.spawn(elsewhere).join().unwrap(), Err(AttachError::AlreadyAttached));
            });
            assert_eq!(raw::detach(&rt), Ok(a));
            // It may go on in another thread.
            thread::scope(|s| {
                let elsewhere = || {
                    raw::attach(&rt, a).unwrap();
                    let seen = raw::with_token(&rt, |cx| cx.id());
                    raw::detach(&rt).unwrap();
                    seen
                };
                assert_eq!(s.spawn(elsewhere).join().unwrap(), Ok(id));
            });
            assert_eq!(status(&rt, a), Ok(Status::Detached));
        }
    }
}

/// SPEC: T3
pub fn swap_goes_from_any_to_any<H: TestHost>() {
    let rt = H::started();
    let [own, shared] = presets().map(|config| create(&rt, &config));
    let other = create(&rt, &presets()[0]);
    let ids = [rt.main().unwrap(), own, shared, other];
    unsafe {
        assert_eq!(raw::swap::<H>(&rt, None), Ok(None));
        for from in ids {
            for to in ids {
                let [a, b] = [from, to].map(|id| raw::thread_new(&rt, id).unwrap());
                assert_eq!(raw::swap(&rt, Some(a)), Ok(None));
                assert_eq!(raw::swap(&rt, Some(a)), Ok(Some(a)), "with itself");
                assert_eq!(raw::swap(&rt, Some(b)), Ok(Some(a)));
                assert_eq!(raw::current_interpreter(&rt), Some(to));
                assert_eq!((status(&rt, a), status(&rt, b)), (Ok(Status::Detached), Ok(Status::Attached)));
                assert!(held(&rt, to));
                let one_gil = from == to || ![from, to].iter().any(|id| [own, other].contains(id));
                assert_eq!(held(&rt, from), one_gil);
                assert_eq!(raw::swap(&rt, Some(a)), Ok(Some(b)));
                assert_eq!(raw::swap(&rt, None), Ok(Some(a)));
                assert_eq!(raw::current(&rt), None);
            }
        }
    }
    for id in ids {
        assert_eq!(rt.interpreter(id).unwrap().stats().unwrap().activations, 0);
        assert!(!held(&rt, id));
    }
}

/// SPEC: T3
pub fn a_refused_swap_leaves_the_present_one<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let main = attached_to_main(&rt);
        unsafe {
            let id = { raw::interpreter_new(&rt, None).unwrap() };
            let gone = raw::thread_new(&rt, id).unwrap();
            raw::with_token(&rt, |cx| cx.detach(|| rt.end(id, None).unwrap())).unwrap();
            assert_eq!(raw::swap(&rt, Some(gone)), Err(AttachError::Ended));
            assert_eq!((raw::current(&rt), status(&rt, main)), (Some(main), Ok(Status::Attached)));
            let busy_id = create_detached(&rt, &config);
            let busy = raw::thread_new(&rt, busy_id).unwrap();
            let (inside, back) = (Gate::new(), Gate::new());
            thread::scope(|s| {
                s.spawn(|| {
                    raw::attach(&rt, busy).unwrap();
                    raw::with_token(&rt, |cx| {
                        cx.detach(|| {
                            inside.open();
                            back.wait();
                        });
                    })
                    .unwrap();
                    raw::detach(&rt).unwrap();
                });
                raw::with_token(&rt, |cx| cx.detach(|| inside.wait())).unwrap();
                assert_eq!(raw::swap(&rt, Some(busy)), Err(AttachError::AlreadyAttached), "another thread's");
                assert_eq!((raw::current(&rt), status(&rt, main)), (Some(main), Ok(Status::Attached)));
                assert_eq!(raw::with_token(&rt, |cx| cx.safepoint()), Ok(Ok(())));
                back.open();
                raw::detach(&rt).unwrap();
            });
        }
    }
}

/// An interpreter made inside a raw attach.
fn create_detached<H: TestHost>(rt: &Runtime<H>, config: &InterpreterConfig) -> InterpreterId {
    unsafe { raw::with_token(rt, |cx| cx.detach(|| create(rt, config))) }.unwrap()
}

/// SPEC: T2, T5
pub fn raw_and_safe_nest<H: TestHost>() {
    let rt = H::started();
    let [own, shared] = presets().map(|config| create(&rt, &config));
    for (outer, inner) in [(own, shared), (shared, own), (own, own), (shared, shared)] {
        let mut state = rt.thread_state(outer).unwrap();
        state
            .attach(|cx| {
                let kept = cx.alloc_plain(3u8).unwrap();
                unsafe {
                    assert_eq!(raw::current(&rt), None, "what is attached is not the raw layer's");
                    assert_eq!(raw::current_interpreter(&rt), Some(outer));
                    assert_eq!(
                        raw::detach(&rt),
                        Err(AttachError::NotAttached),
                        "nor can it be detached by it"
                    );
                }
                cx.detach(|| unsafe {
                    let raw_state = raw::thread_new(&rt, inner).unwrap();
                    raw::attach(&rt, raw_state).unwrap();
                    let seen = raw::with_token(&rt, |cy| {
                        let object = cy.alloc_plain(4u8).unwrap();
                        cy.detach(|| rt.ensure(outer, |cz| cz.id())).map(|id| (id, *object.get(cy)))
                    });
                    assert_eq!(seen, Ok(Ok((outer, 4))));
                    raw::thread_delete_current(&rt).unwrap();
                });
                assert_eq!((*kept.get(cx), current::<H>()), (3, Some(outer)));
            })
            .unwrap();
    }
    for id in [own, shared] {
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// SPEC: L3, L10, T2
pub fn a_raw_thread_state_of_an_ended_interpreter_is_told<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let state = unsafe { raw::thread_new(&rt, id) }.unwrap();
        rt.end(id, None).unwrap();
        unsafe {
            assert_eq!(raw::attach(&rt, state), Err(AttachError::Ended));
            assert_eq!(raw::swap(&rt, Some(state)), Err(AttachError::Ended));
            assert_eq!(raw::thread_delete(&rt, state), Err(ThreadError::Stale));
            assert_eq!(raw::thread_head(&rt, id), None);
            assert_eq!(raw::thread_new(&rt, id).err(), Some(ThreadError::NotFound));
            // The next tenant of the same memory is not it.
            let next = raw::thread_new(&rt, create(&rt, &config)).unwrap();
            assert!(next != state);
            assert_eq!(raw::attach(&rt, state), Err(AttachError::Ended));
            assert_eq!(raw::attach(&rt, next), Ok(()));
            raw::detach(&rt).unwrap();
        }
    }
}

/// SPEC: T3
pub fn a_panic_leaves_the_other_thread_state_detached<H: TestHost>() {
    use core::panic::AssertUnwindSafe;

    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let named = unsafe { raw::thread_head(&rt, state.interpreter()) }.unwrap();
        rt.ensure(rt.main().unwrap(), |cx| {
            let thrown = AssertUnwindSafe(|| cx.enter(&mut state, |_| crate::support::throw()).is_ok());
            assert!(std::panic::catch_unwind(thrown).is_err());
            assert_eq!(status(&rt, named), Ok(Status::Detached));
            assert_eq!(cx.safepoint(), Ok(()));
        })
        .unwrap();
    }
}

/// SPEC: E2
pub fn a_call_for_mains_thread_is_not_lost_on_another<H: TestHost>() {
    let rt = H::started();
    let state = unsafe { raw::thread_new(&rt, rt.main().unwrap()) }.unwrap();
    let log = Log::new();
    rt.call_main(note, log.argument(1)).unwrap();
    let pass = || unsafe {
        raw::attach(&rt, state).unwrap();
        assert_eq!(raw::with_token(&rt, |cx| cx.safepoint()), Ok(Ok(())));
        raw::detach(&rt).unwrap();
    };
    thread::scope(|s| s.spawn(pass).join().unwrap());
    assert!(log.values().is_empty());
    pass();
    assert_eq!(log.values(), [1]);
}

/// Nothing bounds the code that takes an interpreter down, whatever the thread is in the middle of.
///
/// SPEC: L10, E6
pub fn an_end_is_not_bound_by_what_is_around_it<H: TestHost>() {
    fn spends<H: TestHost>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
        assert_eq!(cx.spend(100), Ok(()));
        note(cx, argument)
    }
    let rt = H::started();
    let log = Log::new();
    rt.ensure(rt.main().unwrap(), |cx| {
        let around = cx.with_fuel(10, |cx| {
            cx.detach(|| unsafe {
                let id = create(&rt, &InterpreterConfig::isolated());
                let state = raw::thread_new(&rt, id).unwrap();
                rt.interpreter(id).unwrap().port().unwrap().call(spends::<H>, log.argument(7)).unwrap();
                raw::attach(&rt, state).unwrap();
                assert!(raw::end_interpreter(&rt, state, None).unwrap().is_clean());
            });
            cx.spend(1)
        });
        assert_eq!((around.value, around.left), (Ok(()), 9), "it cost them nothing");
    })
    .unwrap();
    assert_eq!(log.values(), [7]);
}
