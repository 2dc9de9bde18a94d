//! Observers: what they are told, in which order, and what they may veto.

use archipelago_kernel::{
    Runtime,
    config::{GilChoice, InterpreterConfig},
    error::{CreateError, EndError, RuntimeError},
    interpreter::Whence,
    observe::ObserverNode,
    runtime::RuntimePhase,
};

use crate::{
    TestHost,
    support::{Scribe, Told, create, current, forever, list_all, presets},
};

/// SPEC: R5
/// CPython: test_embed.test_audit_subinterpreter
pub fn a_life_is_told_in_order<H: TestHost>() {
    let rt = H::fresh();
    let scribe = Scribe::of(&rt);
    let main = rt.initialize(None).unwrap().main();
    let config = InterpreterConfig::isolated();
    let id = create(&rt, &config);
    let ledger = rt.end(id, None).unwrap();
    let left = rt.create_as(&InterpreterConfig::legacy(), None, Whence::LegacyCApi).unwrap().interpreter();
    let main_ledger = rt.finalize(None).unwrap().main;
    let main_config = InterpreterConfig::legacy().with_gil(GilChoice::Own);
    let told = scribe.take();
    assert_eq!(
        told,
        [
            Told::Creating(main_config, Whence::Runtime),
            Told::Created(main),
            Told::Initialized,
            Told::Creating(config, Whence::Stdlib),
            Told::Created(id),
            Told::Clearing(id),
            Told::Ended(id, ledger),
            Told::Creating(InterpreterConfig::legacy(), Whence::LegacyCApi),
            Told::Created(left),
            Told::Finalizing,
            Told::LeftOver(left),
            Told::Clearing(left),
            Told::Ended(left, ledger_of(&told, left)),
            Told::Clearing(main),
            Told::Ended(main, main_ledger),
        ]
    );
}

fn ledger_of(told: &[Told], id: archipelago_kernel::InterpreterId) -> archipelago_kernel::memory::Ledger {
    let ledger = told.iter().find_map(|told| match told {
        Told::Ended(ended, ledger) if *ended == id => Some(*ledger),
        _ => None,
    });
    ledger.unwrap()
}

/// SPEC: R5
pub fn they_survive_a_new_initialization<H: TestHost>() {
    let rt = H::fresh();
    let scribe = Scribe::of(&rt);
    for _ in 0..3 {
        let main = rt.initialize(None).unwrap().main();
        assert!(scribe.take().contains(&Told::Created(main)));
        rt.finalize(None).unwrap();
        assert_eq!(scribe.ended().len(), 1);
    }
}

/// SPEC: R5, L1
pub fn a_vetoed_creation_leaves_nothing<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    for config in presets() {
        let (before, in_use) = (list_all(&rt), H::raw_in_use(&rt));
        scribe.veto_creating(true);
        assert_eq!(rt.create(&config, None).err(), Some(CreateError::Vetoed));
        assert_eq!(scribe.take(), [Told::Creating(config, Whence::Stdlib)], "it was never created");
        assert_eq!((list_all(&rt), rt.count(), H::raw_in_use(&rt)), (before, rt.count(), in_use));
        assert_eq!(current::<H>(), None);
        scribe.veto_creating(false);
        let id = create(&rt, &config);
        assert_eq!(rt.ensure(id, |cx| cx.id()), Ok(id));
        scribe.take();
    }
}

/// SPEC: R5, R2
pub fn a_vetoed_main_leaves_the_runtime_as_it_was<H: TestHost>() {
    let rt = H::fresh();
    let scribe = Scribe::of(&rt);
    scribe.veto_creating(true);
    assert_eq!(rt.initialize(None), Err(RuntimeError::Main(CreateError::Vetoed)));
    assert_eq!((rt.phase(), rt.count()), (RuntimePhase::Uninitialized, Ok(0)));
    scribe.veto_creating(false);
    assert_eq!(rt.initialize(None).unwrap().main().number(), 0);
    rt.finalize(None).unwrap();
    scribe.veto_creating(true);
    assert!(rt.initialize(None).is_err());
    assert_eq!(rt.phase(), RuntimePhase::Finalized);
}

/// SPEC: R5, L3
pub fn a_vetoed_clearing_changes_nothing<H: TestHost>() {
    let rt = H::started();
    let scribe = Scribe::of(&rt);
    for config in presets() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        scribe.take();
        scribe.veto_clearing(true);
        assert_eq!(rt.end(id, None), Err(EndError::Vetoed));
        assert_eq!(scribe.take(), [Told::Clearing(id)]);
        assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Ok(())), "nobody was told to leave");
        assert!(rt.thread_state(id).is_ok());
        scribe.veto_clearing(false);
        assert!(rt.end(id, None).unwrap().is_clean());
    }
    // Finalization asks, but goes on.
    create(&rt, &presets()[0]);
    scribe.veto_clearing(true);
    assert_eq!(rt.finalize(None).map(|ledger| ledger.left_over), Ok(1));
}

/// SPEC: R5
pub fn every_observer_is_told_and_one_veto_is_enough<H: TestHost>() {
    let rt = H::started();
    let [first, second, third] = [(); 3].map(|()| Scribe::of(&rt));
    second.veto_creating(true);
    assert_eq!(rt.create(&presets()[0], None).err(), Some(CreateError::Vetoed));
    for scribe in [first, second, third] {
        assert_eq!(scribe.take().len(), 1);
    }
}

