//! Guards and views: who keeps an interpreter from ending, and who only looks at it.

use core::time::Duration;
use std::thread;

use archipelago_kernel::{
    error::{AttachError, EndError, GuardError, PendingError, ResetError, RuntimeError},
    interpreter::{Guard, Phase, View},
};

use crate::{
    TestHost,
    support::{Log, create, list_all, scaled, strategies, until},
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn both_ways<T: Send + Sync>() {}

/// SPEC: L9
/// CPython: test_embed.test_thread_state_ensure_from_view
pub fn a_guard_keeps_the_interpreter<H: TestHost>() {
    both_ways::<Guard<'static, H>>();
    both_ways::<View<'static, H>>();
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let interpreter = rt.interpreter(state.interpreter()).unwrap();
        let view = interpreter.view().unwrap();
        let (first, second) = (view.guard().unwrap(), interpreter.guard().unwrap());
        assert_eq!(
            (first.id(), view.id(), interpreter.stats().unwrap().guards),
            (interpreter.id(), interpreter.id(), 2)
        );
        assert_eq!(interpreter.end(NOW), Err(EndError::StillGuarded));
        assert_eq!(interpreter.close(NOW), Err(EndError::StillGuarded));
        assert_eq!(state.reset(NOW), Err(ResetError::End(EndError::StillGuarded)));
        assert_eq!(
            (interpreter.phase(), interpreter.is_running()),
            (Ok(Phase::Running), Ok(false)),
            "nothing changed"
        );
        state.attach(|cx| assert_eq!(cx.safepoint(), Ok(()), "nobody was told")).unwrap();
        drop(first);
        let third = second.view().guard().unwrap();
        drop(second);
        assert_eq!(interpreter.end(NOW), Err(EndError::StillGuarded));
        drop(third);
        assert!(interpreter.end(NOW).unwrap().is_clean());
        assert_eq!(view.guard().err(), Some(GuardError::Ended));
        assert_eq!(view.ensure(|_| ()), Err(AttachError::Ended));
        assert_eq!(view.interpreter().guard().err(), Some(GuardError::Ended));
    }
}

/// While an end waits for guards everything goes on, but for new guards.
///
/// SPEC: L9, L10
pub fn an_end_waits_for_guards<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let view = rt.interpreter(id).unwrap().view().unwrap();
        let guard = view.guard().unwrap();
        let log = Log::new();
        thread::scope(|s| {
            let ender = s.spawn(|| rt.end(id, None));
            until("the end waits", || view.guard().err() == Some(GuardError::Finalizing));
            assert_eq!(view.interpreter().phase(), Ok(Phase::Ending));
            assert!(list_all(&rt).contains(&id));
            assert_eq!(rt.end(id, NOW), Err(EndError::InProgress));
            view.port().add(log.call(7)).unwrap();
            // New thread states come in, are told nothing, and may come back.
            for _ in 0..2 {
                let inside = guard.ensure(|cx| {
                    assert_eq!(cx.safepoint(), Ok(()));
                    cx.detach(|| ());
                    cx.alloc_plain(1_u8).is_ok()
                });
                assert_eq!(inside, Ok(true));
            }
            let mut state = guard.thread_state().unwrap();
            assert_eq!(state.attach(|cx| cx.id()), Ok(id));
            assert_eq!(log.values(), [7]);
            drop(guard);
            assert!(ender.join().unwrap().unwrap().is_clean());
            assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
        });
    }
}

/// From whichever interpreter and thread somebody comes; and that of an earlier cycle is not that of this one.
///
/// SPEC: L9, R4
/// CPython: test_embed.test_main_interpreter_view
pub fn a_view_of_main<H: TestHost>() {
    let rt = H::started();
    let view_of = |id| rt.interpreter(id).unwrap().view().unwrap();
    let main = rt.main().unwrap();
    let view = view_of(main);
    assert_eq!(view.id(), main);
    let here = || view.guard().map(|guard| guard.ensure(|cx| cx.id()));
    assert_eq!(here(), Ok(Ok(main)));
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        assert_eq!(state.attach(|cx| cx.detach(here)), Ok(Ok(Ok(main))));
    }
    assert_eq!(thread::scope(|s| s.spawn(here).join().unwrap()), Ok(Ok(main)));
    rt.finalize(None).unwrap();
    assert_eq!(
        (view.guard().map(drop), view.ensure(|_| ())),
        (Err(GuardError::Ended), Err(AttachError::Ended))
    );
    let _ = rt.initialize(None).unwrap();
    assert_eq!(here(), Err(GuardError::Ended));
    assert_eq!(view_of(rt.main().unwrap()).ensure(|cx| cx.id()), Ok(rt.main().unwrap()));
}

