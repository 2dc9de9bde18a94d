//! Running a model.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering};
use std::{sync::Arc, time::Instant};

use archipelago_kernel::{
    Host, InterpreterId, Runtime, ThreadState,
    config::{GilChoice, InterpreterConfig},
    error::AttachError,
    gil::GilPolicy,
    host::{Heap, RawGil, RawLock, Wake},
    interpreter::Port,
};

use loom::thread::JoinHandle;

use crate::{
    host::{LoomHost, Watched},
    parts::{LoomGil, LoomHeap, LoomLock, LoomOneHeap, LoomRaw},
    timed_gil::LoomTimedGil,
};

/// A runtime of the model, for as long as one execution of it runs.
pub type LoomRuntime<G = LoomGil, T = LoomHeap> = &'static Runtime<LoomHost<G, T>>;

/// Explores `body` over all interleavings within the preemption bound: `LOOM_MAX_PREEMPTIONS`, or 2. Each execution
/// gets a new runtime, which is finalized and freed afterwards; the body joins its threads.
///
/// Says how many executions there were and how long they took.
pub fn model(name: &str, body: impl Fn(LoomRuntime) + Send + Sync + 'static) {
    explore(name, body);
}

/// As [`model`], with GILs that are waited for with a time limit and handed over directly.
pub fn timed_model(name: &str, body: impl Fn(LoomRuntime<LoomTimedGil>) + Send + Sync + 'static) {
    explore(name, body);
}

/// As [`model`], with one heap that interpreters with GILs of their own may share.
pub fn one_heap_model(name: &str, body: impl Fn(LoomRuntime<LoomGil, LoomOneHeap>) + Send + Sync + 'static) {
    explore(name, body);
}

/// As [`one_heap_model`], with GILs that are waited for with a time limit: taking one orders nothing with whoever has
/// another.
pub fn timed_one_heap_model(
    name: &str,
    body: impl Fn(LoomRuntime<LoomTimedGil, LoomOneHeap>) + Send + Sync + 'static,
) {
    explore(name, body);
}

fn explore<G: RawGil, T: Heap<LoomRaw>>(name: &str, body: impl Fn(LoomRuntime<G, T>) + Send + Sync + 'static)
where
    Watched: GilPolicy<G>,
{
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.max_branches = builder.max_branches.max(20_000);
    let limit = builder.max_duration;
    let start = Instant::now();
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let rt = Box::into_raw(Box::new(Runtime::new(LoomHost::<G, T>::new(), LoomRaw, LoomLock::new())));
        // SAFETY: the box is freed below, when the body has joined its threads and dropped its handles.
        body(unsafe { &*rt });
        // SAFETY: it came from a box, and nobody refers to it any more.
        drop(unsafe { Box::from_raw(rt) });
    });
    let (executions, took) = (executions.load(Ordering::Relaxed), start.elapsed());
    let cut = if limit.is_some_and(|limit| took >= limit) { ", cut off" } else { "" };
    println!("model {name}: {executions} executions, {:.1} s{cut}", took.as_secs_f64());
}

/// A new interpreter with its own GIL and heap.
pub fn own_gil<H: Host>(rt: &'static Runtime<H>) -> ThreadState<'static, H> {
    rt.create(&InterpreterConfig::isolated(), None).unwrap()
}

/// A new interpreter under main's GIL, in main's heap.
pub fn shared_gil<H: Host>(rt: &'static Runtime<H>) -> ThreadState<'static, H> {
    rt.create(&InterpreterConfig::legacy(), None).unwrap()
}

/// A new interpreter with its own GIL, in main's heap.
pub fn own_gil_in_mains_heap<H: Host>(rt: &'static Runtime<H>) -> ThreadState<'static, H> {
    rt.create(&InterpreterConfig::legacy().with_gil(GilChoice::Own), None).unwrap()
}

/// A second thread state of the same interpreter.
pub fn second<H: Host>(state: &ThreadState<'static, H>) -> Carry<H> {
    Carry::new(state.runtime().thread_state(state.interpreter()).unwrap())
}

/// Whether the interpreter has ended.
pub fn is_gone<H: Host>(rt: &Runtime<H>, id: InterpreterId) -> bool {
    rt.interpreter(id).is_err()
}

/// A thread that attaches once to the interpreter of `state`, or is told why it cannot.
pub fn passes_by<H: Host>(state: &ThreadState<'static, H>) -> JoinHandle<()> {
    let other = second(state);
    loom::thread::spawn(move || {
        let came = other.take().attach(|cx| drop(cx.alloc_plain(1_u8)));
        assert!(matches!(came, Ok(()) | Err(AttachError::Finalizing | AttachError::Ended)));
    })
}

/// A thread that attaches once to the interpreter of `state` and bumps a number of it: the number, and what the thread
/// saw.
pub fn bumps_once<H: Host>(state: &ThreadState<'static, H>) -> (Guarded, JoinHandle<usize>) {
    let (other, number) = (second(state), Guarded::new());
    let theirs = number.clone();
    let thread = loom::thread::spawn(move || other.take().attach(|_| theirs.bump()).unwrap());
    (number, thread)
}

/// A port of the interpreter of `state`.
pub fn port<H: Host>(state: &ThreadState<'static, H>) -> Port<'static, H> {
    state.runtime().interpreter(state.interpreter()).unwrap().port().unwrap()
}

/// A thread state that was made for a thread by its parent, so that the thread's own steps are fewer.
pub struct Carry<H: Host = LoomHost>(ThreadState<'static, H>);

// SAFETY: a thread state with no frame open refers to nothing of the thread that made it; it is sent once.
unsafe impl<H: Host> Send for Carry<H> {}

impl<H: Host> Carry<H> {
    /// For the thread that the state is made for.
    pub fn new(state: ThreadState<'static, H>) -> Self {
        Carry(state)
    }

    /// In that thread.
    pub fn take(self) -> ThreadState<'static, H> {
        self.0
    }
}

/// Something to block on, which a wake-up ends for good.
#[derive(Default)]
pub struct Flag {
    up: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
}

impl Flag {
    /// Until somebody wakes it, or did.
    pub fn block(&self) {
        let mut up = self.up.lock().unwrap();
        while !*up {
            up = self.changed.wait(up).unwrap();
        }
    }
}

impl Wake for Flag {
    fn wake(&self) {
        *self.up.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// A number that one interpreter's GIL protects: two accesses that nothing orders are a finding.
#[derive(Clone)]
pub struct Guarded(loom::sync::Arc<loom::cell::Cell<usize>>);

// SAFETY: this is what loom checks.
unsafe impl Send for Guarded {}

impl Guarded {
    /// Zero.
    pub fn new() -> Self {
        Guarded(loom::sync::Arc::new(loom::cell::Cell::new(0)))
    }

    /// One more: the number before.
    pub fn bump(&self) -> usize {
        self.0.replace(self.0.get() + 1)
    }

    /// The number.
    pub fn get(&self) -> usize {
        self.0.get()
    }
}

impl Default for Guarded {
    fn default() -> Self {
        Guarded::new()
    }
}
