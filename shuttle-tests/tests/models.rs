//! Models with five to eight threads, each of which does several things. What is looked at is what holds for any number of
//! them: one at a time under a GIL, nobody under a stopped world, no end under a guard, and that all come to an end.
#![cfg(archipelago_shuttle)]

use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use archipelago_kernel::{
    InterpreterId,
    config::{GilChoice, InterpreterConfig},
    error::{AttachError, CreateError, EndError, GuardError, Interrupt, LookupError, ThreadError},
    gil::{Blocking, GilPolicy, Interval},
};
use archipelago_shuttle_tests::{Inside, ShuttleGil, ShuttleRuntime, below, model, together};
use shuttle::thread;

const NOW: Option<Duration> = Some(Duration::ZERO);

fn config() -> InterpreterConfig {
    let gil = [GilChoice::Own, GilChoice::Shared][below(2)];
    InterpreterConfig::isolated().with_gil(gil)
}

fn any<P: GilPolicy<ShuttleGil>>(rt: &ShuttleRuntime<ShuttleGil, P>) -> Option<InterpreterId> {
    let main = rt.main().unwrap();
    let mut ids = [main; 32];
    let listed = rt.list(&mut ids).unwrap();
    // Main stays.
    Some(ids[below(listed)]).filter(|id| *id != main)
}

/// Attaches to it, where that is still possible, and is there alone.
fn visit<P: GilPolicy<ShuttleGil>>(
    rt: &ShuttleRuntime<ShuttleGil, P>,
    id: InterpreterId,
    under: impl Fn(usize) -> &'static Inside,
) {
    let Ok(config) = rt.interpreter(id).and_then(|interpreter| interpreter.config()) else { return };
    let number = if config.gil() == GilChoice::Own { id.number() } else { 0 };
    let mut state = match rt.thread_state(id) {
        Ok(state) => state,
        Err(ThreadError::NotFound | ThreadError::Finalizing) => return,
        Err(other) => panic!("{other:?}"),
    };
    let was = state.attach(|cx| {
        under(number as usize).stay();
        cx.detach(thread::yield_now);
        under(number as usize).stay();
        cx.safepoint()
    });
    match was {
        Ok(Ok(()) | Err(Interrupt::Requested | Interrupt::Finalizing)) => {}
        Err(AttachError::Finalizing | AttachError::Ended) => {}
        other => panic!("{other:?}"),
    }
}

/// One of those under each GIL.
fn insides() -> impl Fn(usize) -> &'static Inside + Clone + Send + Sync {
    let all: &'static [Inside] = Box::leak((0..64).map(|_| Inside::default()).collect());
    move |number| &all[number]
}

fn everything<P: GilPolicy<ShuttleGil>>(name: &'static str) {
    model(name, |rt: &ShuttleRuntime<ShuttleGil, P>| {
        let (inside, created) = (insides(), AtomicUsize::new(0));
        let ended: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
        let created: &'static AtomicUsize = Box::leak(Box::new(created));
        together(rt, 8, move |_, rt| {
            for _ in 0..4 {
                let Some(id) = any(rt).filter(|_| below(4) != 0) else {
                    drop(rt.create(&config(), None).unwrap());
                    created.fetch_add(1, Relaxed);
                    continue;
                };
                match below(5) {
                    0 => {
                        let asked = rt.interpreter(id).and_then(|interpreter| interpreter.interrupt());
                        assert!(matches!(asked, Ok(()) | Err(LookupError::NotFound)), "{asked:?}");
                    }
                    1 => match rt.end(id, [None, NOW][below(2)]) {
                        Ok(ledger) => {
                            assert!(ledger.is_clean());
                            ended.fetch_add(1, Relaxed);
                        }
                        Err(EndError::NotFound | EndError::InProgress | EndError::StillActive) => {}
                        Err(other) => panic!("{other:?}"),
                    },
                    _ => visit(rt, id, &inside),
                }
            }
        });
        // An end that gave up is completed by the last one out.
        let left = rt.count().unwrap() - 1;
        assert!(ended.load(Relaxed) + left <= created.load(Relaxed));
    });
}

/// Eight that create, attach, interrupt and end.
#[test]
fn eight_that_do_everything() {
    everything::<Interval>("eight_that_do_everything");
}

/// The same under the other policy.
#[test]
fn eight_that_block() {
    everything::<Blocking>("eight_that_block");
}

