//! What is seen from inside the runtime: events, pending calls that ran, and values that are alive.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use archipelago_kernel::{
    Attached, Host,
    eval::PendingFailed,
    interpreter::ExitFailed,
    memory::Ledger,
    observe::{Event, Observer, Veto},
};

/// Something the runtime told or ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Initialized,
    Finalizing,
    Creating,
    Created(u64),
    Clearing(u64),
    Ended(u64, Ledger),
    Reset(u64, Ledger),
    LeftOver(u64),
    /// This pending call, in this interpreter.
    Ran(usize, u64),
    /// This callback, in this interpreter.
    Exit(usize, u64),
    /// An event that the model does not know.
    Other,
}

#[derive(Default)]
pub(crate) struct Witness {
    log: Mutex<Vec<Told>>,
    veto: AtomicBool,
    values: AtomicUsize,
}

fn open<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    // A failed assertion of another thread is reported there.
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Witness {
    pub(crate) fn write(&self, told: Told) {
        open(&self.log).push(told);
    }

    /// What was written since the last look.
    pub(crate) fn read(&self) -> Vec<Told> {
        core::mem::take(&mut open(&self.log))
    }

    pub(crate) fn set_veto(&self, on: bool) {
        self.veto.store(on, Ordering::Relaxed);
    }

    /// Values that were made and not dropped.
    pub(crate) fn values(&self) -> usize {
        self.values.load(Ordering::Relaxed)
    }
}

pub(crate) struct Watch(pub(crate) Arc<Witness>);

impl Observer for Watch {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        self.0.write(match event {
            Event::RuntimeInitialized => Told::Initialized,
            Event::RuntimeFinalizing => Told::Finalizing,
            Event::InterpreterCreating { .. } => Told::Creating,
            Event::InterpreterCreated { id } => Told::Created(id.number()),
            Event::InterpreterClearing { id } => Told::Clearing(id.number()),
            Event::InterpreterEnded { id, ledger } => Told::Ended(id.number(), **ledger),
            Event::InterpreterReset { id, ledger } => Told::Reset(id.number(), **ledger),
            Event::InterpreterLeftOver { id } => Told::LeftOver(id.number()),
            _ => Told::Other,
        });
        if self.0.veto.load(Ordering::Relaxed) { Err(Veto) } else { Ok(()) }
    }
}

/// A value that is missed.
pub(crate) struct Tracked {
    witness: Arc<Witness>,
    pub(crate) key: usize,
}

impl Tracked {
    pub(crate) fn new(witness: &Arc<Witness>, key: usize) -> Self {
        witness.values.fetch_add(1, Ordering::Relaxed);
        Tracked { witness: witness.clone(), key }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.witness.values.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Pending calls of one run that have storage of their own.
pub(crate) const NODES: usize = 8;

/// Pending calls and callbacks of one run.
pub(crate) const CALLS: usize = 16;

/// Which of them fail.
pub(crate) fn fails(call: usize) -> bool {
    call % 4 == 3
}

/// Which callbacks register another one, and which.
pub(crate) fn registers(exit: usize) -> Option<usize> {
    (exit % 8 == 5).then(|| exit - 1)
}

/// The witnesses of the runs under way, for pending calls, which get a number only.
static RUNS: Mutex<BTreeMap<usize, Arc<Witness>>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The place of one run in the list of runs.
pub(crate) struct Run(usize);

impl Run {
    pub(crate) fn new(witness: &Arc<Witness>) -> Self {
        let run = Run(NEXT.fetch_add(1, Ordering::Relaxed));
        open(&RUNS).insert(run.0, witness.clone());
        run
    }

    /// What a pending call of this run gets.
    pub(crate) fn argument(&self, node: usize) -> usize {
        self.0 * CALLS + node
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        open(&RUNS).remove(&self.0);
    }
}

fn write(argument: usize, told: impl FnOnce(usize) -> Told) -> usize {
    let call = argument % CALLS;
    if let Some(witness) = open(&RUNS).get(&(argument / CALLS)) {
        witness.write(told(call));
    }
    call
}

/// What every pending call does.
pub(crate) fn note<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
    let call = write(argument, |call| Told::Ran(call, cx.id().number()));
    if fails(call) { Err(PendingFailed) } else { Ok(()) }
}

/// What every callback does.
pub(crate) fn note_exit<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), ExitFailed> {
    let exit = write(argument, |exit| Told::Exit(exit, cx.id().number()));
    if let Some(next) = registers(exit) {
        cx.at_exit(note_exit::<H>, argument - exit + next).map_err(|_| ExitFailed)?;
    }
    if fails(exit) { Err(ExitFailed) } else { Ok(()) }
}
