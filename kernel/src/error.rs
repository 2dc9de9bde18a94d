//! Errors: one small `Copy` enum per operation, and one umbrella.
//!
//! Each variant has a stable code, the same in Rust, in C and in the command; `docs/errors.md` lists them.
//! No error allocates, and no kernel path formats one.

use crate::{
    interpreter::InterpreterId,
    memory::{AllocError, Domain, LimitError},
};

errors! {
    /// Why a config is refused (SPEC C3, C5).
    pub enum ConfigError {
        /// An own heap needs the extension check.
        OwnHeapWithoutExtensionCheck = 0x0101 => "config: use_main_obmalloc is off but check_multi_interp_extensions is off too; extensions that are not made for several interpreters would share objects across heaps: switch the check on, or use main's heap",
        /// Main's heap is protected by main's GIL only.
        OwnGilWithMainHeap = 0x0102 => "config: gil is own but use_main_obmalloc is on; main's heap is protected by main's GIL only, on this host: use an own heap, share the GIL, or take a host with a shared heap",
        /// The value of `gil` has no meaning.
        UnknownGil = 0x0103 => "config: gil has a value without meaning: use default (0), shared (1) or own (2)",
        /// A memory limit, soft or hard, is below what the interpreter itself takes:
        /// [`Runtime::INTERPRETER_BYTES`](crate::runtime::Runtime::INTERPRETER_BYTES).
        LimitBelowFootprint = 0x0104 => "config: a memory limit, hard or soft, is below what an interpreter takes before it runs anything (kernel::Runtime::INTERPRETER_BYTES, and what its guest takes to start): raise it",
        /// No setting has this name.
        UnknownField = 0x0105 => "config: no setting has this name: see InterpreterConfig for the names",
        /// The setting wants a value of another type.
        WrongType = 0x0106 => "config: the value has the wrong type for this setting: flags want a bool, gil wants a string, limits want a number",
        /// The text for `gil` is not one of its names.
        BadGilName = 0x0107 => "config: gil wants one of: default, shared, own",
        /// The soft memory limit is above the hard one.
        SoftLimitAboveHard = 0x010a => "config: memory_soft_limit is above memory_limit and could never be met: lower it, or raise memory_limit",
        /// A shared GIL has its owner's switch interval.
        IntervalOfSharedGil = 0x0109 => "config: switch_interval is set but the GIL is shared, and its interval is main's: set it there, or use an own GIL",
        /// The switch interval or the deadline is longer than the host's clock can tell.
        DurationTooLong = 0x0108 => "config: a duration is longer than the host's clock can tell, or the host has no clock: see Clock::MAX",
    }
}

errors! {
    /// Why a runtime was not initialized or finalized (SPEC R2).
    pub enum RuntimeError {
        /// Not initialized, or finalized already.
        NotRunning = 0x0201 => "runtime: it is not initialized, or finalized already: call initialize first",
        /// Another thread is in the middle of it.
        InProgress = 0x0202 => "runtime: another thread is initializing or finalizing it: wait for that thread",
        /// Asked under a running token of this thread.
        AlreadyAttached = 0x0205 => "runtime: this thread has a thread state attached: detach first",
        /// Threads are still active in an interpreter. Finalization goes on when called again.
        StillActive = 0x0206 => "runtime: threads are still active in an interpreter: let them return, then call finalize again",
        /// Threads that are to be joined still run. Finalization goes on when called again.
        StillRunning = 0x020b => "runtime: threads that are to be joined still run: let them return, then call finalize again",
        /// Guards keep an interpreter from finalizing. Finalization goes on when called again.
        StillGuarded = 0x020a => "runtime: guards keep an interpreter: let their holders give them back, then call finalize again",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x0207 => "runtime: not allowed inside an interrupt handler: do it from a thread",
        /// The time limit is longer than the host's clock can tell, or there is no clock.
        TooLong = 0x0209 => "runtime: the time limit is longer than the host's clock can tell, or the host has no clock: use zero or no limit, see Clock::MAX",
        /// This thread has a frame of one of its interpreters open and would wait for itself.
        WouldDeadlock = 0x0208 => "runtime: this thread has a frame of an interpreter open and would wait for itself: return from it first",
        /// This thread keeps others stopped.
        Stopped = 0x020c => "runtime: this thread keeps others stopped: return from stop first",
    }
    wraps {
        /// The main interpreter could not be created.
        Main(CreateError),
    }
}

