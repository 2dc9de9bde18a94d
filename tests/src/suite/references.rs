//! References by id: what the loss of the last one does, and where.

use core::{panic::AssertUnwindSafe, time::Duration};
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{
    Attached, Host, InterpreterId, Runtime,
    config::InterpreterConfig,
    error::{EndError, Interrupt, LookupError, RuntimeError},
    guest::{GuestTable, Step},
    interpreter::{Decref, ExitFailed, Interpreter, Phase, References},
};
use archipelago_toy_guest::Toy;

use crate::{
    TestHost,
    support::{
        Gate, Log, Scribe, Told, create, forever, list_all, presets, scaled, strategies, throw, until,
    },
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn is<H: Host>(of: Interpreter<'_, H>, count: u32, linked: bool) -> bool {
    let References { count: found, linked: is_linked, queued, .. } = of.references().unwrap();
    assert!(!queued || (count == 0 && linked));
    (found, is_linked) == (count, linked)
}

/// An interpreter that is linked and has one reference.
fn linked<'rt, H: TestHost>(rt: &'rt Runtime<H>) -> Interpreter<'rt, H> {
    let of = rt.interpreter(create(rt, &InterpreterConfig::isolated())).unwrap();
    assert_eq!((of.link(), of.incref()), (Ok(()), Ok(1)));
    of
}

fn exists<H: TestHost>(of: Interpreter<'_, H>) -> bool {
    list_all(of.runtime()).contains(&of.id())
}

fn is_ended(given: Result<Decref, LookupError>) -> bool {
    matches!(given, Ok(Decref::Ended(ledger)) if ledger.is_clean())
}

/// SPEC: L6, R3
/// CPython: test_capi.InterpreterIDTests.test_conversion_int
pub fn numbers_are_names<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    for known in [rt.main().unwrap(), id] {
        assert_eq!(rt.id(known.number()), Ok(known));
        assert_eq!(rt.interpreter(rt.id(known.number()).unwrap()).unwrap().incref(), Ok(1));
    }
    for number in [id.number() + 1, u64::from(u32::MAX) + 1, u64::MAX] {
        assert_eq!(rt.id(number), Err(LookupError::NotFound), "{number}");
    }
}

/// SPEC: L6
/// CPython: test_capi.InterpreterIDTests.test_linked_lifecycle_does_not_exist
pub fn of_one_that_is_not_there<H: TestHost>() {
    let rt = H::started();
    let of = rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap();
    rt.end(of.id(), None).unwrap();
    let gone = Err(LookupError::NotFound);
    assert_eq!((of.link(), of.unlink()), (gone, gone));
    assert_eq!(of.references(), Err(LookupError::NotFound));
    assert_eq!(of.incref(), Err(LookupError::NotFound));
    assert_eq!(of.decref(), Err(LookupError::NotFound));
}

/// SPEC: L6
/// CPython: test_capi.InterpreterIDTests.test_linked_lifecycle_initial
pub fn at_first_there_are_none<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let of = rt.interpreter(create(&rt, &config)).unwrap();
        assert!(is(of, 0, false));
        assert_eq!(of.decref(), Err(LookupError::NotReferenced));
        assert!(is(of, 0, false), "nothing changed");
    }
}

/// SPEC: L6
/// CPython: test_capi.InterpreterIDTests.test_linked_lifecycle_never_linked
pub fn without_a_link_they_only_count<H: TestHost>() {
    let rt = H::started();
    let of = rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap();
    assert_eq!(of.incref(), Ok(1));
    assert!(is(of, 1, false));
    assert_eq!(of.incref(), Ok(2));
    assert_eq!(of.decref(), Ok(Decref::Left(1)));
    assert_eq!(of.decref(), Ok(Decref::Left(0)));
    assert!(is(of, 0, false) && exists(of));
}

/// SPEC: L6
/// CPython: test_capi.InterpreterIDTests.test_linked_lifecycle_link_unlink
pub fn a_link_alone_ends_nothing<H: TestHost>() {
    let rt = H::started();
    let of = rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap();
    for _ in 0..2 {
        assert_eq!(of.link(), Ok(()));
        assert!(is(of, 0, true) && exists(of));
        assert_eq!(of.decref(), Err(LookupError::NotReferenced));
    }
    for _ in 0..2 {
        assert_eq!(of.unlink(), Ok(()));
        assert!(is(of, 0, false) && exists(of));
    }
}

