//! Thread states: made, attached, deleted; who is current.

use core::{cell::Cell, panic::AssertUnwindSafe};
use std::{collections::HashSet, panic::catch_unwind, thread};

use archipelago_kernel::{
    config::InterpreterConfig,
    error::{AttachError, ThreadError},
    thread::{ThreadWhence, current as current_thread},
};

use crate::{
    TestHost,
    support::{create, current, presets, scaled, throw},
};

/// SPEC: T1
pub fn numbers_are_unique_in_a_cycle<H: TestHost>() {
    let rt = H::started();
    let mut seen = HashSet::new();
    for n in 0..scaled(50, 5) {
        let first = rt.create(&presets()[n % 2], None).unwrap();
        let second = rt.thread_state(first.interpreter()).unwrap();
        assert!(seen.insert(first.id()) && seen.insert(second.id()));
        drop(second);
        let third = rt.thread_state(first.interpreter()).unwrap();
        assert!(seen.insert(third.id()), "a number is not used again");
    }
}

/// SPEC: T1
pub fn the_list_has_what_was_made_and_not_deleted<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let interpreter = rt.interpreter(id).unwrap();
        assert_eq!(interpreter.threads(), Ok(0), "the first one was deleted");
        let mut states: Vec<_> = (0..5).map(|_| rt.thread_state(id).unwrap()).collect();
        assert_eq!(interpreter.threads(), Ok(5));
        states.remove(2);
        assert_eq!(interpreter.threads(), Ok(4));
        for state in &mut states {
            assert_eq!(state.attach(|cx| cx.id()), Ok(id), "the others are as before");
        }
        drop(states);
        assert_eq!(interpreter.threads(), Ok(0));
        assert_eq!(rt.thread_state(id).unwrap().attach(|cx| cx.id()), Ok(id));
    }
}

/// SPEC: T1
pub fn whence_says_who_made_it<H: TestHost>() {
    let rt = H::started();
    let first = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    assert_eq!(first.whence(), Some(ThreadWhence::Init));
    let second = rt.thread_state(first.interpreter()).unwrap();
    assert_eq!(second.whence(), Some(ThreadWhence::Threading));
    rt.end(first.interpreter(), None).unwrap();
    assert_eq!((first.whence(), second.whence()), (None, None));
}

/// SPEC: T1, L3
pub fn deleted_before_and_after_the_end<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let before = rt.create(&config, None).unwrap();
        let id = before.interpreter();
        let after = rt.thread_state(id).unwrap();
        drop(before);
        assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(1));
        assert!(rt.end(id, None).unwrap().is_clean());
        // Its slot has the next tenant already when the handle goes.
        let next = rt.create(&config, None).unwrap();
        drop(after);
        assert_eq!(rt.interpreter(next.interpreter()).unwrap().threads(), Ok(1), "the tenant stays");
        let mut next = next;
        assert_eq!(next.attach(|cx| cx.id()), Ok(next.interpreter()));
    }
}

/// SPEC: T1
pub fn none_for_what_is_not_there<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    rt.end(id, None).unwrap();
    assert_eq!(rt.thread_state(id).err(), Some(ThreadError::NotFound));
    let other = H::started();
    assert_eq!(rt.thread_state(other.main().unwrap()).err(), Some(ThreadError::NotFound));
}

/// SPEC: T2
pub fn attach_gives_back_what_the_closure_answers<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let word = String::from("word");
    let back = state.attach(|cx| (cx.thread_id(), word)).unwrap();
    assert_eq!(back, (state.id(), "word".into()));
    for _ in 0..3 {
        assert_eq!(state.attach(|cx| cx.id()), Ok(state.interpreter()), "attached again and again");
    }
}

/// SPEC: T2
pub fn a_thread_holds_at_most_one_gil<H: TestHost>() {
    let rt = H::started();
    let ids = [rt.main().unwrap(), create(&rt, &presets()[0]), create(&rt, &presets()[1])];
    for outer in ids {
        let mut state = rt.thread_state(outer).unwrap();
        state
            .attach(|cx| {
                for inner in ids {
                    let mut other = rt.thread_state(inner).unwrap();
                    assert_eq!(other.attach(|_| ()), Err(AttachError::AlreadyAttached));
                    assert_eq!(rt.ensure(inner, |_| ()), Err(AttachError::AlreadyAttached));
                    let entered = cx.call_out(|| other.attach(|_| ()));
                    assert_eq!(entered, Err(AttachError::AlreadyAttached), "lent, but not released");
                }
                assert_eq!(current::<H>(), Some(outer));
            })
            .unwrap();
        assert_eq!(current::<H>(), None);
    }
}

/// SPEC: T2
pub fn inside_detach_others_may_be_attached<H: TestHost>() {
    let rt = H::started();
    let ids = [rt.main().unwrap(), create(&rt, &presets()[0]), create(&rt, &presets()[1])];
    for outer in ids {
        let mut state = rt.thread_state(outer).unwrap();
        state
            .attach(|cx| {
                let me = cx.thread_id();
                let kept = cx.alloc_plain(7u32).unwrap();
                cx.detach(|| {
                    assert_eq!(current::<H>(), None);
                    for inner in ids {
                        let mut other = rt.thread_state(inner).unwrap();
                        assert_eq!(other.attach(|cy| cy.id()), Ok(inner), "the same interpreter too");
                    }
                });
                assert_eq!(current_thread::<H>().map(|current| current.thread), Some(me));
                assert_eq!(*kept.get(cx), 7);
            })
            .unwrap();
    }
}