errors! {
    /// Why an interpreter was not created (SPEC L1, L16). Nothing is left behind.
    pub enum CreateError {
        /// The runtime is not running.
        NotRunning = 0x0301 => "create: the runtime is not running: call initialize first",
        /// No memory for the interpreter itself.
        NoMemory = 0x0303 => "create: the raw domain has no memory for another interpreter: end one, or give it a larger region",
        /// An observer vetoed.
        Vetoed = 0x0305 => "create: an observer vetoed the interpreter: ask its owner",
        /// The guest could not start.
        GuestFailed = 0x0306 => "create: the guest could not start in the new interpreter: see the guest's own report",
        /// Asked under a running token of this thread.
        AlreadyAttached = 0x0307 => "create: this thread has a thread state attached: do it inside detach",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x0308 => "create: not allowed inside an interrupt handler: do it from a thread",
        /// The main interpreter is ending.
        MainEnding = 0x0309 => "create: the main interpreter is ending: nothing new can start",
        /// This thread keeps others stopped.
        Stopped = 0x030a => "create: this thread keeps others stopped: return from stop first",
    }
    wraps {
        /// The config is refused.
        Config(ConfigError),
    }
}

errors! {
    /// Why a thread state was not made (SPEC T1).
    pub enum ThreadError {
        /// The interpreter is not there: never was, or ended.
        NotFound = 0x0401 => "thread state: no interpreter has this id now: it ended or never was",
        /// The interpreter is finalizing.
        Finalizing = 0x0402 => "thread state: the interpreter is finalizing: no new threads",
        /// No memory.
        NoMemory = 0x0403 => "thread state: no memory: end other thread states, or raise the limit",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x0404 => "thread state: not allowed inside an interrupt handler: do it from a thread",
        /// It is attached, or a frame of it is open.
        InUse = 0x0405 => "thread state: it is attached or a frame of it is open: detach it first",
        /// It has not been cleared.
        NotCleared = 0x0406 => "thread state: it must be cleared before it is deleted",
        /// It belongs to another interpreter, or is deleted.
        Stale = 0x0407 => "thread state: it was deleted, or its interpreter ended",
        /// Nothing is attached where the raw layer wants a thread state of the interpreter attached.
        NotAttached = 0x0408 => "thread state: a thread state of its interpreter must be attached on this thread",
        /// The interpreter is still being created.
        NotReady = 0x0409 => "thread state: the interpreter is still being created: wait until create returned",
    }
}

errors! {
    /// Why a thread state was not attached (SPEC T2, T7, G6).
    pub enum AttachError {
        /// The interpreter or the thread state ended.
        Ended = 0x0501 => "attach: the interpreter of this thread state ended: make a new one",
        /// The interpreter is finalizing: threads leave it now.
        Finalizing = 0x0502 => "attach: the interpreter is finalizing: return from the thread",
        /// This thread has a thread state attached, or this thread state is attached.
        AlreadyAttached = 0x0503 => "attach: this thread holds a GIL already, or the thread state is attached: use enter, or detach first",
        /// The thread would wait for itself.
        WouldDeadlock = 0x0504 => "attach: the thread would wait for itself: leave the outer frame first",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x0505 => "attach: not allowed inside an interrupt handler: add a pending call",
        /// The thread state belongs to another runtime.
        WrongRuntime = 0x0506 => "attach: the thread state belongs to another runtime: use the runtime that made it",
        /// More activations than the state word can count.
        TooMany = 0x0507 => "attach: too many open activations in this interpreter: let some return",
        /// No memory for a thread state.
        NoMemory = 0x0508 => "attach: no memory for a thread state: end others, or raise the limit",
        /// Nothing is attached.
        NotAttached = 0x0509 => "attach: no thread state is attached on this thread: attach one first",
        /// The interpreter is still being created.
        NotReady = 0x050a => "attach: the interpreter is still being created: wait until create returned",
        /// `bound_to_thread` is on, and another thread was attached first (SPEC C7).
        WrongThread = 0x050b => "attach: bound_to_thread is on in this interpreter's config and another thread was attached first: run it there",
        /// `always_new_thread` is on, and this thread is in the middle of another interpreter (SPEC C7).
        NeedsNewThread = 0x050c => "attach: always_new_thread is on in this interpreter's config and this thread is in the middle of another interpreter: run it on a thread of its own",
        /// This thread keeps others stopped, and takes no other GIL meanwhile (SPEC G8).
        Stopped = 0x050d => "attach: this thread keeps others stopped and takes no other GIL: return from stop first",
    }
}

