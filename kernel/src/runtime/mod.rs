//! The runtime: all process-global state in one value (SPEC R1).

#![allow(unsafe_code)]

mod deadline;
mod finalize;
mod id_table;
mod index;
mod lookup;
mod phase;
mod registry;
mod size;
mod world;

pub use finalize::RuntimeLedger;
pub use index::UniqueIndex;
pub use phase::RuntimePhase;
pub(crate) use registry::Registry;

use core::alloc::Layout;

use crate::{
    config::InterpreterConfig,
    error::{AttachError, RuntimeError},
    eval::MainCalls,
    guest::GuestTable,
    host::Host,
    interpreter::{InterpreterHead, InterpreterId, InterpreterSlot, Role},
    memory::{AllocCause, RawDomain, TransitAccount},
    observe::{Event, ObserverNode, Observers, Veto, Watchers},
    runtime::phase::{BeginInitialize, PhaseWord},
    sync::{AtomicU32, Lock, Ordering, fence},
    thread::{
        session::Session,
        slot::{ThreadSlot, ThreadWhence},
    },
};

/// All global state of a program's interpreters. It can be a `static` or owned; several may live in one
/// process. There is no other mutable global in the kernel.
pub struct Runtime<H: Host> {
    host: H,
    raw: H::Raw,
    phase: PhaseWord,
    registry: Lock<H::Lock, Registry>,
    /// How often the creation or the end of an interpreter came to something: for who finalizes. Wraps.
    changes: AtomicU32,
    observers: Observers,
    watchers: Watchers,
    transit: TransitAccount,
    /// An interpreter was asked for something where the lock was not free: whoever had it delivers the kick.
    ///
    /// It falls to 0 under the lock only, by whoever delivers, and each release of the lock is
    /// followed by a look at it. So a kick waits for as long as the lock is held, and no longer.
    kicked: AtomicU32,
    stops: world::Stops,
    /// What waits for main's thread.
    pub(crate) mains: MainCalls<H>,
}

/// What [`Runtime::initialize`] found.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialized {
    /// It is running now, with this main interpreter.
    Now(InterpreterId),
    /// It was running already, and nothing was done (SPEC R2).
    Already(InterpreterId),
}

impl Initialized {
    /// The main interpreter.
    pub const fn main(self) -> InterpreterId {
        match self {
            Initialized::Now(id) | Initialized::Already(id) => id,
        }
    }
}

impl<H: Host> Runtime<H> {
    const_unless_loom! {
        /// A runtime on `host`, whose raw domain is `raw` and whose lock is `lock`. It takes no memory before
        /// it is initialized.
        pub const fn new(host: H, raw: H::Raw, lock: H::Lock) -> Self {
            Runtime {
                host,
                raw,
                phase: PhaseWord::new(),
                registry: Lock::new(lock, Registry::new()),
                changes: AtomicU32::new(0),
                observers: Observers::new(),
                watchers: Watchers::new(),
                transit: TransitAccount::new(),
                kicked: AtomicU32::new(0),
                stops: world::Stops::new(),
                mains: MainCalls::new(),
            }
        }
    }