/// SPEC: R5
pub fn a_node_has_one_place<H: TestHost>() {
    let (one, two) = (H::started(), H::started());
    let scribe = forever(Scribe::default());
    let node = forever(ObserverNode::new(scribe));
    assert!(one.observe(node));
    assert!(!one.observe(node) && !two.observe(node));
    create(&two, &presets()[0]);
    assert_eq!(scribe.take(), [], "each runtime has its own");
    create(&one, &presets()[0]);
    assert_eq!(scribe.take().len(), 2, "and tells once");
}

/// SPEC: R5
pub fn an_observer_may_use_the_runtime<H: TestHost>() {
    use archipelago_kernel::observe::{Event, Observer, Veto};
    use std::sync::{Mutex, OnceLock, Weak};

    struct Nosy<H: TestHost> {
        rt: OnceLock<Weak<Runtime<H>>>,
        seen: Mutex<Vec<(&'static str, usize, bool)>>,
    }
    impl<H: TestHost> Observer for Nosy<H> {
        fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
            let Some(rt) = self.rt.get().and_then(Weak::upgrade) else { return Ok(()) };
            let (name, usable) = match event {
                Event::InterpreterCreating { .. } => ("creating", true),
                Event::InterpreterCreated { id } => ("created", rt.ensure(*id, |cx| cx.id()) == Ok(*id)),
                Event::InterpreterClearing { id } => ("clearing", rt.ensure(*id, |cx| cx.id()) == Ok(*id)),
                Event::InterpreterEnded { id, .. } => ("ended", rt.ensure(*id, |_| ()).is_ok()),
                _ => return Ok(()),
            };
            self.seen.lock().unwrap().push((name, list_all(&rt).len(), usable));
            Ok(())
        }
    }
    let rt = std::sync::Arc::new(H::started());
    let nosy = forever(Nosy::<H> { rt: OnceLock::new(), seen: Mutex::default() });
    assert!(rt.observe(forever(ObserverNode::new(nosy))));
    assert!(nosy.rt.set(std::sync::Arc::downgrade(&rt)).is_ok());
    let id = create(&rt, &presets()[0]);
    rt.end(id, None).unwrap();
    let seen = nosy.seen.lock().unwrap().clone();
    assert_eq!(
        seen,
        [("creating", 1, true), ("created", 2, true), ("clearing", 2, true), ("ended", 1, false)]
    );
}

/// SPEC: R5, L8
pub fn of_two_ends_one_is_told<H: TestHost>() {
    use archipelago_kernel::observe::{Event, Observer, Veto};
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{OnceLock, Weak};

    /// Asks for the same end again while it is told of one.
    struct Rival<H: TestHost> {
        rt: OnceLock<Weak<Runtime<H>>>,
        told: AtomicUsize,
    }
    impl<H: TestHost> Observer for Rival<H> {
        fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
            let Some(rt) = self.rt.get().and_then(Weak::upgrade) else { return Ok(()) };
            if let Event::InterpreterClearing { id } = event {
                self.told.fetch_add(1, Ordering::Relaxed);
                assert_eq!(rt.end(*id, None), Err(EndError::InProgress));
                let still_runs = rt.ensure(*id, |cx| cx.safepoint());
                assert_eq!(still_runs, Ok(Ok(())));
            }
            Ok(())
        }
    }
    let rt = std::sync::Arc::new(H::started());
    let rival = forever(Rival::<H> { rt: OnceLock::new(), told: AtomicUsize::new(0) });
    assert!(rt.observe(forever(ObserverNode::new(rival))));
    assert!(rival.rt.set(std::sync::Arc::downgrade(&rt)).is_ok());
    let id = create(&rt, &presets()[0]);
    assert!(rt.end(id, None).unwrap().is_clean());
    assert_eq!(rival.told.load(Ordering::Relaxed), 1);
}

/// SPEC: R5, L16
pub fn an_observer_that_panics_leaves_nothing<H: TestHost>() {
    use archipelago_kernel::observe::{Event, Observer, Veto};
    use core::{
        panic::AssertUnwindSafe,
        sync::atomic::{AtomicBool, Ordering},
    };
    use std::panic::catch_unwind;

    #[derive(Default)]
    struct Thrower(AtomicBool, AtomicBool);
    impl Observer for Thrower {
        fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
            let at = match event {
                Event::InterpreterCreated { .. } => &self.0,
                Event::InterpreterClearing { .. } => &self.1,
                _ => return Ok(()),
            };
            if at.load(Ordering::Relaxed) {
                crate::support::throw();
            }
            Ok(())
        }
    }
    let rt = H::started();
    let thrower = forever(Thrower::default());
    assert!(rt.observe(forever(ObserverNode::new(thrower))));
    for config in presets() {
        let before = list_all(&rt);
        thrower.0.store(true, Ordering::Relaxed);
        assert!(catch_unwind(AssertUnwindSafe(|| rt.create(&config, None).is_ok())).is_err());
        assert_eq!((list_all(&rt).len(), rt.count()), (before.len(), Ok(before.len())));
        thrower.0.store(false, Ordering::Relaxed);
        let id = create(&rt, &config);
        thrower.1.store(true, Ordering::Relaxed);
        assert!(catch_unwind(AssertUnwindSafe(|| rt.end(id, None).is_ok())).is_err());
        assert_eq!(rt.ensure(id, |cx| cx.safepoint()), Ok(Ok(())), "nothing changed");
        thrower.1.store(false, Ordering::Relaxed);
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}
