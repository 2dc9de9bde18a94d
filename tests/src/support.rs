//! What the suites share: lists as values, recorders, gates between threads.

use core::{
    any::Any,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use archipelago_kernel::{
    Attached, Host, InterpreterId, Runtime,
    config::{GilChoice, InterpreterConfig},
    eval::{PendingCall, PendingFailed},
    interpreter::Whence,
    memory::Ledger,
    observe::{Event, Observer, ObserverNode, Veto},
};

use crate::TestHost;

mod dice;
pub use dice::Dice;

/// `many`, or `few` where every step is interpreted.
pub const fn scaled(many: usize, few: usize) -> usize {
    if cfg!(miri) { few } else { many }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The interpreter this thread is attached to.
pub fn current<H: Host>() -> Option<InterpreterId> {
    archipelago_kernel::thread::current::<H>().map(|current| current.interpreter)
}

/// The names of all interpreters, in the order of creation.
pub fn list_all<H: Host>(rt: &Runtime<H>) -> Vec<InterpreterId> {
    let Ok(main) = rt.main() else { return Vec::new() };
    let mut names = vec![main; rt.list(&mut []).unwrap()];
    let found = rt.list(&mut names).unwrap();
    names.truncate(found);
    names
}

/// Their numbers.
pub fn numbers<H: Host>(rt: &Runtime<H>) -> Vec<u64> {
    list_all(rt).into_iter().map(InterpreterId::number).collect()
}

/// A new interpreter without a guest whose first thread state is deleted at once.
pub fn create<H: Host>(rt: &Runtime<H>, config: &InterpreterConfig) -> InterpreterId {
    rt.create(config, None).expect("an interpreter can be made").interpreter()
}

/// The two presets that can be created.
pub fn presets() -> [InterpreterConfig; 2] {
    [InterpreterConfig::isolated(), InterpreterConfig::legacy()]
}

/// A config for each of PEP 684's three strategies, as far as the host has them: an own heap, main's under one GIL, and
/// main's under a GIL of its own.
pub fn strategies<H: TestHost>() -> Vec<InterpreterConfig> {
    let mut configs = presets().to_vec();
    if H::ONE_HEAP {
        configs.push(InterpreterConfig::legacy().with_gil(GilChoice::Own));
    }
    configs
}

/// Nothing of the heap is in use.
#[track_caller]
pub fn assert_empty<H: Host>(cx: &Attached<'_, H>) {
    let usage = cx.usage();
    assert_eq!((usage.mem.bytes, usage.mem.blocks), (0, 0), "mem");
    assert_eq!((usage.object.bytes, usage.object.blocks), (0, 0), "object");
}

/// Runs `test` attached to a new interpreter of each strategy, which must come out empty.
pub fn in_each<H: TestHost>(test: impl for<'i> Fn(&mut Attached<'i, H>)) {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                test(cx);
                assert_eq!(cx.safepoint(), Ok(()));
                assert_empty(cx);
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// What lives for ever, kept reachable.
static KEPT: Mutex<Vec<&'static (dyn Any + Send + Sync)>> = Mutex::new(Vec::new());

/// Makes a value that lives for ever: nodes are lent to the kernel for that long.
pub fn forever<T: Any + Send + Sync>(value: T) -> &'static T {
    let value: &'static T = Box::leak(Box::new(value));
    lock(&KEPT).push(value);
    value
}

/// Waits for something that another thread brings about, without a word between the two. A wait that does not end
/// is a failure.
pub fn until(what: &str, mut reached: impl FnMut() -> bool) {
    // Miri's threads take turns on one processor, and each step of theirs is interpreted.
    const LIMIT: Duration = Duration::from_secs(if cfg!(miri) { 600 } else { 120 });
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Panics without a word: the test expects it.
pub fn throw() -> ! {
    std::panic::resume_unwind(Box::new(()))
}

/// A door between threads, closed at first.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it for ever.
    pub fn open(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub fn wait(&self) {
        let mut open = lock(&self.0.0);
        while !*open {
            open = self.0.1.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        *lock(&self.0.0)
    }
}

impl archipelago_kernel::host::Wake for Gate {
    fn wake(&self) {
        self.open();
    }
}

/// Counts how often a value of it is dropped. It owns nothing, so a destructor that is skipped leaks nothing.
pub struct Noisy(&'static AtomicUsize);

impl Noisy {
    /// A value, and the count of its drops.
    pub fn new() -> (Self, Drops) {
        let count = forever(AtomicUsize::new(0));
        (Noisy(count), Drops(count))
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often values were dropped.
#[derive(Clone, Copy)]
pub struct Drops(&'static AtomicUsize);

impl Drops {
    /// So often.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Another value that is counted here.
    pub fn another(&self) -> Noisy {
        Noisy(self.0)
    }
}

/// A log that functions without a context can write to: its number fits into their argument.
#[derive(Clone, Copy)]
pub struct Log(usize);

static LOGS: Mutex<Vec<Vec<(usize, u64)>>> = Mutex::new(Vec::new());
const VALUES: usize = 1 << 12;

impl Log {
    /// An empty log.
    pub fn new() -> Self {
        let mut logs = lock(&LOGS);
        logs.push(Vec::new());
        Log(logs.len() - 1)
    }

    /// The argument that stands for `value` in this log.
    pub fn argument(self, value: usize) -> usize {
        assert!(value < VALUES);
        self.0 * VALUES + value
    }

    /// Notes the value behind an argument, and where it was noted.
    pub fn note(argument: usize, at: u64) -> usize {
        let value = argument % VALUES;
        lock(&LOGS)[argument / VALUES].push((value, at));
        value
    }

    /// The values, in order, each with the number of the interpreter that noted it.
    pub fn entries(self) -> Vec<(usize, u64)> {
        lock(&LOGS)[self.0].clone()
    }

    /// The values alone.
    pub fn values(self) -> Vec<usize> {
        self.entries().into_iter().map(|(value, _)| value).collect()
    }

    /// A pending call that notes `value`.
    pub fn call<H: Host>(self, value: usize) -> &'static PendingCall<H> {
        forever(PendingCall::new(note::<H>, self.argument(value)))
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// A pending function that notes its argument.
pub fn note<H: Host>(cx: &mut Attached<'_, H>, argument: usize) -> Result<(), PendingFailed> {
    Log::note(argument, cx.id().number());
    Ok(())
}

/// An event as a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Told {
    /// The runtime runs.
    Initialized,
    /// The runtime is about to finalize.
    Finalizing,
    /// About to create.
    Creating(InterpreterConfig, Whence),
    /// Created.
    Created(InterpreterId),
    /// About to clear.
    Clearing(InterpreterId),
    /// Ended.
    Ended(InterpreterId, Ledger),
    /// Began again.
    Reset(InterpreterId, Ledger),
    /// Ended by the runtime.
    LeftOver(InterpreterId),
    /// To be ended by main's thread.
    Orphaned(InterpreterId),
    /// Something newer than this suite.
    Other,
}

/// What an observer writes down, and what it vetoes.
#[derive(Default)]
pub struct Scribe {
    told: Mutex<Vec<Told>>,
    veto_creating: Mutex<bool>,
    veto_clearing: Mutex<bool>,
}

impl Scribe {
    /// An observer of `rt`.
    pub fn of<H: Host>(rt: &Runtime<H>) -> &'static Scribe {
        let scribe = forever(Scribe::default());
        assert!(rt.observe(forever(ObserverNode::new(scribe))));
        scribe
    }

    /// Vetoes creation from now on, or no longer.
    pub fn veto_creating(&self, veto: bool) {
        *lock(&self.veto_creating) = veto;
    }

    /// Vetoes clearing from now on, or no longer.
    pub fn veto_clearing(&self, veto: bool) {
        *lock(&self.veto_clearing) = veto;
    }

    /// What was told since the last call.
    pub fn take(&self) -> Vec<Told> {
        core::mem::take(&mut lock(&self.told))
    }

    /// The ledgers among what was told since the last call.
    pub fn ended(&self) -> Vec<(u64, Ledger)> {
        let ended = |told| match told {
            Told::Ended(id, ledger) => Some((id.number(), ledger)),
            _ => None,
        };
        self.take().into_iter().filter_map(ended).collect()
    }
}

impl Observer for Scribe {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        let (told, veto) = match *event {
            Event::RuntimeInitialized => (Told::Initialized, false),
            Event::RuntimeFinalizing => (Told::Finalizing, false),
            Event::InterpreterCreating { config, whence } => {
                (Told::Creating(*config, whence), *lock(&self.veto_creating))
            }
            Event::InterpreterCreated { id } => (Told::Created(id), false),
            Event::InterpreterClearing { id } => (Told::Clearing(id), *lock(&self.veto_clearing)),
            Event::InterpreterEnded { id, ledger } => (Told::Ended(id, *ledger), false),
            Event::InterpreterReset { id, ledger } => (Told::Reset(id, *ledger), false),
            Event::InterpreterLeftOver { id } => (Told::LeftOver(id), false),
            Event::InterpreterOrphaned { id } => (Told::Orphaned(id), false),
            _ => (Told::Other, false),
        };
        lock(&self.told).push(told);
        if veto { Err(Veto) } else { Ok(()) }
    }
}
