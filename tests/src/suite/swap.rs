//! Going from one thread state to another, and tokens for those who have none: enter, detach, call_out, ensure.

use core::panic::AssertUnwindSafe;
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{InterpreterId, Runtime, config::InterpreterConfig, error::AttachError};

use crate::{
    TestHost,
    support::{Gate, create, current, presets, throw},
};

/// Main, two with own GILs, two that share main's.
fn five<H: TestHost>(rt: &Runtime<H>) -> [InterpreterId; 5] {
    let [isolated, legacy] = presets();
    [
        rt.main().unwrap(),
        create(rt, &isolated),
        create(rt, &isolated),
        create(rt, &legacy),
        create(rt, &legacy),
    ]
}

fn held<H: TestHost>(rt: &Runtime<H>, id: InterpreterId) -> bool {
    rt.interpreter(id).unwrap().gil().unwrap().held
}

/// SPEC: T3
pub fn from_any_to_any_and_back<H: TestHost>() {
    let rt = H::started();
    let ids = five(&rt);
    for from in ids {
        for to in ids {
            let (mut outer, mut inner) = (rt.thread_state(from).unwrap(), rt.thread_state(to).unwrap());
            let (outer_id, inner_id) = (outer.id(), inner.id());
            outer
                .attach(|cx| {
                    let object = cx.alloc_plain(from.number()).unwrap();
                    let seen = cx.enter(&mut inner, |cy| {
                        assert_eq!(current::<H>(), Some(to));
                        let other = cy.alloc_plain(to.number()).unwrap();
                        assert_eq!(cy.safepoint(), Ok(()));
                        (*other.get(cy), cy.id(), cy.thread_id())
                    });
                    assert_eq!(seen, Ok((to.number(), to, inner_id)));
                    assert_eq!((current::<H>(), cx.thread_id()), (Some(from), outer_id));
                    assert_eq!(*object.get(cx), from.number());
                })
                .unwrap();
            assert!(!held(&rt, from) && !held(&rt, to));
        }
    }
    for id in ids {
        assert_eq!(rt.interpreter(id).unwrap().stats().unwrap().activations, 0);
    }
}

/// SPEC: T3, G1
pub fn an_own_gil_is_released_and_the_other_taken<H: TestHost>() {
    let rt = H::started();
    let [_, a, b, c, _] = five(&rt);
    for (from, to) in [(a, b), (a, c), (c, a)] {
        let (mut outer, mut inner) = (rt.thread_state(from).unwrap(), rt.thread_state(to).unwrap());
        outer
            .attach(|cx| {
                cx.enter(&mut inner, |_| {
                    assert!(held(&rt, to));
                    assert!(!held(&rt, from), "no thread holds two");
                    let elsewhere = || rt.thread_state(from).unwrap().attach(|cz| cz.id());
                    let seen = thread::scope(|s| s.spawn(elsewhere).join().unwrap());
                    assert_eq!(seen, Ok(from), "another thread may run it meanwhile");
                })
                .unwrap();
                assert!(held(&rt, from) && !held(&rt, to));
            })
            .unwrap();
    }
}

/// SPEC: T3, G1
pub fn a_shared_gil_is_kept<H: TestHost>() {
    let rt = H::started();
    let [main, _, _, c, d] = five(&rt);
    for (from, to) in [(main, main), (main, c), (c, main), (c, d), (d, d)] {
        let (mut outer, mut inner) = (rt.thread_state(from).unwrap(), rt.thread_state(to).unwrap());
        let gate = Gate::new();
        thread::scope(|s| {
            outer
                .attach(|cx| {
                    let waiting = {
                        let gate = gate.clone();
                        let rt = &rt;
                        s.spawn(move || rt.thread_state(main).unwrap().attach(|_| gate.is_open()).unwrap())
                    };
                    crate::support::until("a thread waits for main's GIL", || {
                        rt.interpreter(main).unwrap().gil().unwrap().waiters == 1
                    });
                    for _ in 0..3 {
                        cx.enter(&mut inner, |_| assert!(held(&rt, main))).unwrap();
                    }
                    // Had the GIL been free for a moment, the other thread could have seen the gate closed.
                    gate.open();
                    waiting
                })
                .unwrap()
                .join()
                .map(|open| assert!(open))
                .unwrap();
        });
    }
}