/// SPEC: T2
pub fn detach_nests<H: TestHost>() {
    let rt = H::started();
    let mut a = rt.create(&presets()[0], None).unwrap();
    let mut b = rt.create(&presets()[1], None).unwrap();
    let depth = Cell::new(0);
    a.attach(|cx| {
        cx.detach(|| {
            b.attach(|cy| {
                cy.detach(|| {
                    let mut c = rt.thread_state(rt.main().unwrap()).unwrap();
                    c.attach(|cz| cz.detach(|| depth.set(depth.get() + 1))).unwrap();
                });
                assert_eq!(current::<H>(), Some(cy.id()));
            })
            .unwrap();
        });
        assert_eq!(current::<H>(), Some(cx.id()));
    })
    .unwrap();
    assert_eq!((depth.get(), current::<H>()), (1, None));
}

/// SPEC: T2
pub fn a_panic_lets_the_gil_go<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let interpreter = rt.interpreter(id).unwrap();
        let run = |state: &mut archipelago_kernel::ThreadState<'_, H>, inside: bool| {
            let attached = || {
                state.attach(|cx| {
                    if inside {
                        cx.detach(|| throw());
                    }
                    throw();
                })
            };
            assert!(catch_unwind(AssertUnwindSafe(attached)).is_err());
        };
        for inside in [false, true] {
            run(&mut state, inside);
            assert_eq!(current::<H>(), None);
            assert!(!interpreter.gil().unwrap().held);
            assert_eq!(interpreter.stats().unwrap().activations, 0);
            assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Ok(())), "it can be used as before");
        }
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// SPEC: T4
/// CPython: test_capi.TestThreadState.test_gilstate_matches_current, test_api.GetCurrentTests.test_main,
/// CPython: test_api.GetCurrentTests.test_subinterpreter, test_api.GetCurrentTests.test_created_with_capi,
/// CPython: test_api.LowLevelTests.test_get_current
pub fn current_is_what_is_attached<H: TestHost>() {
    let rt = H::started();
    assert_eq!(current_thread::<H>(), None, "none is an ordinary answer");
    let ids = [
        rt.main().unwrap(),
        create(&rt, &presets()[0]),
        rt.create_as(&presets()[1], None, archipelago_kernel::interpreter::Whence::CApi)
            .unwrap()
            .interpreter(),
    ];
    for id in ids {
        let mut state = rt.thread_state(id).unwrap();
        state
            .attach(|cx| {
                let now = current_thread::<H>().unwrap();
                assert_eq!((now.interpreter, now.thread), (id, cx.thread_id()));
                cx.detach(|| assert_eq!(current_thread::<H>(), None));
                cx.call_out(|| assert_eq!(current_thread::<H>(), Some(now), "lent, but attached"));
                thread::scope(|s| s.spawn(|| assert_eq!(current_thread::<H>(), None)).join().unwrap());
                assert_eq!(current_thread::<H>(), Some(now));
            })
            .unwrap();
        assert_eq!(current_thread::<H>(), None);
    }
}

/// SPEC: T1, T2, L15
pub fn threads_come_and_go_in_one_interpreter<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let (threads, rounds) = (scaled(16, 3), scaled(50, 4));
        let seen: Vec<u64> = thread::scope(|s| {
            let work = || {
                let mut numbers = Vec::new();
                for _ in 0..rounds {
                    let mut state = rt.thread_state(id).unwrap();
                    numbers.push(state.attach(|cx| cx.thread_id()).unwrap());
                }
                numbers
            };
            let threads: Vec<_> = (0..threads).map(|_| s.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), threads * rounds);
        assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(0));
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// SPEC: T1, T2
pub fn a_handler_is_refused<H: TestHost>() {
    use archipelago_kernel::error::{CreateError, EndError, LookupError, RuntimeError};
    let rt = H::started();
    let id = create(&rt, &presets()[0]);
    let mut state = rt.thread_state(id).unwrap();
    let (fresh, interpreter) = (H::fresh(), rt.interpreter(id).unwrap());
    H::in_handler(|| {
        assert_eq!(state.attach(|_| ()), Err(AttachError::InInterrupt));
        assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::InInterrupt));
        assert_eq!(rt.thread_state(id).err(), Some(ThreadError::InInterrupt));
        assert_eq!(rt.create(&presets()[0], None).err(), Some(CreateError::InInterrupt));
        assert_eq!(rt.end(id, None), Err(EndError::InInterrupt));
        assert_eq!(interpreter.close(None), Err(EndError::InInterrupt));
        assert_eq!(rt.interpreter(id).err(), Some(LookupError::InInterrupt));
        let refused = Err(LookupError::InInterrupt);
        assert_eq!([rt.main(), rt.head(), rt.id(0)], [refused; 3]);
        assert_eq!([rt.count(), rt.list(&mut [])], [Err(LookupError::InInterrupt); 2]);
        assert_eq!(rt.next(id), Err(LookupError::InInterrupt));
        assert_eq!(interpreter.phase(), Err(LookupError::InInterrupt));
        assert_eq!(rt.finalize(None), Err(RuntimeError::InInterrupt));
        assert_eq!(fresh.initialize(None), Err(RuntimeError::InInterrupt));
    });
    assert_eq!(state.attach(|cx| cx.id()), Ok(id), "nothing changed");
    assert_eq!(rt.interpreter(id).unwrap().is_running(), Ok(false));
}