/// SPEC: L9, R4
/// CPython: test_embed.test_concurrent_finalization_stress
pub fn a_runtime_waits_for_guards<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &strategies::<H>()[0]);
    let main = rt.interpreter(rt.main().unwrap()).unwrap();
    for guard in [rt.interpreter(id).unwrap().guard().unwrap(), main.guard().unwrap()] {
        assert_eq!(rt.finalize(NOW).err(), Some(RuntimeError::StillGuarded));
        assert_eq!(guard.ensure(|cx| cx.safepoint()), Ok(Ok(())), "it is as before");
        drop(guard);
    }
    assert_eq!(main.view().unwrap().guard().map(drop), Ok(()));
    assert!(rt.finalize(NOW).is_ok());
}

/// SPEC: L9, L15
/// CPython: test_embed.test_concurrent_finalization_stress
pub fn whoever_has_a_guard_gets_in<H: TestHost>() {
    let rt = H::started();
    for _ in 0..scaled(30, 2) {
        for config in strategies::<H>() {
            let id = create(&rt, &config);
            let view = rt.interpreter(id).unwrap().view().unwrap();
            thread::scope(|s| {
                for _ in 0..scaled(6, 2) {
                    s.spawn(move || {
                        loop {
                            match view.guard() {
                                Ok(guard) => assert_eq!(guard.ensure(|cx| cx.safepoint()), Ok(Ok(()))),
                                Err(GuardError::Finalizing | GuardError::Ended) => break,
                                Err(other) => panic!("{other}"),
                            }
                        }
                    });
                }
                assert!(rt.end(id, None).unwrap().is_clean());
            });
        }
    }
}

/// A guard that is given back on another thread than it was taken on, in the middle of the end.
///
/// SPEC: L9
pub fn a_guard_goes_to_another_thread<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &strategies::<H>()[0]);
    let guard = rt.interpreter(id).unwrap().guard().unwrap();
    let view = guard.view();
    thread::scope(|s| {
        s.spawn(|| {
            until("the end waits", || view.guard().is_err());
            drop(guard);
        });
        assert!(rt.end(id, None).is_ok());
    });
}

/// A view of before finds nothing of the slot's next interpreter, and is no hindrance to it.
///
/// SPEC: L9, R3
pub fn a_view_of_before_is_told<H: TestHost>() {
    let rt = H::started();
    let config = strategies::<H>()[0];
    let old = create(&rt, &config);
    let view = rt.interpreter(old).unwrap().view().unwrap();
    assert!(rt.end(old, None).is_ok());
    let next = create(&rt, &config);
    assert_eq!(view.guard().err(), Some(GuardError::Ended));
    assert_eq!(view.ensure(|_| ()), Err(AttachError::Ended));
    assert_eq!(view.port().interrupt(), Err(PendingError::Ended));
    assert_eq!(rt.interpreter(next).unwrap().stats().unwrap().guards, 0);
    if let Some(answer) = H::in_handler(|| rt.interpreter(next).err().map(|_| view.guard().err())) {
        assert_eq!(answer, Some(Some(GuardError::InInterrupt)));
    }
    assert!(rt.end(next, NOW).is_ok());
}

