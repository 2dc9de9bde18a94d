//! The raw layer's ensure and release.
#![allow(unsafe_code)]
// SAFETY of every call here, [R1] of the layer: as in `raw.rs`.
#![allow(clippy::undocumented_unsafe_blocks)]

use core::time::Duration;
use std::thread;

use archipelago_kernel::{
    Runtime,
    config::{GilChoice, InterpreterConfig},
    error::{AttachError, EndError},
    interpreter::{Guard, View},
    raw::{self, Ensured},
    thread::{Status, ThreadWhence},
};

use crate::{
    TestHost,
    support::{Gate, create, current, scaled, strategies, until},
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn guard<H: TestHost>(rt: &Runtime<H>, config: InterpreterConfig) -> Guard<'_, H> {
    rt.interpreter(create(rt, &config)).unwrap().guard().unwrap()
}

fn ensured<H: TestHost>(rt: &Runtime<H>, view: View<'_, H>) -> Ensured<H> {
    unsafe { raw::ensure_from_view(rt, &view) }.unwrap()
}

fn release<H: TestHost>(rt: &Runtime<H>, ensured: Ensured<H>) -> Result<(), AttachError> {
    unsafe { raw::release(rt, ensured) }
}

/// SPEC: T5, L9
/// CPython: test_embed.test_thread_state_ensure
pub fn a_foreign_thread_gets_one_of_its_own<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let guard = guard(&rt, config);
        let interpreter = rt.interpreter(guard.id()).unwrap();
        let uses = || unsafe {
            let outer = raw::ensure(&rt, &guard).unwrap();
            let made = raw::current(&rt).unwrap();
            assert_eq!((made.interpreter(&rt), made.whence(&rt)), (Ok(guard.id()), Ok(ThreadWhence::CApi)));
            for way in [raw::ensure(&rt, &guard), raw::ensure_from_view(&rt, &guard.view())] {
                assert_eq!(raw::current(&rt), Some(made), "nothing new");
                assert_eq!(raw::with_token(&rt, |cx| cx.id()), Ok(guard.id()));
                assert_eq!(release(&rt, way.unwrap()), Ok(()));
                assert_eq!(raw::current(&rt), Some(made), "not the last one");
            }
            assert_eq!(release(&rt, outer), Ok(()));
            assert_eq!(current::<H>(), None);
            assert!(made.id(&rt).is_err(), "it is deleted");
        };
        uses();
        thread::scope(|s| s.spawn(uses).join().unwrap());
        assert_eq!((interpreter.threads(), interpreter.stats().unwrap().activations), (Ok(0), 0));
        drop(guard);
        assert!(interpreter.end(NOW).unwrap().is_clean());
    }
}

/// What another interpreter has attached is suspended, and attached again.
///
/// SPEC: T5, T3
/// CPython: test_embed.test_thread_state_ensure_from_view
pub fn over_another_interpreter<H: TestHost>() {
    let rt = H::started();
    let shared = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
    for config in strategies::<H>().into_iter().chain([shared]) {
        let inner = rt.interpreter(create(&rt, &config)).unwrap();
        let outer = rt.interpreter(create(&rt, &config)).unwrap();
        unsafe {
            let before = raw::thread_new(&rt, outer.id()).unwrap();
            raw::attach(&rt, before).unwrap();
            let first = ensured(&rt, inner.view().unwrap());
            assert_eq!(before.status(&rt), Ok(Status::Suspended));
            assert_eq!(raw::current_interpreter(&rt), Some(inner.id()));
            assert_eq!(raw::attach(&rt, before), Err(AttachError::AlreadyAttached));
            thread::scope(|s| {
                let others = s.spawn(|| (raw::attach(&rt, before), outer.end(NOW).err()));
                let (attached, _) = others.join().unwrap();
                assert_eq!(attached, Err(AttachError::AlreadyAttached), "it is in use");
            });
            // Whatever happened meanwhile.
            let second = raw::ensure_from_view(&rt, &outer.view().unwrap());
            assert_eq!(second.err(), Some(AttachError::Finalizing));
            assert_eq!(raw::current_interpreter(&rt), Some(inner.id()), "as before");
            assert_eq!(release(&rt, first), Ok(()));
            assert_eq!(raw::current(&rt), Some(before));
            assert_eq!(raw::detach(&rt), Ok(before));
        }
        assert!(rt.interpreter(outer.id()).is_err(), "the last one out");
        assert_eq!(inner.threads(), Ok(0));
    }
}

