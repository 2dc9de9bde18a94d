//! Observers: the one hook for audit, trace and statistics (SPEC R5).

#![allow(unsafe_code)]

use core::ptr;

use crate::{
    config::InterpreterConfig,
    interpreter::{InterpreterId, Whence},
    memory::Ledger,
    sync::{AtomicPtr, Ordering, tally},
    thread::Current,
};

/// What happened, or is about to.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The runtime is running.
    RuntimeInitialized,
    /// The runtime is about to finalize.
    RuntimeFinalizing,
    /// An interpreter is about to be created (`cpython.PyInterpreterState_New`). May be vetoed.
    InterpreterCreating {
        /// Its config.
        config: &'a InterpreterConfig,
        /// Who asks.
        whence: Whence,
    },
    /// An interpreter was created, and can be used. A panic of the observer undoes it, and nobody is told.
    InterpreterCreated {
        /// Its name.
        id: InterpreterId,
    },
    /// An interpreter is about to be ended, or reset, and cleared (`cpython.PyInterpreterState_Clear`): told by the end that
    /// goes on, of those that were asked for. May be vetoed, except while the runtime finalizes.
    InterpreterClearing {
        /// Its name.
        id: InterpreterId,
    },
    /// An interpreter ended.
    InterpreterEnded {
        /// Its name.
        id: InterpreterId,
        /// What it left behind.
        ledger: &'a Ledger,
    },
    /// An interpreter was reset: after its clearing it began again, under the same name (SPEC L14).
    InterpreterReset {
        /// Its name.
        id: InterpreterId,
        /// What it left behind.
        ledger: &'a Ledger,
    },
    /// The runtime is finalizing and ends an interpreter that nobody ended (SPEC R4).
    InterpreterLeftOver {
        /// Its name.
        id: InterpreterId,
    },
    /// The last reference to a linked interpreter was given back where it could not be ended on the spot, and main's thread
    /// is about to end it (SPEC L6). Its clearing is told next.
    InterpreterOrphaned {
        /// Its name.
        id: InterpreterId,
    },
    /// A GIL went to a thread state, or from one: told to watchers only ([`Runtime::watch`](crate::runtime::Runtime::watch);
    /// SPEC G5).
    Gil(GilEvent),
}

/// What a thread state did about the GIL of its interpreter.
#[non_exhaustive]
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GilChange {
    /// It begins to wait, for another one has it.
    Waiting,
    /// It has it now.
    Attached,
    /// It is about to let it go, of its own accord: to whoever is first.
    Detached,
    /// It is about to let it go because somebody asked: to somebody who waits.
    GaveWay,
}

/// One change of a GIL. Those of one GIL are told in their order, but for `Waiting`, which may be told at any time: whoever
/// is told of another one has the GIL.
///
/// Creation and clearing wait untold.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GilEvent {
    /// What happened.
    pub change: GilChange,
    /// The thread state it happened to.
    pub of: Current,
    /// A number of the GIL, while the runtime lives: interpreters that share one have the same.
    pub gil: usize,
    /// [`GilStats::switches`](crate::gil::GilStats::switches) by now: whoever is `Attached` at another number than the one
    /// before took it from another thread state.
    pub switches: usize,
}

/// An observer says no to an event that may be vetoed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Veto;

/// Watches a runtime. Called on the thread that acts, with no kernel lock held.
pub trait Observer: Send + Sync {
    /// Told of one event. `Err` vetoes where the event may be vetoed, and is ignored elsewhere.
    fn event(&self, event: &Event<'_>) -> Result<(), Veto>;
}

/// The place of one observer in a runtime's list. It stays for ever: audit hooks cannot be taken away, and
/// survive a new initialization of the runtime.
pub struct ObserverNode {
    observer: &'static dyn Observer,
    next: AtomicPtr<ObserverNode>,
    listed: AtomicPtr<ObserverNode>,
}

impl ObserverNode {
    const_unless_loom! {
        /// A node for `observer`, to be given to [`Runtime::observe`](crate::runtime::Runtime::observe).
        pub const fn new(observer: &'static dyn Observer) -> Self {
            ObserverNode {
                observer,
                next: AtomicPtr::new(ptr::null_mut()),
                listed: AtomicPtr::new(ptr::null_mut()),
            }
        }
    }
}

pub(crate) struct Observers(AtomicPtr<ObserverNode>);

impl Observers {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Observers(AtomicPtr::new(ptr::null_mut()))
        }
    }

    /// `false`: the node stands in a list already.
    pub(crate) fn add(&self, node: &'static ObserverNode) -> bool {
        let this = ptr::from_ref(node).cast_mut();
        let unlisted = ptr::null_mut();
        if node.listed.compare_exchange(unlisted, this, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        let mut first = self.0.load(Ordering::Relaxed);
        loop {
            node.next.store(first, Ordering::Relaxed);
            match self.0.compare_exchange_weak(first, this, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => first = now,
            }
        }
    }

    /// Tells every observer; with none, one load.
    pub(crate) fn tell(&self, event: &Event<'_>) -> Result<(), Veto> {
        let mut at = self.0.load(Ordering::Acquire);
        let mut answer = Ok(());
        // SAFETY: nodes live for ever and are never taken out.
        while let Some(node) = unsafe { at.as_ref() } {
            answer = answer.and(node.observer.event(event));
            at = node.next.load(Ordering::Acquire);
        }
        answer
    }
}

/// Those who are told of what happens all the time.
///
/// On lines of its own, where those are long, for whoever attaches or detaches reads it and nobody writes it. Whether
/// there are any is a tally, which no protocol depends on: the list itself orders what is read of it.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(crate) struct Watchers {
    any: tally::AtomicU32,
    pub(crate) list: Observers,
}

impl Watchers {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Watchers { any: tally::AtomicU32::new(0), list: Observers::new() }
        }
    }

    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed) != 0
    }

    /// `false`: the node stands in a list already.
    pub(crate) fn add(&self, node: &'static ObserverNode) -> bool {
        let added = self.list.add(node);
        if added {
            self.any.store(1, Ordering::Relaxed);
        }
        added
    }
}