/// Where a thread state is made in order to be attached.
impl From<ThreadError> for AttachError {
    fn from(error: ThreadError) -> Self {
        match error {
            ThreadError::Finalizing => AttachError::Finalizing,
            ThreadError::NotReady => AttachError::NotReady,
            ThreadError::NoMemory => AttachError::NoMemory,
            ThreadError::InInterrupt => AttachError::InInterrupt,
            ThreadError::NotAttached => AttachError::NotAttached,
            ThreadError::InUse => AttachError::AlreadyAttached,
            ThreadError::NotFound | ThreadError::Stale | ThreadError::NotCleared => AttachError::Ended,
        }
    }
}

errors! {
    /// Why an interpreter was not ended (SPEC L3, L8, L10). Unless the text says otherwise nothing changed.
    pub enum EndError {
        /// No interpreter has this id now.
        NotFound = 0x0601 => "end: no interpreter has this id now: it ended or never was",
        /// The main interpreter cannot be ended while the runtime runs.
        Main = 0x0602 => "end: the main interpreter ends with the runtime: call finalize",
        /// It is the current interpreter of this thread.
        Current = 0x0603 => "end: this is the current interpreter of this thread: leave it first",
        /// It is running.
        Running = 0x0604 => "end: the interpreter is running: wait for its run, or interrupt it",
        /// Another thread is ending it.
        InProgress = 0x0605 => "end: another thread is ending it: wait for that thread",
        /// Activations are left after the time limit. The interpreter stays valid and finalizing; the last activation to leave completes the end.
        StillActive = 0x0606 => "end: threads are still active in the interpreter after the time limit; everything stays valid and the last one to leave completes the end",
        /// Guards are left after the time limit. The interpreter goes on; callbacks that ran have run.
        StillGuarded = 0x0610 => "end: guards keep the interpreter after the time limit; it goes on, and callbacks that ran have run: let their holders give them back (Interpreter::guards names those that have a label)",
        /// Threads that are to be joined still run after the time limit, or callbacks register others again and again. The interpreter goes on; callbacks that ran have run.
        StillRunning = 0x0611 => "end: threads that are to be joined still run after the time limit, or callbacks register others again and again; the interpreter goes on, and callbacks that ran have run: let the threads return",
        /// This thread has a frame of it open and would wait for itself.
        WouldDeadlock = 0x0607 => "end: this thread has a frame of the interpreter open and would wait for itself: return from it first",
        /// This thread has a thread state attached.
        AlreadyAttached = 0x0608 => "end: this thread has a thread state attached: do it inside detach",
        /// This thread keeps others stopped.
        Stopped = 0x0612 => "end: this thread keeps others stopped: return from stop first",
        /// An observer vetoed.
        Vetoed = 0x0609 => "end: an observer vetoed: ask its owner",
        /// Not created through this interface.
        Foreign = 0x060a => "end: the interpreter was not created through this interface: its owner ends it",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x060b => "end: not allowed inside an interrupt handler: do it from a thread",
        /// Nothing is attached where the raw layer wants the thread state given attached.
        NotAttached = 0x060c => "end: the thread state given must be attached on this thread",
        /// Thread states are left where the low-level delete wants none.
        ThreadsLeft = 0x060d => "end: thread states are left: clear the interpreter first",
        /// The time limit is longer than the host's clock can tell, or there is no clock.
        TooLong = 0x060f => "end: the time limit is longer than the host's clock can tell, or the host has no clock: use zero or no limit, see Clock::MAX",
        /// The low-level delete wants a cleared interpreter.
        NotCleared = 0x060e => "end: the interpreter must be cleared before it is deleted",
    }
}

errors! {
    /// Why the world was not stopped (SPEC G8). Nothing was stopped.
    pub enum StopError {
        /// This thread keeps an interpreter stopped already, or the world of another runtime.
        WouldDeadlock = 0x1201 => "stop: this thread keeps an interpreter stopped already and would wait for itself: return from that stop first",
        /// The runtime is not initialized.
        NotRunning = 0x1202 => "stop: the runtime is not initialized, or finalized: there is nothing to stop",
        /// Asked under a running token of this thread.
        AlreadyAttached = 0x1203 => "stop: this thread has a thread state attached: use Attached::stop_all, or detach first",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x1204 => "stop: not allowed inside an interrupt handler: do it from a thread",
        /// The interpreter of the token is finalizing.
        Finalizing = 0x1205 => "stop: the interpreter is finalizing: return from the thread",
    }
}