/// SPEC: T5
pub fn three_deep_and_back<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let views = [(); 3].map(|()| rt.interpreter(create(&rt, &config)).unwrap().view().unwrap());
        let order = [0, 0, 1, 1, 2, 0, 2, 1];
        let ensures: Vec<_> = order.iter().map(|n| ensured(&rt, views[*n])).collect();
        for (n, ensured) in order.iter().zip(&ensures).rev() {
            assert_eq!(unsafe { raw::current_interpreter(&rt) }, Some(views[*n].id()));
            assert_eq!(release(&rt, *ensured), Ok(()));
        }
        assert_eq!(current::<H>(), None);
        for view in views {
            assert!(view.interpreter().end(NOW).unwrap().is_clean());
        }
    }
}

/// SPEC: T5
pub fn out_of_order_nothing_changes<H: TestHost>() {
    let rt = H::started();
    let views = [(); 2]
        .map(|()| rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap().view().unwrap());
    let first = ensured(&rt, views[0]);
    let nested = ensured(&rt, views[0]);
    let second = ensured(&rt, views[1]);
    let refused = Err(AttachError::NotAttached);
    assert_eq!((release(&rt, first), release(&rt, nested)), (refused, refused));
    assert_eq!(unsafe { raw::current_interpreter(&rt) }, Some(views[1].id()));
    assert_eq!(release(&rt, second), Ok(()));
    assert_eq!(release(&rt, second), refused, "it was taken back");
    // Detached by hand in between.
    let by_hand = unsafe { raw::detach(&rt) }.unwrap();
    assert_eq!(release(&rt, first), refused);
    unsafe { raw::attach(&rt, by_hand) }.unwrap();
    assert_eq!((release(&rt, nested), release(&rt, first)), (Ok(()), Ok(())));
    assert_eq!(release(&rt, first), refused);
    for view in views {
        assert_eq!(view.interpreter().threads(), Ok(0));
    }
}

/// SPEC: T5, T2, G8
pub fn where_no_other_may_be_attached<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let own = rt.interpreter(state.interpreter()).unwrap().view().unwrap();
    let other = rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap().view().unwrap();
    let fails = |view: View<'_, H>, error: AttachError| {
        assert_eq!(unsafe { raw::ensure_from_view(&rt, &view) }.err(), Some(error));
    };
    state
        .attach(|cx| {
            fails(own, AttachError::AlreadyAttached);
            fails(other, AttachError::AlreadyAttached);
            cx.call_out(|| {
                fails(other, AttachError::AlreadyAttached);
                let lent = ensured(&rt, own);
                assert_eq!(unsafe { raw::with_token(&rt, |cx| cx.id()) }, Ok(own.id()));
                assert_eq!(release(&rt, lent), Ok(()));
            });
            cx.detach(|| {
                for view in [own, other] {
                    let ensured = ensured(&rt, view);
                    assert_eq!(unsafe { raw::with_token(&rt, |cx| cx.id()) }, Ok(view.id()));
                    assert_eq!(release(&rt, ensured), Ok(()));
                }
            });
            assert_eq!(cx.safepoint(), Ok(()));
        })
        .unwrap();
    rt.stop_all(|| fails(other, AttachError::Stopped)).unwrap();
    H::in_handler(|| fails(other, AttachError::InInterrupt));
    assert_eq!(unsafe { raw::with_token(&rt, |_| ()) }, Err(AttachError::NotAttached));
    rt.end(other.id(), None).unwrap();
    fails(other, AttachError::Ended);
    // The slot's next interpreter is another one.
    let next = rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap().view().unwrap();
    fails(other, AttachError::Ended);
    let ensured = ensured(&rt, next);
    fails(other, AttachError::Ended);
    assert_eq!(release(&rt, ensured), Ok(()));
}

/// An ensure that comes in is seen out; from finalizing on none comes in, not even nested.
///
/// SPEC: T5, L10
/// CPython: test_embed.test_concurrent_finalization_stress
pub fn an_end_sees_them_out<H: TestHost>() {
    let rt = H::started();
    for _ in 0..scaled(20, 2) {
        let interpreter = rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap();
        let (view, inside) = (interpreter.view().unwrap(), Gate::new());
        thread::scope(|s| {
            s.spawn(|| {
                let outer = ensured(&rt, view);
                inside.open();
                until("the end begins", || {
                    let nested = unsafe { raw::ensure_from_view(&rt, &view) };
                    nested.map(|nested| release(&rt, nested).unwrap()).is_err()
                });
                assert_eq!(release(&rt, outer), Ok(()));
            });
            inside.wait();
            assert_eq!(interpreter.end(NOW), Err(EndError::StillActive));
        });
        assert!(rt.interpreter(view.id()).is_err());
        assert_eq!(unsafe { raw::ensure_from_view(&rt, &view) }.err(), Some(AttachError::Ended));
    }
}