/// SPEC: L6
/// CPython: test_capi.InterpreterIDTests.test_linked_lifecycle_link_incref_decref
pub fn linked_the_last_one_ends_it<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    for config in strategies::<H>() {
        let of = rt.interpreter(create(&rt, &config)).unwrap();
        assert_eq!(of.link(), Ok(()));
        assert_eq!((of.incref(), of.incref()), (Ok(1), Ok(2)));
        assert_eq!(of.decref(), Ok(Decref::Left(1)));
        assert!(is(of, 1, true) && exists(of));
        scribe.take();
        assert!(is_ended(of.decref()));
        assert!(!exists(of));
        let told = scribe.take();
        assert!(
            matches!(told[..], [Told::Clearing(first), Told::Ended(second, _)] if first == second),
            "{told:?}"
        );
    }
}

/// SPEC: L6
/// CPython: test_capi.InterpreterIDTests.test_linked_lifecycle_incref_link
pub fn linked_later<H: TestHost>() {
    let rt = H::started();
    let of = rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap();
    assert_eq!((of.incref(), of.link()), (Ok(1), Ok(())));
    assert!(is(of, 1, true));
    assert!(is_ended(of.decref()) && !exists(of));
}

/// SPEC: L6
/// CPython: test_capi.InterpreterIDTests.test_linked_lifecycle_link_incref_unlink_decref
pub fn unlinked_again_it_stays<H: TestHost>() {
    let rt = H::started();
    let of = linked(&rt);
    assert_eq!(of.unlink(), Ok(()));
    assert!(is(of, 1, false));
    assert_eq!(of.decref(), Ok(Decref::Left(0)));
    assert!(is(of, 0, false) && exists(of));
}

/// Main ends with the runtime.
///
/// SPEC: L6, R7
pub fn main_is_only_counted<H: TestHost>() {
    let rt = H::started();
    let main = rt.interpreter(rt.main().unwrap()).unwrap();
    assert_eq!((main.link(), main.incref()), (Ok(()), Ok(1)));
    assert_eq!(main.decref(), Ok(Decref::Left(0)));
    assert!(is(main, 0, true) && exists(main));
}

/// A slot's next interpreter begins without references, and a reset keeps them.
///
/// SPEC: L6, L14
pub fn they_are_of_the_name<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let of = rt.interpreter(state.interpreter()).unwrap();
    assert_eq!((of.link(), of.incref()), (Ok(()), Ok(1)));
    assert!(state.reset(None).is_ok());
    assert!(is(of, 1, true));
    assert!(is_ended(of.decref()));
    assert!(is(rt.interpreter(create(&rt, &InterpreterConfig::isolated())).unwrap(), 0, false));
}