    /// The host.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// The raw domain (SPEC M1): usable from any thread, with nothing attached.
    #[inline]
    pub fn raw(&self) -> RawDomain<'_, H::Raw> {
        RawDomain::new(&self.raw)
    }

    /// The account of data on its way between interpreters (SPEC S11).
    pub fn transit(&self) -> &TransitAccount {
        &self.transit
    }

    /// Where the runtime is.
    pub fn phase(&self) -> RuntimePhase {
        self.phase.get()
    }

    /// Adds an observer (`PySys_AddAuditHook`; SPEC R5). It stays for ever, also over a new initialization.
    /// `false`: the node is in use already.
    pub fn observe(&self, node: &'static ObserverNode) -> bool {
        self.observers.add(node)
    }

    /// Adds an observer that is told of [`Event::Gil`], on the way of every attach and detach, and of nothing else (SPEC
    /// G5). It stays for ever, as those of [`observe`](Self::observe) do. `false`: the node is in use already.
    ///
    /// It is called in the middle of attaching and detaching, by the thread that has the GIL or is about to wait for it. So it
    /// must be short, and must not use the kernel, which could wait for that very GIL; and where it panics, the program ends
    /// there. Until somebody watches it costs one load.
    pub fn watch(&self, node: &'static ObserverNode) -> bool {
        self.watchers.add(node)
    }

    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.watchers.any()
    }

    pub(crate) fn tell_watchers(&self, event: &Event<'_>) {
        // There is nothing to veto.
        let _ = self.watchers.list.tell(event);
    }

    pub(crate) fn tell(&self, event: &Event<'_>) -> Result<(), Veto> {
        self.observers.tell(event)
    }

    /// Makes the main interpreter (`Py_Initialize`; SPEC R2, R7). `guest` is the language main runs.
    ///
    /// # Errors
    /// `InProgress` if another thread is at it; the reason, if main could not be made: the runtime is then as
    /// before.
    pub fn initialize(&self, guest: Option<&'static GuestTable<H>>) -> Result<Initialized, RuntimeError> {
        if self.host.in_interrupt() {
            return Err(RuntimeError::InInterrupt);
        }
        let already = || self.main().map(Initialized::Already).map_err(|_| RuntimeError::InProgress);
        if self.phase() == RuntimePhase::Running {
            return already();
        }
        if Session::held::<H>().is_some() {
            return Err(RuntimeError::AlreadyAttached);
        }
        let before = match self.phase.begin_initialize() {
            BeginInitialize::Begun { before } => before,
            BeginInitialize::InProgress => return Err(RuntimeError::InProgress),
            BeginInitialize::RunningAlready => return already(),
        };
        struct Failed<'a>(&'a PhaseWord, RuntimePhase);
        impl Drop for Failed<'_> {
            fn drop(&mut self) {
                self.0.initialization_failed(self.1);
            }
        }
        let failed = Failed(&self.phase, before);
        let cycle = self.host.new_cycle();
        self.locked(|registry| registry.begin_cycle(cycle));
        self.mains.claim(self.host.thread_id());
        let state = self.build(InterpreterConfig::main(), guest, Role::Main)?;
        self.mains.open(state.place().interpreter);
        let id = state.interpreter();
        core::mem::forget(failed);
        // Before anybody is told, so that an observer that panics finds all of it done.
        self.phase.initialized();
        let _ = self.tell(&Event::InterpreterCreated { id });
        let _ = self.tell(&Event::RuntimeInitialized);
        Ok(Initialized::Now(id))
    }

    /// Why a thread that holds a GIL is refused another: a handler that interrupted such a
    /// thread is told about the handler, whatever it interrupted.
    #[cold]
    pub(crate) fn already_attached(&self) -> AttachError {
        match Session::held::<H>() {
            _ if self.host.in_interrupt() => AttachError::InInterrupt,
            Some(hold) if hold.stops() => AttachError::Stopped,
            _ => AttachError::AlreadyAttached,
        }
    }

    /// The lock order says: no GIL is taken under the runtime's lock.
    #[inline]
    pub(crate) fn assert_unlocked(&self) {
        crate::sync::assert_outside::<H::Slot>();
    }

    /// Runs `f` under the runtime's lock if it is free: for interrupt handlers.
    pub(crate) fn try_locked<R>(&self, f: impl FnOnce(&mut Registry) -> R) -> Option<R> {
        let answer = self.registry.try_with::<H::Slot, R>(f);
        self.deliver_kicks();
        answer
    }

    /// Runs `f` under the runtime's lock.
    pub(crate) fn locked<R>(&self, f: impl FnOnce(&mut Registry) -> R) -> R {
        let answer = self.registry.with::<H::Slot, R>(f);
        self.deliver_kicks();
        answer
    }

    /// Sets breaker bits in every thread state of `slot`, from anywhere: if the lock is taken, whoever has it does
    /// so. The caller's visit keeps the interpreter there meanwhile.
    pub(crate) fn kick(&self, slot: &InterpreterSlot<H>, bits: u32) {
        slot.head.ask(bits);
        let deliver = |_: &mut Registry| slot.head.break_asked();
        if self.registry.try_with::<H::Slot, ()>(deliver).is_none() {
            // Release, and one chain of read-modify-writes: whoever delivers finds what all who kicked asked.
            self.kicked.fetch_or(1, Ordering::Release);
        }
        self.deliver_kicks();
    }

    /// Delivers what was left to this thread while it had the lock. Called after each release of the lock.
    #[inline]
    fn deliver_kicks(&self) {
        // Pairs with itself: of a kick and a release of the lock that the kick's try did not see, the release
        // is followed by a look that sees the kick.
        fence(Ordering::SeqCst);
        if self.kicked.load(Ordering::Relaxed) != 0 {
            self.deliver_all();
        }
    }

    /// Whoever had the lock has done its step, and does not know of what was left to it: a host's `Wake` that panics here
    /// must not unwind through it. It ends the program.
    #[cold]
    extern "C" fn deliver_all(&self) {
        let deliver = |registry: &mut Registry| {
            if self.kicked.swap(0, Ordering::Acquire) == 0 {
                return;
            }
            let mut at = registry.newest();
            // SAFETY: listed heads are slots of this runtime.
            while let Some(head) = unsafe { at.as_ref() } {
                head.break_asked();
                at = head.older.get();
            }
        };
        // Where the lock is taken again, its next release looks.
        while self.kicked.load(Ordering::Relaxed) != 0
            && self.registry.try_with::<H::Slot, ()>(deliver).is_some()
        {
            fence(Ordering::SeqCst);
        }
    }

    /// Birth of a thread state in `slot`, told of what waits for main's thread: its generation. Under the lock.
    pub(crate) fn add_thread(
        &self,
        registry: &mut Registry,
        slot: &ThreadSlot,
        interpreter: &InterpreterHead,
        whence: ThreadWhence,
    ) -> u32 {
        let waiting = if interpreter.id.get().is_main() { self.mains.waiting() } else { 0 };
        registry.add_thread(slot, interpreter, whence, waiting)
    }

    /// A slot for a thread state: one that waits for a tenant, or a new one.
    pub(crate) fn new_thread_slot(&self) -> Result<&ThreadSlot, AllocCause> {
        let free = self.locked(Registry::take_thread_slot);
        // SAFETY: free slots are slots of this runtime, and type-stable.
        if let Some(slot) = unsafe { free.as_ref() } {
            return Ok(slot);
        }
        let slot = self.raw().take(Layout::new::<ThreadSlot>())?.cast::<ThreadSlot>();
        // SAFETY: the block is fresh, checked for size and alignment, and from now on a slot of this runtime.
        unsafe {
            slot.write(ThreadSlot::new());
            self.locked(|registry| registry.adopt_thread_slot(slot.as_ptr()));
            Ok(slot.as_ref())
        }
    }

    /// A slot for an interpreter: one that waits for a tenant, or a new one.
    pub(crate) fn new_interpreter_slot(&self) -> Result<*mut InterpreterSlot<H>, AllocCause> {
        let free = self.locked(Registry::take_interpreter_slot);
        if !free.is_null() {
            return Ok(free.cast());
        }
        let layout = Layout::new::<InterpreterSlot<H>>();
        let slot = self.raw().take(layout)?.cast::<InterpreterSlot<H>>().as_ptr();
        // SAFETY: as in `new_thread_slot`.
        unsafe { slot.write(InterpreterSlot::new()) };
        self.locked(|registry| registry.adopt_interpreter_slot(slot.cast()));
        Ok(slot)
    }
}