errors! {
    /// Why an interpreter was not reset (SPEC L14).
    pub enum ResetError {
        /// The thread state it was asked through ended. Nothing changed.
        ThreadEnded = 0x1001 => "reset: this thread state ended, with its interpreter or in a reset by another: make a new one",
        /// No memory for the thread state that the interpreter begins again with. Nothing changed.
        NoMemory = 0x1002 => "reset: no memory for a thread state, and nothing changed: end other thread states, or give the raw domain a larger region",
        /// Generations of its handles are used up after four thousand million resets. The interpreter ended.
        Worn = 0x1003 => "reset: the generations of this interpreter's handles are used up, and it ended: create another",
    }
    wraps {
        /// It could not be cleared. Nothing changed, but after `StillActive`: then it has become an end, which the last
        /// activation to leave completes.
        End(EndError),
        /// It could not begin again. The interpreter ended.
        Create(CreateError),
    }
}

errors! {
    /// Why a guard was not given (SPEC L9).
    pub enum GuardError {
        /// An end is under way, and takes no new guards.
        Finalizing = 0x1101 => "guard: an end of the interpreter is under way: return from the thread",
        /// The interpreter ended.
        Ended = 0x1102 => "guard: the interpreter of this view ended",
        /// The interpreter is being created or reset.
        NotReady = 0x1103 => "guard: the interpreter is being created or reset: wait until that has returned",
        /// More guards than the state word can count.
        TooMany = 0x1104 => "guard: too many are held of this interpreter: give some back",
        /// No memory for the label.
        NoMemory = 0x1106 => "guard: no memory for its label: take one without, or give the raw domain a larger region",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x1105 => "guard: not allowed inside an interrupt handler: add a pending call",
    }
}

errors! {
    /// Why a lookup by id failed (SPEC R3, L6).
    pub enum LookupError {
        /// No interpreter has this id now.
        NotFound = 0x0701 => "lookup: no interpreter has this id now: it ended or never was",
        /// The handle is of an earlier cycle of the runtime, or of another runtime.
        WrongCycle = 0x0702 => "lookup: the handle is of an earlier cycle or of another runtime: get a new one",
        /// The runtime is not running.
        NotRunning = 0x0703 => "lookup: the runtime is not running: call initialize first",
        /// The count would fall below zero.
        NotReferenced = 0x0704 => "lookup: the interpreter has no reference to give back",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x0705 => "lookup: not allowed inside an interrupt handler: look it up before, and keep a port",
        /// More references than can be counted.
        TooMany = 0x0706 => "lookup: the interpreter has as many references as can be counted: give some back",
        /// As many threads and handlers as can be counted are at it.
        Busy = 0x0707 => "lookup: too many are at this interpreter at this moment: try again",
    }
}

errors! {
    /// Why running code is told to stop (SPEC E3, E5, E6). From a safepoint or a fallible call on a token.
    pub enum Interrupt {
        /// The interpreter is finalizing: return from the thread.
        Finalizing = 0x0801 => "interrupt: the interpreter is finalizing: return from the thread",
        /// Somebody interrupted the interpreter.
        Requested = 0x0802 => "interrupt: the interpreter was interrupted from outside",
        /// The deadline passed.
        Deadline = 0x0803 => "interrupt: the deadline passed: raise it, or do less",
        /// The fuel is used up.
        OutOfFuel = 0x0804 => "interrupt: the fuel is used up: refill it, or do less",
        /// A pending call failed.
        PendingFailed = 0x0805 => "interrupt: a pending call failed: see its own report",
        /// Something was raised in this thread state: take it out.
        Raised = 0x0806 => "interrupt: something was raised in this thread state: take it out, and throw it",
        /// A handler of a signal failed.
        SignalFailed = 0x0807 => "interrupt: a handler of a signal failed: see its own report",
    }
}