/// SPEC: T3
pub fn enter_nests<H: TestHost>() {
    let rt = H::started();
    let [main, a, b, c, _] = five(&rt);
    let mut states: Vec<_> = [main, a, c, b, main, c].map(|id| rt.thread_state(id).unwrap()).into();
    fn deeper<H: TestHost>(
        cx: &mut archipelago_kernel::Attached<'_, H>,
        states: &mut [archipelago_kernel::ThreadState<'_, H>],
    ) -> usize {
        let here = cx.id();
        let depth = match states.split_first_mut() {
            None => 0,
            Some((next, rest)) => 1 + cx.enter(next, |cy| deeper(cy, rest)).unwrap(),
        };
        assert_eq!(current::<H>(), Some(here));
        depth
    }
    let (first, rest) = states.split_first_mut().unwrap();
    assert_eq!(first.attach(|cx| deeper(cx, rest)), Ok(5));
}

/// SPEC: T3
pub fn a_refused_enter_leaves_the_caller_attached<H: TestHost>() {
    let rt = H::started();
    for outer in five(&rt) {
        for config in presets() {
            let mut gone = rt.create(&config, None).unwrap();
            rt.end(gone.interpreter(), None).unwrap();
            let mut state = rt.thread_state(outer).unwrap();
            state
                .attach(|cx| {
                    assert_eq!(cx.enter(&mut gone, |_| ()), Err(AttachError::Ended));
                    assert_eq!(current::<H>(), Some(outer));
                    assert!(held(&rt, outer));
                    assert_eq!(cx.alloc_plain(1u8).map(|object| *object.get(cx)).ok(), Some(1));
                })
                .unwrap();
        }
    }
}

/// SPEC: T3
pub fn a_panic_inside_comes_back_attached<H: TestHost>() {
    let rt = H::started();
    let ids = five(&rt);
    for from in ids {
        for to in ids {
            let (mut outer, mut inner) = (rt.thread_state(from).unwrap(), rt.thread_state(to).unwrap());
            outer
                .attach(|cx| {
                    let panicked = catch_unwind(AssertUnwindSafe(|| cx.enter(&mut inner, |_| throw())));
                    assert!(panicked.is_err());
                    assert_eq!(current::<H>(), Some(from));
                    assert_eq!(cx.enter(&mut inner, |cy| cy.id()), Ok(to));
                })
                .unwrap();
        }
    }
}

/// SPEC: T5
/// CPython: test_capi.TestThreadState.test_thread_state, test_embed.test_thread_state_ensure
pub fn ensure_from_a_thread_without_anything<H: TestHost>() {
    let rt = H::started();
    for id in five(&rt) {
        let seen = thread::scope(|s| {
            s.spawn(|| {
                let seen = rt.ensure(id, |cx| {
                    let object = cx.alloc_plain(5u8).unwrap();
                    (cx.id(), *object.get(cx), rt.interpreter(id).unwrap().threads())
                });
                assert_eq!(current::<H>(), None);
                seen
            })
            .join()
            .unwrap()
        });
        assert_eq!(seen, Ok((id, 5, Ok(1))));
        assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(0), "it was made for the length of the call");
        assert_eq!(rt.ensure(id, |cx| cx.id()), Ok(id), "from this thread too");
    }
}

/// SPEC: T5
pub fn ensure_inside_detach_uses_the_suspended_thread_state<H: TestHost>() {
    let rt = H::started();
    for id in five(&rt) {
        let mut state = rt.thread_state(id).unwrap();
        state
            .attach(|cx| {
                let me = cx.thread_id();
                let kept = cx.alloc_plain(1u8).unwrap();
                cx.detach(|| {
                    let inner = rt.ensure(id, |cz| {
                        // And once more.
                        let again = cz.detach(|| rt.ensure(id, |cw| cw.thread_id()));
                        assert_eq!(again, Ok(me));
                        assert_eq!(cz.safepoint(), Ok(()));
                        cz.thread_id()
                    });
                    assert_eq!(inner, Ok(me));
                    assert_eq!(current::<H>(), None);
                });
                assert_eq!(rt.interpreter(id).unwrap().threads(), Ok(1), "none was made");
                assert_eq!(*kept.get(cx), 1);
            })
            .unwrap();
    }
}