/// A view's token is nested where the outer one was lent, as by the name.
///
/// SPEC: T5, L9
/// CPython: test_embed.test_thread_state_ensure
pub fn tokens_by_view_nest<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let view = rt.interpreter(id).unwrap().view().unwrap();
        let depth = view.ensure(|cx| {
            let outer = cx.thread_id();
            assert_eq!(view.ensure(|_| ()), Err(AttachError::AlreadyAttached), "the token is in use");
            let lent = cx.call_out(|| {
                view.ensure(|cx| (cx.thread_id(), cx.call_out(|| view.ensure(|cx| cx.thread_id()))))
            });
            let away = cx.detach(|| view.ensure(|cx| cx.thread_id()));
            assert_eq!(
                (lent, away),
                (Ok((outer, Ok(outer))), Ok(outer)),
                "its own thread state is used again"
            );
            3
        });
        assert_eq!(depth, Ok(3));
        assert_eq!(view.interpreter().threads(), Ok(0));
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// A nested token is kept by the activation of the outer one, however it was asked for, and finalizing is told as ever.
///
/// SPEC: T5, L10
pub fn a_nested_token_counts_no_activation<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let interpreter = rt.interpreter(id).unwrap();
        let guard = interpreter.guard().unwrap();
        let view = guard.view();
        let count = || interpreter.stats().unwrap().activations;
        let elsewhere = H::started();
        state
            .attach(|cx| {
                cx.call_out(|| {
                    assert_eq!((rt.ensure(id, |_| count()), view.ensure(|_| count())), (Ok(1), Ok(1)));
                    assert_eq!(guard.ensure(|cx| cx.call_out(|| rt.ensure(id, |_| count()))), Ok(Ok(1)));
                    let main = elsewhere.main().unwrap();
                    assert_eq!(elsewhere.ensure(main, |_| ()), Err(AttachError::AlreadyAttached));
                    assert_eq!(rt.ensure(rt.main().unwrap(), |_| ()), Err(AttachError::AlreadyAttached));
                    // What the nested frame leaves behind is settled with it.
                    view.ensure(|cx| drop(cx.alloc_plain(1_u8))).unwrap();
                });
                assert_eq!(
                    cx.detach(|| rt.ensure(id, |_| count())),
                    Ok(2),
                    "under a GIL of its own it is counted"
                );
                drop(guard);
                assert_eq!(cx.detach(|| rt.end(id, NOW)), Err(EndError::WouldDeadlock));
                thread::scope(|s| {
                    let ender = s.spawn(|| rt.end(id, NOW));
                    assert_eq!(ender.join().unwrap(), Err(EndError::StillActive));
                });
                cx.call_out(|| {
                    assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::Finalizing));
                    assert_eq!(view.ensure(|_| ()), Err(AttachError::Finalizing));
                });
            })
            .unwrap();
        assert_eq!(view.ensure(|_| ()), Err(AttachError::Ended));
    }
}

/// Who holds guards can be asked, also while an end waits for them.
///
/// SPEC: L9
pub fn labels_say_who_holds_them<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let id = create(&rt, &config);
        let interpreter = rt.interpreter(id).unwrap();
        let view = interpreter.view().unwrap();
        let names = |room: usize| {
            let mut labels = vec![""; room];
            let count = interpreter.guards(&mut labels).unwrap();
            (count.total, count.labelled, labels)
        };
        assert_eq!(names(1), (0, 0, vec![""]));
        let plain = view.guard().unwrap();
        let in_use = H::raw_in_use(&rt);
        let [first, second, third] =
            ["first", "second", "third"].map(|label| view.guard_labelled(label).unwrap());
        assert_eq!(names(4), (4, 3, vec!["third", "second", "first", ""]));
        assert_eq!(names(1), (4, 3, vec!["third"]), "as many as there is room for");
        assert_eq!(interpreter.end(NOW), Err(EndError::StillGuarded));
        drop(second);
        assert_eq!(names(2), (3, 2, vec!["third", "first"]));
        thread::scope(|s| {
            let ender = s.spawn(|| rt.end(id, None));
            until("the end waits", || view.guard().is_err());
            assert_eq!(view.guard_labelled("late").err(), Some(GuardError::Finalizing));
            drop(third);
            assert_eq!(names(2), (2, 1, vec!["first", ""]));
            drop(first);
            assert_eq!(
                (names(1), H::raw_in_use(&rt)),
                ((1, 0, vec![""]), in_use),
                "labels cost nothing any more"
            );
            drop(plain);
            assert!(ender.join().unwrap().is_ok());
        });
        assert!(interpreter.guards(&mut []).is_err());
    }
}