errors! {
    /// Why an act is refused to an interpreter (SPEC C6).
    pub enum PermitError {
        /// `allow_fork` is off.
        Fork = 0x0901 => "permit: fork is refused: allow_fork is off in this interpreter's config",
        /// `allow_exec` is off.
        Exec = 0x0902 => "permit: exec is refused: allow_exec is off in this interpreter's config",
        /// `allow_threads` is off.
        Threads = 0x0903 => "permit: starting a thread is refused: allow_threads is off in this interpreter's config",
        /// `allow_daemon_threads` is off.
        DaemonThreads = 0x0904 => "permit: starting a daemon thread is refused: allow_daemon_threads is off in this interpreter's config",
        /// `check_multi_interp_extensions` is on and the extension does not support several interpreters.
        Extension = 0x0905 => "permit: the extension does not support several interpreters and check_multi_interp_extensions is on in this interpreter's config",
        /// The interpreter ended.
        NotFound = 0x0906 => "permit: no interpreter has this id now: it ended or never was",
    }
}

errors! {
    /// Why a guest's state was not handed out, or a run not started (SPEC P1, L7).
    pub enum GuestError {
        /// The interpreter has no guest.
        NoGuest = 0x0a01 => "guest: this interpreter was created without a guest",
        /// The interpreter runs another guest.
        WrongGuest = 0x0a02 => "guest: this interpreter runs another guest: ask for that one",
        /// Something runs in the interpreter's main slot already (SPEC L7).
        AlreadyRunning = 0x0a03 => "guest: the interpreter is running already: wait for that run, or use another thread state",
        /// Nothing to resume.
        NotRunning = 0x0a04 => "guest: nothing was left to resume: call exec or call first",
        /// The guest does not do this.
        Unsupported = 0x0a06 => "guest: it does not offer this operation",
        /// The state is in the hands of a `with_guest` of this interpreter.
        Lent = 0x0a08 => "guest: its state is lent to with_guest further out, or on another thread: use what that has",
        /// The guest refused to start.
        StartFailed = 0x0a07 => "guest: it could not start: see its own report",
    }
    wraps {
        /// No memory for the guest's state.
        Alloc(AllocError),
        /// The run was told to stop.
        Interrupt(Interrupt),
    }
}

errors! {
    /// Why a pending call was not added (SPEC E2).
    pub enum PendingError {
        /// The node is queued already.
        AlreadyQueued = 0x0b01 => "pending call: this node is queued already: wait until it ran, or use another",
        /// The interpreter is finalizing or ended.
        Ended = 0x0b02 => "pending call: the interpreter is finalizing or ended",
        /// As many threads and handlers as can be counted are adding to it.
        Busy = 0x0b03 => "pending call: too many are adding to this interpreter at this moment: try again",
        /// As many calls wait as there may be.
        Full = 0x0b04 => "pending call: as many wait as there may be: let some run, or make room for more (pending_calls of the config; for main's thread Runtime::with_main_calls)",
        /// No memory for slots.
        NoMemory = 0x0b05 => "pending call: no memory for slots: use nodes of your own, or give the raw domain a larger region",
        /// None of the slots is free that were set aside for interrupt handlers.
        NoSlot = 0x0b06 => "pending call: no slot is free of those set aside for interrupt handlers: set more aside with reserve_calls, or use nodes of your own",
        /// Asked in another interpreter than main.
        NotMain = 0x0b07 => "pending call: only a thread of the main interpreter can be main's thread: ask in main",
        /// Asked inside an interrupt handler.
        InInterrupt = 0x0b08 => "pending call: slots are not set aside inside an interrupt handler: do it from a thread",
    }
}

errors! {
    /// Why a signal was not raised, or no handler set (SPEC E4).
    pub enum SignalError {
        /// Signals are numbered from 1 to 64.
        NoSuchSignal = 0x1301 => "signal: there is none with this number: they are numbered from 1 to 64",
        /// There is no main interpreter, or it is finalizing.
        Ended = 0x1302 => "signal: there is no main interpreter, or it is finalizing: nobody handles signals",
        /// As many threads and handlers as can be counted are at it.
        Busy = 0x1303 => "signal: too many are telling the main interpreter something at this moment: try again",
        /// Asked elsewhere than in the main interpreter on main's thread.
        NotMainThread = 0x1304 => "signal: only main's thread sets handlers, in the main interpreter: ask there, or claim to be it",
        /// No memory for the handlers.
        NoMemory = 0x1305 => "signal: no memory for handlers: give the raw domain a larger region",
    }
}