fn hand_over<P: GilPolicy<ShuttleGil>>(name: &'static str) {
    model(name, |rt: &ShuttleRuntime<ShuttleGil, P>| {
        let id = rt.create(&InterpreterConfig::isolated(), None).unwrap().interpreter();
        let (inside, last) = (Inside::default(), AtomicUsize::new(usize::MAX));
        let turns = [const { AtomicUsize::new(0) }; 5];
        together(rt, turns.len(), move |me, rt| {
            let mut state = rt.thread_state(id).unwrap();
            let compute = |cx: &mut archipelago_kernel::Attached<'_, _>| {
                // Who never detaches is in turn only because the others let go.
                while turns.iter().any(|turns| turns.load(Relaxed) < 2) {
                    inside.stay();
                    if last.swap(me, Relaxed) != me {
                        turns[me].fetch_add(1, Relaxed);
                    }
                    cx.safepoint().unwrap();
                }
            };
            state.attach(compute).unwrap();
        });
    });
}

/// Five that compute under one GIL, each of which gets it again and again.
#[test]
fn five_in_turn() {
    hand_over::<Interval>("five_in_turn");
}

/// The same under the other policy.
#[test]
fn five_that_block() {
    hand_over::<Blocking>("five_that_block");
}

/// Six threads: two stop the world, in which nobody is inside, and nobody comes; three visit; one creates and ends.
#[test]
fn six_and_a_stopped_world() {
    model("six_and_a_stopped_world", |rt: &ShuttleRuntime| {
        let under = insides();
        let make = || rt.create(&config(), None).unwrap().interpreter();
        let ids = [make(), make(), make()];
        together(rt, 6, move |me, rt| {
            let look = || {
                for _ in 0..3 {
                    assert!((0..64).all(|number| under(number).is_empty()), "somebody runs");
                    thread::yield_now();
                }
            };
            match me {
                0 => rt.stop_all(look).unwrap(),
                1 => {
                    let mut state = rt.thread_state(ids[0]).unwrap();
                    state.attach(|cx| cx.stop_all(|_| look()).unwrap()).unwrap();
                }
                2..5 => (0..3).for_each(|_| visit(rt, ids[me - 2], &under)),
                _ => {
                    let id = rt.create(&config(), None).unwrap().interpreter();
                    visit(rt, id, &under);
                    assert!(rt.end(id, None).unwrap().is_clean());
                }
            }
        });
    });
}

/// Five threads: three take guards and run under them, two end.
#[test]
fn five_and_an_end_under_guards() {
    model("five_and_an_end_under_guards", |rt: &ShuttleRuntime| {
        let id = rt.create(&InterpreterConfig::isolated(), None).unwrap().interpreter();
        let (inside, is_over) = (Inside::default(), AtomicBool::new(false));
        together(rt, 5, move |me, rt| {
            let Ok(view) = rt.interpreter(id).and_then(|interpreter| interpreter.view()) else { return };
            if me < 3 {
                for _ in 0..2 {
                    match view.guard() {
                        Ok(guard) => {
                            guard.ensure(|_| inside.stay()).unwrap();
                            thread::yield_now();
                            assert!(!is_over.load(Relaxed), "it ended under a guard");
                            // It ends at once where the guard goes too early.
                            guard.ensure(|_| inside.stay()).unwrap();
                        }
                        Err(GuardError::Finalizing | GuardError::Ended) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
                return;
            }
            match rt.end(id, [None, NOW][below(2)]) {
                Ok(ledger) => {
                    assert!(ledger.is_clean());
                    assert!(!is_over.swap(true, Relaxed), "it ended twice");
                }
                Err(EndError::NotFound | EndError::InProgress) => {}
                Err(EndError::StillActive | EndError::StillGuarded) => {}
                Err(other) => panic!("{other:?}"),
            }
        });
    });
}

/// Seven create while one finalizes: what was created is gone, and no more comes.
#[test]
fn eight_and_the_end_of_all() {
    model("eight_and_the_end_of_all", |rt: &ShuttleRuntime| {
        together(rt, 8, |me, rt| {
            if me == 0 {
                rt.finalize(None).unwrap();
                return;
            }
            match rt.create(&config(), None) {
                Ok(mut state) => match state.attach(|cx| cx.safepoint()) {
                    Ok(Ok(()) | Err(Interrupt::Finalizing)) => {}
                    Err(AttachError::Finalizing | AttachError::Ended) => {}
                    other => panic!("{other:?}"),
                },
                Err(CreateError::NotRunning | CreateError::MainEnding) => {}
                Err(other) => panic!("{other:?}"),
            }
        });
        assert!(rt.main().is_err());
        let _ = rt.initialize(None).unwrap();
    });
}
