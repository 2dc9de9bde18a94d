//! Objects and the handles to them.

use core::panic::AssertUnwindSafe;
use std::{
    panic::catch_unwind,
    sync::{Arc, Mutex},
};

use archipelago_kernel::{
    config::{GilChoice, InterpreterConfig},
    guest::{Family, Plain},
    object::Edge,
};

use crate::{
    TestHost,
    support::{Noisy, scaled, strategies, throw},
};

/// A list of objects that refer to each other.
pub struct Chain<'i> {
    _noisy: Noisy,
    next: Option<Edge<'i, ChainFamily>>,
}

/// [`Chain`] at every brand.
pub struct ChainFamily;

impl Family for ChainFamily {
    type At<'i> = Chain<'i>;
}

/// SPEC: O1, T6
pub fn values_are_read_and_changed_through_the_token<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let object = cx.alloc_plain(vec![1, 2]).unwrap();
                object.get_mut(cx).push(3);
                assert_eq!(*object.get(cx), [1, 2, 3]);
                let again = object.local(cx).to_owned();
                again.get_mut(cx).clear();
                assert!(object.get(cx).is_empty(), "one object, two references");
                assert!(object.local(cx).is(again.local(cx)));
                let other = cx.alloc_plain(Vec::new()).unwrap();
                assert!(!object.local(cx).is(other.local(cx)));
                let kept = object.local(cx).get();
                let seen = object.local(cx);
                assert_eq!(kept.len() + seen.get().len(), 0);
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// SPEC: O1
pub fn the_last_reference_drops_the_value_and_frees_the_memory<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let (noisy, drops) = Noisy::new();
                let first = cx.alloc_plain(noisy).ok().unwrap();
                let second = first.local(cx).to_owned();
                let third = second.local(cx).to_owned();
                first.release(cx);
                drop(second);
                cx.settle();
                assert_eq!((drops.count(), cx.usage().object.blocks), (0, 1));
                third.release(cx);
                assert_eq!((drops.count(), cx.usage().object.blocks), (1, 0));
            })
            .unwrap();
    }
}

/// SPEC: O1, T6
pub fn dropping_waits_for_the_token<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let (noisy, drops) = Noisy::new();
                let object = cx.alloc_plain(noisy).ok().unwrap();
                let seen = object.get(cx);
                drop(object);
                // A look borrows the token, not the reference: the value is still there.
                let _ = seen;
                assert_eq!(drops.count(), 0);
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!(drops.count(), 1, "the safepoint releases what is owed");
            })
            .unwrap();
    }
}

/// SPEC: O1, T6
pub fn a_reference_may_be_dropped_anywhere_on_its_thread<H: TestHost>() {
    let rt = H::started();
    let shared = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
    for config in strategies::<H>().into_iter().chain([shared]) {
        for other in strategies::<H>() {
            let mut state = rt.create(&config, None).unwrap();
            let mut entered = rt.create(&other, None).unwrap();
            let id = state.interpreter();
            state
                .attach(|cx| {
                    let (noisy, drops) = Noisy::new();
                    let first = cx.alloc_plain(noisy).ok().unwrap();
                    cx.detach(|| drop(first));
                    assert_eq!(drops.count(), 0, "nothing is freed without the GIL");
                    cx.settle();
                    assert_eq!(drops.count(), 1, "detached");
                    let second = drops.another_in(cx);
                    cx.enter(&mut entered, |cy| {
                        drop(second);
                        cy.settle();
                        assert_eq!(drops.count(), 1, "another interpreter's token frees nothing of it");
                    })
                    .unwrap();
                    cx.settle();
                    assert_eq!(drops.count(), 2, "entered");
                    let third = drops.another_in(cx);
                    cx.call_out(|| drop(third));
                    cx.settle();
                    assert_eq!(drops.count(), 3, "lent");
                    let fourth = drops.another_in(cx);
                    cx.detach(|| rt.ensure(id, |_| drop(fourth)).unwrap());
                    assert_eq!(drops.count(), 4, "the inner frame settles when it closes");
                    let (fifth, again) = (drops.another_in(cx), drops.another_in(cx));
                    let both = fifth.local(cx).to_owned();
                    drop(fifth);
                    cx.detach(|| drop((both, again)));
                    assert_eq!(cx.safepoint(), Ok(()));
                    assert_eq!(drops.count(), 6, "some here, some there");
                })
                .unwrap();
            assert!(rt.end(id, None).unwrap().is_clean());
        }
    }
}

impl crate::support::Drops {
    /// Another counted value, as an object.
    fn another_in<'i, H: archipelago_kernel::Host>(
        &self,
        cx: &archipelago_kernel::Attached<'i, H>,
    ) -> archipelago_kernel::object::Owned<'i, Plain<Noisy>> {
        cx.alloc_plain(self.another()).ok().unwrap()
    }
}

/// SPEC: O1
pub fn what_a_frame_owed_is_settled_when_it_closes<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let (noisy, drops) = Noisy::new();
        state.attach(|cx| drop(cx.alloc_plain(noisy))).unwrap();
        assert_eq!(drops.count(), 1);
        assert_eq!(rt.interpreter(state.interpreter()).unwrap().usage().unwrap().object.blocks, 0);
    }
}