errors! {
    /// Why a handle was not resolved (SPEC O3).
    pub enum HandleError {
        /// The handle belongs to another interpreter.
        WrongInterpreter = 0x0c01 => "handle: it belongs to another interpreter: send the value instead",
        /// The handle was released, or its interpreter ended.
        Stale = 0x0c02 => "handle: it was released already, or its slot has another value",
        /// The handle is of another runtime or an earlier cycle.
        WrongRuntime = 0x0c03 => "handle: it is of another runtime or of an earlier cycle",
    }
}

errors! {
    /// Why a deadline was not set (SPEC E5).
    pub enum DeadlineError {
        /// Longer than the host's clock can tell, or there is no clock.
        TooLong = 0x0d01 => "deadline: longer than the host's clock can tell, or the host has no clock: see Clock::MAX",
        /// The interpreter is finalizing.
        Finalizing = 0x0d02 => "deadline: the interpreter is finalizing: return from the thread",
    }
}

/// An act was refused: to which interpreter, and by which setting (SPEC C6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Who asked.
    pub interpreter: InterpreterId,
    /// The setting in the way.
    pub reason: PermitError,
}

impl Refusal {
    /// The stable code of the reason.
    pub const fn code(self) -> u16 {
        self.reason.code()
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "interpreter {}: {}", self.interpreter.number(), self.reason.text())
    }
}

impl core::error::Error for Refusal {}

/// Any error of the kernel.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// See [`ConfigError`].
    Config(ConfigError),
    /// See [`RuntimeError`].
    Runtime(RuntimeError),
    /// See [`CreateError`].
    Create(CreateError),
    /// See [`ThreadError`].
    Thread(ThreadError),
    /// See [`AttachError`].
    Attach(AttachError),
    /// See [`EndError`].
    End(EndError),
    /// See [`StopError`].
    Stop(StopError),
    /// See [`ResetError`].
    Reset(ResetError),
    /// See [`GuardError`].
    Guard(GuardError),
    /// See [`LookupError`].
    Lookup(LookupError),
    /// See [`Interrupt`].
    Interrupt(Interrupt),
    /// See [`Refusal`].
    Permit(Refusal),
    /// See [`GuestError`].
    Guest(GuestError),
    /// See [`PendingError`].
    Pending(PendingError),
    /// See [`SignalError`].
    Signal(SignalError),
    /// See [`HandleError`].
    Handle(HandleError),
    /// See [`DeadlineError`].
    Deadline(DeadlineError),
    /// See [`AllocError`].
    Alloc(AllocError),
    /// See [`LimitError`].
    Limit(LimitError),
}

macro_rules! umbrella {
    ($($variant:ident($inner:ident)),+ $(,)?) => {
        impl Error {
            /// The stable code of the error inside.
            pub const fn code(self) -> u16 {
                match self { $(Error::$variant(e) => e.code(),)+ }
            }
        }

        impl core::fmt::Display for Error {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self { $(Error::$variant(e) => core::fmt::Display::fmt(e, f),)+ }
            }
        }

        impl core::error::Error for Error {}

        $(impl From<$inner> for Error {
            fn from(e: $inner) -> Self {
                Error::$variant(e)
            }
        })+
    };
}

umbrella! {
    Config(ConfigError), Runtime(RuntimeError), Create(CreateError), Thread(ThreadError), Attach(AttachError),
    End(EndError), Stop(StopError), Reset(ResetError), Guard(GuardError), Lookup(LookupError), Interrupt(Interrupt), Permit(Refusal), Guest(GuestError),
    Pending(PendingError), Signal(SignalError), Handle(HandleError), Deadline(DeadlineError), Alloc(AllocError), Limit(LimitError),
}

/// Where the value that could not be stored is of no use any more, `?` lets it go.
impl<T> From<(T, AllocError)> for AllocError {
    fn from((_, error): (T, AllocError)) -> Self {
        error
    }
}

/// As for [`AllocError`].
impl<T> From<(T, AllocError)> for Error {
    fn from((_, error): (T, AllocError)) -> Self {
        Error::Alloc(error)
    }
}

impl core::fmt::Display for AllocError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let domain = match self.domain {
            Domain::Raw => "raw",
            Domain::Mem => "mem",
            Domain::Object => "object",
        };
        write!(f, "alloc: {} bytes asked of the {domain} domain: {}", self.requested, self.cause.text())
    }
}

impl core::error::Error for AllocError {}