impl<H: Host> Drop for Runtime<H> {
    fn drop(&mut self) {
        // Every handle borrows the runtime, so only frames that were leaked can still be open. Their
        // interpreters are left alone, and their memory with them. So they are where another runtime is attached
        // on this thread: its GIL cannot be let go here, and a thread holds at most one.
        if matches!(self.phase(), RuntimePhase::Running | RuntimePhase::Finalizing)
            && self.finalize(Some(core::time::Duration::ZERO)).is_err()
        {
            return;
        }
        let (interpreters, threads, table) = {
            let registry = self.registry.get_mut();
            let (interpreters, threads) = registry.take_all_slots();
            (interpreters, threads, registry.table.take())
        };
        let raw = RawDomain::new(&self.raw);
        let mut at: *mut InterpreterHead = interpreters;
        // SAFETY: every interpreter ended and no handle is left, so nothing reaches the slots; they were
        // allocated from this raw domain with these layouts.
        unsafe {
            while let Some(head) = at.as_ref() {
                let next = head.next_slot.get();
                let slot = core::ptr::NonNull::new_unchecked(at.cast::<InterpreterSlot<H>>());
                slot.drop_in_place();
                raw.deallocate(slot.cast(), Layout::new::<InterpreterSlot<H>>());
                at = next;
            }
            let mut at: *mut ThreadSlot = threads;
            while let Some(thread) = at.as_ref() {
                let next = thread.next_slot.get();
                let slot = core::ptr::NonNull::new_unchecked(at);
                slot.drop_in_place();
                raw.deallocate(slot.cast(), Layout::new::<ThreadSlot>());
                at = next;
            }
            if let Some((memory, layout)) = table {
                raw.deallocate(memory, layout);
            }
        }
    }
}