/// SPEC: T5
pub fn ensure_inside_call_out_keeps_the_gil<H: TestHost>() {
    let rt = H::started();
    let ids = five(&rt);
    for id in ids {
        let mut state = rt.thread_state(id).unwrap();
        state
            .attach(|cx| {
                let me = cx.thread_id();
                cx.call_out(|| {
                    assert_eq!(rt.ensure(id, |cz| cz.thread_id()), Ok(me));
                    for other in ids.into_iter().filter(|other| *other != id) {
                        assert_eq!(rt.ensure(other, |_| ()), Err(AttachError::AlreadyAttached));
                    }
                    assert!(held(&rt, id));
                });
                assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::AlreadyAttached), "not lent any more");
                assert_eq!(current::<H>(), Some(id));
            })
            .unwrap();
    }
}

/// SPEC: T5
pub fn ensure_under_a_token_it_would_alias_is_refused<H: TestHost>() {
    let rt = H::started();
    let [main, a, _, c, d] = five(&rt);
    let mut outer = rt.thread_state(c).unwrap();
    let mut inner = rt.thread_state(d).unwrap();
    outer
        .attach(|cx| {
            // Entered under the shared GIL: c is lent, d runs; neither gives a token away.
            cx.enter(&mut inner, |cy| {
                for id in [main, a, c, d] {
                    assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::AlreadyAttached));
                }
                cy.call_out(|| {
                    assert_eq!(rt.ensure(d, |cz| cz.id()), Ok(d));
                    assert_eq!(rt.ensure(c, |_| ()), Err(AttachError::AlreadyAttached), "its GIL is d's now");
                });
                cy.detach(|| {
                    assert_eq!(rt.ensure(c, |cz| cz.id()), Ok(c));
                    assert_eq!(rt.ensure(a, |cz| cz.id()), Ok(a));
                });
            })
            .unwrap();
        })
        .unwrap();
}

/// SPEC: T5
pub fn a_panic_inside_ensure_and_call_out<H: TestHost>() {
    let rt = H::started();
    for id in five(&rt) {
        let mut state = rt.thread_state(id).unwrap();
        state
            .attach(|cx| {
                let out = || cx.call_out(|| rt.ensure(id, |_| throw()));
                assert!(catch_unwind(AssertUnwindSafe(out)).is_err());
                assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::AlreadyAttached), "no longer lent");
                let out = || cx.detach(|| rt.ensure(id, |_| throw()));
                assert!(catch_unwind(AssertUnwindSafe(out)).is_err());
                assert_eq!(current::<H>(), Some(id));
                assert_eq!(cx.safepoint(), Ok(()));
            })
            .unwrap();
        assert!(!held(&rt, id));
        assert_eq!(rt.interpreter(id).unwrap().stats().unwrap().activations, 0);
    }
}

/// SPEC: R1, T2
pub fn two_runtimes_on_one_thread<H: TestHost>() {
    let (one, two) = (H::started(), H::started());
    let mut a = one.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = two.create(&InterpreterConfig::isolated(), None).unwrap();
    let (a_id, b_id) = (a.interpreter(), b.interpreter());
    a.attach(|cx| {
        assert_eq!(b.attach(|_| ()), Err(AttachError::AlreadyAttached), "one slot for both");
        assert_eq!(two.ensure(b_id, |_| ()), Err(AttachError::AlreadyAttached));
        assert_eq!(two.create(&InterpreterConfig::isolated(), None).err(), {
            Some(archipelago_kernel::error::CreateError::AlreadyAttached)
        });
        cx.detach(|| {
            assert_eq!(b.attach(|cy| cy.id()), Ok(b_id));
            assert_eq!(two.ensure(b_id, |cy| cy.id()), Ok(b_id));
            assert_eq!(two.ensure(a_id, |_| ()), Err(AttachError::Ended), "not this one's");
        });
        // Another runtime of the same host may be entered: the token is lent and its GIL released.
        assert_eq!(cx.enter(&mut b, |cy| (cy.id(), held(&one, a_id))), Ok((b_id, false)));
        assert_eq!(current::<H>(), Some(a_id));
        // And finalized, for nothing of it is open on this thread.
        cx.detach(|| assert!(two.finalize(None).is_ok()));
        assert_eq!(cx.enter(&mut b, |_| ()), Err(AttachError::Ended));
    })
    .unwrap();
}