/// Inside itself, in a destructor, while this thread keeps others stopped and in a handler: main's thread ends it.
///
/// SPEC: L6, G8
pub fn where_it_cannot_end_it_is_queued<H: TestHost>() {
    let rt: &'static Runtime<H> = forever(H::started());
    let scribe = Scribe::of(rt);
    struct GivesBack<H: Host>(&'static Runtime<H>, InterpreterId);
    impl<H: Host> Drop for GivesBack<H> {
        fn drop(&mut self) {
            assert_eq!(self.0.interpreter(self.1).unwrap().decref(), Ok(Decref::Queued));
        }
    }
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    for way in 0..5 {
        let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
        let of = rt.interpreter(state.interpreter()).unwrap();
        assert_eq!((of.link(), of.incref()), (Ok(()), Ok(1)));
        match way {
            0 => state.attach(|_| assert_eq!(of.decref(), Ok(Decref::Queued))).unwrap(),
            1 => state.attach(|cx| cx.detach(|| assert_eq!(of.decref(), Ok(Decref::Queued)))).unwrap(),
            2 => state.attach(|cx| drop(cx.alloc_plain(GivesBack(rt, of.id())).ok().unwrap())).unwrap(),
            3 => assert_eq!(rt.stop_all(|| of.decref()), Ok(Ok(Decref::Queued))),
            _ => {
                let port = of.port().unwrap();
                let Some(given) = H::in_handler(|| {
                    assert_eq!(of.decref(), Err(LookupError::InInterrupt), "there is a lock on the way");
                    port.decref()
                }) else {
                    continue;
                };
                assert_eq!(given, Ok(Decref::Queued));
            }
        }
        assert!(of.references().unwrap().queued);
        assert_eq!(of.phase(), Ok(Phase::Running), "everything goes on");
        assert_eq!(of.decref(), Err(LookupError::NotReferenced), "{way}");
        state.attach(|cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
        assert!(exists(of), "only main's thread does it");
        scribe.take();
        main.attach(|cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
        assert!(!exists(of), "{way}");
        let told = scribe.take();
        assert!(
            matches!(told[..], [Told::Orphaned(a), Told::Clearing(b), Told::Ended(c, _)] if a == b && b == c),
            "{told:?}"
        );
    }
}

/// A run is told, as by any end.
///
/// SPEC: L6, L7
pub fn while_it_runs_it_is_queued<H: TestHost>() {
    let rt = H::started();
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    let mut state = rt.create(&InterpreterConfig::isolated(), Some(GuestTable::of::<Toy>())).unwrap();
    let of = rt.interpreter(state.interpreter()).unwrap();
    assert_eq!((of.link(), of.incref()), (Ok(()), Ok(1)));
    assert_eq!(state.attach(|cx| cx.exec(b"yield; halt")), Ok(Step::Yielded));
    assert_eq!(of.decref(), Ok(Decref::Queued));
    assert!(exists(of));
    main.attach(|cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
    assert!(!exists(of));
}

/// Whoever is inside is told, and who leaves last completes it.
///
/// SPEC: L6, L10
pub fn who_is_inside_completes_it<H: TestHost>() {
    let rt = H::started();
    let of = linked(&rt);
    let inside = Gate::new();
    thread::scope(|s| {
        let entered = inside.clone();
        let thread = s.spawn(move || {
            of.thread_state().unwrap().attach(|cx| {
                entered.open();
                until("the end tells", || cx.safepoint() == Err(Interrupt::Finalizing));
            })
        });
        inside.wait();
        assert_eq!(of.decref(), Ok(Decref::Queued));
        assert_eq!(of.incref(), Err(LookupError::NotFound), "its end is under way");
        assert_eq!(of.unlink(), Err(LookupError::NotFound));
        thread.join().unwrap().unwrap();
    });
    assert!(!exists(of));
}

/// Until its end begins, a new reference takes it back, and so does to unlink it.
///
/// SPEC: L6
pub fn it_is_taken_back<H: TestHost>() {
    let rt = H::started();
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    main.attach(|cx| {
        let [again, unlinked, linked_again] = cx.detach(|| [(); 3].map(|()| linked(&rt)));
        for of in [again, unlinked, linked_again] {
            assert_eq!(of.decref(), Ok(Decref::Queued));
        }
        assert_eq!((again.incref(), unlinked.unlink(), linked_again.link()), (Ok(1), Ok(()), Ok(())));
        assert_eq!(cx.safepoint(), Ok(()));
        assert!(is(again, 1, true) && is(unlinked, 0, false) && is(linked_again, 0, true));
        assert_eq!(again.decref(), Ok(Decref::Queued));
        assert_eq!(linked_again.incref(), Ok(1));
        assert_eq!(linked_again.decref(), Ok(Decref::Queued));
        assert_eq!(cx.safepoint(), Ok(()));
        assert!(exists(unlinked) && !exists(again) && !exists(linked_again));
    })
    .unwrap();
}

/// It stays queued, and main is told when the last of them goes.
///
/// SPEC: L6, L9
pub fn guards_and_joins_put_it_off<H: TestHost>() {
    let rt = H::started();
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    for joins in [false, true] {
        let of = linked(&rt);
        let guard = (!joins).then(|| of.guard().unwrap());
        let ticket = joins.then(|| of.join_ticket().unwrap());
        assert_eq!(of.decref(), Ok(Decref::Queued));
        main.attach(|cx| {
            for _ in 0..3 {
                assert_eq!(cx.safepoint(), Ok(()));
                assert!(of.references().unwrap().queued && of.phase() == Ok(Phase::Running));
            }
            drop((guard, ticket));
            assert!(exists(of));
            assert_eq!(cx.safepoint(), Ok(()));
            assert!(!exists(of));
        })
        .unwrap();
    }
}

/// SPEC: L6, R5
pub fn a_veto_takes_it_back<H: TestHost>() {
    let rt = H::started();
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    let scribe = Scribe::of(&rt);
    let (of, other) = (linked(&rt), linked(&rt));
    scribe.veto_clearing(true);
    assert_eq!(of.decref(), Ok(Decref::Queued));
    main.attach(|cx| {
        assert_eq!(other.decref(), Ok(Decref::Queued));
        assert_eq!(cx.safepoint(), Ok(()));
        scribe.veto_clearing(false);
        assert_eq!(cx.safepoint(), Ok(()));
    })
    .unwrap();
    assert!(is(of, 0, true) && is(other, 0, true) && exists(of) && exists(other));
    assert_eq!(of.incref(), Ok(1));
    assert!(is_ended(of.decref()));
}

fn panics<H: Host>(_: &mut Attached<'_, H>, _: usize) -> Result<(), ExitFailed> {
    throw()
}

/// SPEC: L6, L13
pub fn a_callback_that_panics_leaves_it_queued<H: TestHost>() {
    let rt = H::started();
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    let (of, other) = (linked(&rt), linked(&rt));
    let mut inside = of.thread_state().unwrap();
    inside.attach(|cx| cx.at_exit(panics::<H>, 0)).unwrap().unwrap();
    main.attach(|_| {
        assert_eq!((of.decref(), other.decref()), (Ok(Decref::Queued), Ok(Decref::Queued)));
    })
    .unwrap();
    let mut pass = || main.attach(|cx| cx.safepoint());
    let mut panicked = 0;
    while exists(of) || exists(other) {
        match catch_unwind(AssertUnwindSafe(&mut pass)) {
            Ok(done) => assert_eq!(done, Ok(Ok(()))),
            Err(_) => panicked += 1,
        }
        assert!(panicked < 2, "the callback ran");
    }
    assert_eq!(panicked, 1);
}

/// SPEC: L6, R4
pub fn finalization_ends_what_is_queued<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    let of = linked(&rt);
    let guard = of.guard().unwrap();
    assert_eq!(of.decref(), Ok(Decref::Queued));
    assert_eq!(rt.finalize(NOW).err(), Some(RuntimeError::StillGuarded));
    drop(guard);
    scribe.take();
    let ledger = rt.finalize(None).unwrap();
    assert_eq!((ledger.left_over, ledger.unclean), (1, 0));
    assert!(scribe.take().contains(&Told::LeftOver(of.id())));
}

/// The newest first, as the runtime ends what is left.
///
/// SPEC: L6, L13
pub fn all_that_is_queued_ends_in_one_pass<H: TestHost>() {
    fn notes<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), ExitFailed> {
        Log::note(argument, cx.id().number());
        Ok(())
    }
    let rt = H::started();
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    let log = Log::new();
    main.attach(|cx| {
        let all: Vec<_> = cx.detach(|| (0..5).map(|_| linked(&rt)).collect());
        cx.detach(|| {
            for (n, of) in all.iter().enumerate() {
                let mut state = of.thread_state().unwrap();
                state.attach(|cx| cx.at_exit(notes::<H>, log.argument(n))).unwrap().unwrap();
            }
        });
        for of in &all {
            assert_eq!(of.decref(), Ok(Decref::Queued));
        }
        assert_eq!(cx.safepoint(), Ok(()));
        assert_eq!(log.values(), [4, 3, 2, 1, 0], "the newest first, all in one pass");
    })
    .unwrap();
    assert_eq!(rt.count(), Ok(1));
}

/// SPEC: L6, L15
pub fn of_many_threads_one_ends_it<H: TestHost>() {
    let rt = H::started();
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    for _ in 0..scaled(50, 2) {
        let of = linked(&rt);
        for _ in 1..4 {
            of.incref().unwrap();
        }
        let ended = thread::scope(|s| {
            let threads: Vec<_> =
                (0..4).map(|_| s.spawn(|| matches!(of.decref(), Ok(Decref::Ended(_))))).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
        });
        assert_eq!(ended, 1);
        assert!(!exists(of));
        main.attach(|cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
    }
}

/// The end that another asked for goes on, or it is ended after that one gave up.
///
/// SPEC: L6
pub fn an_end_that_gives_up_leaves_it_queued<H: TestHost>() {
    let rt = H::started();
    let mut main = rt.thread_state(rt.main().unwrap()).unwrap();
    let of = linked(&rt);
    let guard = of.guard().unwrap();
    main.attach(|_| assert_eq!(of.decref(), Ok(Decref::Queued))).unwrap();
    assert_eq!(of.end(NOW), Err(EndError::StillGuarded));
    assert!(of.references().unwrap().queued);
    drop(guard);
    main.attach(|cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
    assert!(!exists(of));
}
