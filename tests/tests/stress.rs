//! Two hundred threads that do everything to each other's interpreters at the same instant. Which answers come is a
//! matter of chance; that each is one of those documented, and that nothing is lost or left, is not.
#![cfg(not(miri))]

use core::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use std::{sync::Barrier, thread};

use archipelago::{Attached, GilChoice, InterpreterConfig, InterpreterId, Runtime};
use archipelago_kernel::{
    collections::Vec as HeapVec,
    error::{AttachError, EndError, GuardError, Interrupt, PendingError, ThreadError},
    eval::{PendingFailed, Raise},
};
use archipelago_tests::support::Dice;

const THREADS: usize = 200;

/// How many things each thread does; for a long stress `ARCHIPELAGO_STRESS=1000`.
fn rounds() -> usize {
    std::env::var("ARCHIPELAGO_STRESS").map_or(60, |rounds| rounds.parse().expect("a number"))
}

static RUN: AtomicUsize = AtomicUsize::new(0);

fn counted(_: &mut Attached<'_>, by: usize) -> Result<(), PendingFailed> {
    RUN.fetch_add(by, Relaxed);
    Ok(())
}

/// Fills a few blocks and gives them back; what the limit or the end refuses is given back too.
fn work(cx: &mut Attached<'_>) -> Result<(), Interrupt> {
    let mut numbers = HeapVec::new();
    for n in 0..20_u64 {
        if numbers.push(cx, n).is_err() {
            break;
        }
        cx.safepoint()?;
    }
    cx.detach(thread::yield_now);
    assert!(numbers.as_slice(cx).iter().copied().eq(0..numbers.len(cx) as u64));
    numbers.release(cx);
    cx.safepoint()
}

/// What one of the threads saw.
#[derive(Default)]
struct Seen {
    created: usize,
    ended: usize,
    called: usize,
    entered: usize,
}

struct Thread<'a> {
    rt: &'a Runtime,
    dice: Dice,
    seen: Seen,
}

impl Thread<'_> {
    fn any(&mut self) -> Option<InterpreterId> {
        let mut ids = [self.rt.main().ok()?; 64];
        let count = self.rt.list(&mut ids).ok()?.min(ids.len());
        // Main stays.
        Some(ids[self.dice.below(count)]).filter(|id| *id != self.rt.main().unwrap())
    }

    fn create(&mut self) {
        let gil = [GilChoice::Own, GilChoice::Shared][self.dice.below(2)];
        let config = InterpreterConfig::isolated().with_gil(gil).with_memory_limit(Some(64 << 10));
        self.rt.create(&config, None).unwrap();
        self.seen.created += 1;
    }

    fn end(&mut self, id: InterpreterId) {
        match self.rt.end(id, Some(Duration::from_millis(self.dice.below(3) as u64))) {
            Ok(ledger) => {
                assert_eq!((ledger.objects, ledger.callbacks_failed), (0, 0));
                self.seen.ended += 1;
            }
            Err(
                EndError::NotFound
                | EndError::InProgress
                | EndError::StillActive
                | EndError::StillGuarded
                | EndError::StillRunning,
            ) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    fn enter(&mut self, id: InterpreterId) {
        let mut state = match self.rt.thread_state(id) {
            Ok(state) => state,
            Err(ThreadError::NotFound | ThreadError::Finalizing) => return,
            Err(other) => panic!("{other:?}"),
        };
        match state.attach(work) {
            Ok(Ok(())) => self.seen.entered += 1,
            Ok(Err(Interrupt::Finalizing | Interrupt::Requested | Interrupt::Raised))
            | Err(AttachError::Finalizing | AttachError::Ended) => {}
            other => panic!("{other:?}"),
        }
    }

    fn guard(&mut self, id: InterpreterId) {
        let Ok(view) = self.rt.interpreter(id).and_then(|interpreter| interpreter.view()) else { return };
        let label = ["a guard of the stress"].get(self.dice.below(2));
        match label.map_or_else(|| view.guard(), |label| view.guard_labelled(label)) {
            // While it is guarded, the end does not come.
            Ok(guard) => match guard.ensure(work) {
                Ok(Err(Interrupt::Requested | Interrupt::Raised)) => {}
                answer => assert_eq!(answer, Ok(Ok(()))),
            },
            Err(GuardError::Finalizing | GuardError::Ended) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    fn call(&mut self, id: InterpreterId) {
        let Ok(port) = self.rt.interpreter(id).and_then(|interpreter| interpreter.port()) else { return };
        match port.call(counted, 1) {
            Ok(()) => self.seen.called += 1,
            Err(PendingError::Ended | PendingError::Full | PendingError::Busy) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, id: InterpreterId) {
        let Ok(interpreter) = self.rt.interpreter(id) else { return };
        let Ok(usage) = interpreter.usage() else { return };
        assert!(usage.bytes() <= 64 << 10, "{usage:?}");
        let _ = (interpreter.gil(), interpreter.stats(), interpreter.interrupt());
        let _ = interpreter.raise_in(self.dice.below(64) as u64, Raise::new(7));
    }

    fn turn(&mut self) {
        let Some(id) = self.any() else { return self.create() };
        match self.dice.below(16) {
            0..3 => self.create(),
            3..6 => self.end(id),
            6..9 => self.enter(id),
            9..11 => self.guard(id),
            11..13 => self.call(id),
            13..15 => self.ask(id),
            _ => self.rt.stop_all(|| ()).unwrap_or(()),
        }
    }
}

/// SPEC: L10, L5, E2, G8, T7
#[test]
fn everything_at_the_same_instant() {
    let rt = Runtime::new().unwrap();
    let start = Barrier::new(THREADS);
    let seen: Vec<Seen> = thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS as u64)
            .map(|n| {
                let (rt, start) = (&rt, &start);
                scope.spawn(move || {
                    let mut thread = Thread { rt, dice: Dice::new(n), seen: Seen::default() };
                    start.wait();
                    for _ in 0..rounds() {
                        thread.turn();
                    }
                    thread.seen
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    let ended = sum(|seen| seen.ended);
    assert!(ended > 0 && sum(|seen| seen.entered) > 0 && sum(|seen| seen.called) > 0);
    let left = rt.count().unwrap() - 1;
    assert!(ended + left <= sum(|seen| seen.created));
    let ledger = rt.finalize(None).unwrap();
    assert_eq!(ledger.main.objects, 0, "{ledger:?}");
    // Whoever's call was taken, it ran: leftovers do when their interpreter ends.
    assert_eq!(RUN.load(Relaxed), sum(|seen| seen.called));
}