/// SPEC: O1
pub fn a_long_chain_is_released_without_recursion<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let n = scaled(15_000, 100);
        state
            .attach(|cx| {
                let (noisy, drops) = Noisy::new();
                let mut first = cx.alloc::<ChainFamily>(Chain { _noisy: noisy, next: None }).ok().unwrap();
                for _ in 1..n {
                    let next = Some(first.into_edge());
                    first = cx.alloc::<ChainFamily>(Chain { _noisy: drops.another(), next }).ok().unwrap();
                }
                let second = first.get(cx).next.as_ref().unwrap().local(cx).to_owned();
                first.release(cx);
                assert_eq!(drops.count(), 1, "the second one is still referred to");
                assert!(second.get(cx).next.as_ref().is_some_and(|edge| edge.get(cx).next.is_some()));
                second.release(cx);
                assert_eq!((drops.count(), cx.usage().object.blocks), (n, 0));
            })
            .unwrap();
    }
}

/// SPEC: O1, L11
pub fn a_cycle_lives_until_the_end<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let (noisy, drops) = Noisy::new();
        state
            .attach(|cx| {
                let a = cx.alloc::<ChainFamily>(Chain { _noisy: noisy, next: None }).ok().unwrap();
                let next = Some(a.local(cx).to_owned().into_edge());
                let b = cx.alloc::<ChainFamily>(Chain { _noisy: drops.another(), next }).ok().unwrap();
                let b_edge = b.local(cx).to_owned().into_edge();
                a.get_mut(cx).next = Some(b_edge);
                a.release(cx);
                b.release(cx);
            })
            .unwrap();
        assert_eq!(drops.count(), 0);
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert_eq!((ledger.objects, drops.count(), ledger.destructors_skipped), (2, 2, 0));
        assert_eq!(ledger.leaked.object.blocks, 2);
    }
}

/// SPEC: O1, L11
pub fn a_destructor_that_panics_at_the_end_is_counted<H: TestHost>() {
    struct Bomb(bool, #[expect(dead_code)] Noisy);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 {
                throw();
            }
        }
    }
    let rt = H::started();
    let mut in_use = None;
    // The first round leaves slots, and blocks that main's heap keeps, for the next.
    let configs = strategies::<H>();
    for (round, config) in configs.iter().chain(&configs).enumerate() {
        let scribe = crate::support::Scribe::of(&rt);
        let mut state = rt.create(config, None).unwrap();
        let id = state.interpreter();
        let (noisy, drops) = Noisy::new();
        state
            .attach(|cx| {
                let mut noisy = Some(noisy);
                for n in 0..5 {
                    // The newest goes first.
                    let value = Bomb(n == 2, noisy.take().unwrap_or_else(|| drops.another()));
                    core::mem::forget(cx.alloc_plain(value).ok().unwrap());
                }
            })
            .unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| rt.end(id, None))).is_err());
        let ledgers = scribe.ended();
        assert_eq!(ledgers.len(), 1);
        let (number, ledger) = ledgers[0];
        assert_eq!((number, ledger.objects, ledger.destructors_skipped), (id.number(), 5, 3));
        assert_eq!(ledger.leaked.object.blocks, 5);
        assert_eq!(drops.count(), 3, "two that went before it, and its own fields");
        if round >= configs.len() {
            assert_eq!(H::raw_in_use(&rt), in_use, "the memory is back all the same");
        }
        in_use = H::raw_in_use(&rt);
        assert_eq!(rt.end(id, None), Err(archipelago_kernel::error::EndError::NotFound));
        assert!(rt.create(config, None).is_ok_and(|state| rt.end(state.interpreter(), None).is_ok()));
    }
}

/// SPEC: O1, T5
/// CPython: test_capi.TestThreadState.test_thread_gilstate_in_clear
pub fn a_destructor_that_asks_for_a_token_is_told<H: TestHost>() {
    use archipelago_kernel::{InterpreterId, Runtime, error::AttachError};
    use std::sync::Weak;

    struct Asks<H: TestHost>(Weak<Runtime<H>>, [InterpreterId; 2], Arc<Mutex<Vec<Result<(), AttachError>>>>);
    impl<H: TestHost> Drop for Asks<H> {
        fn drop(&mut self) {
            if let Some(rt) = self.0.upgrade() {
                self.2.lock().unwrap().extend(self.1.map(|id| rt.ensure(id, |_| ())));
            }
        }
    }
    let rt = Arc::new(H::started());
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let answers = Arc::default();
        let asks = || Asks(Arc::downgrade(&rt), [id, rt.main().unwrap()], Arc::clone(&answers));
        state
            .attach(|cx| {
                cx.alloc_plain(asks()).ok().unwrap().release(cx);
                drop(cx.alloc_plain(asks()));
            })
            .unwrap();
        let running = Err(AttachError::AlreadyAttached);
        assert_eq!(*answers.lock().unwrap(), [running; 4], "its token is running");
        answers.lock().unwrap().clear();
        state.attach(|cx| core::mem::forget(cx.alloc_plain(asks()).ok().unwrap())).unwrap();
        rt.end(id, None).unwrap();
        assert_eq!(*answers.lock().unwrap(), [running; 2], "at the end too: neither a hang nor a crash");
    }
}

/// SPEC: O1
pub fn a_destructor_may_use_what_it_owns<H: TestHost>() {
    // Outside things are dropped with the value, in order, once.
    struct Outside(Arc<Mutex<Vec<usize>>>, usize);
    impl Drop for Outside {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(self.1);
        }
    }
    let rt = H::started();
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            let objects: Vec<_> =
                (0..4).map(|n| cx.alloc_plain(Outside(log.clone(), n)).ok().unwrap()).collect();
            for object in objects {
                object.release(cx);
            }
        })
        .unwrap();
    assert_eq!(*log.lock().unwrap(), [0, 1, 2, 3]);
}
