//! The part of an interpreter's memory that does not depend on the host type, compiled once.
//!
//! Who may touch what: *const* fields are written by the creating thread before the interpreter is published
//! and read by whoever holds an activation, a visit or the runtime's lock; *lock* fields under the runtime's
//! lock; *GIL* fields by the thread that holds the GIL of this interpreter.

#![allow(unsafe_code)]

use core::ptr;

use crate::{
    config::{InterpreterConfig, StoredConfig},
    eval::{breaker::COLLECT, pending::PendingList},
    interpreter::{InterpreterId, Whence, reference::ReferenceWord, word::StateWord},
    memory::Account,
    object::ObjectHeader,
    sync::{AtomicPtr, AtomicU8, AtomicU32, Cell, Ordering, tally},
    thread::slot::ThreadSlot,
};

/// Which thread may be attached to an interpreter.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// Any.
    No,
    /// Any that is not in the middle of another interpreter.
    ToFresh,
    /// Any, and from then on that one only.
    ToTheFirst,
    /// The one in `bound_to`.
    ToOne,
}

pub(crate) struct InterpreterHead {
    pub(crate) word: StateWord,
    /// One up whenever the slot gets its next interpreter.
    pub(crate) generation: AtomicU32,
    /// How to look into the host's slot, for those who do not know the host.
    pub(crate) current: fn() -> *const (),
    pub(crate) id: Cell<InterpreterId>,
    pub(crate) whence: Cell<Whence>,
    config: Cell<StoredConfig>,
    /// lock: registry, newest first; chain of the id table, or of the free slots; all slots.
    pub(crate) newer: Cell<*const InterpreterHead>,
    pub(crate) older: Cell<*const InterpreterHead>,
    pub(crate) chain: Cell<*const InterpreterHead>,
    pub(crate) next_slot: Cell<*mut InterpreterHead>,
    /// lock: thread states, newest first.
    pub(crate) threads: Cell<*const ThreadSlot>,
    /// lock: cleared by the raw layer, to be deleted.
    pub(crate) cleared: Cell<bool>,
    /// The thread state in the main slot: set and cleared by compare-and-swap (SPEC L7).
    pub(crate) running: AtomicPtr<ThreadSlot>,
    pub(crate) account: Account,
    /// GIL: which thread may be attached (SPEC C7).
    pub(crate) bound: Cell<Bound>,
    /// GIL: how the host calls that thread.
    pub(crate) bound_to: Cell<usize>,
    /// GIL: fuel left, if any was set.
    fuel: Cell<u64>,
    is_fuelled: Cell<bool>,
    /// GIL: a pass of pending calls is under way; a call that meets a safepoint must not start another.
    pub(crate) runs_pending: Cell<bool>,
    /// GIL: the guest is being told that memory is low; it is not told again meanwhile.
    pub(crate) collecting: Cell<bool>,
    /// GIL: objects that are live, and of these the ones whose values have destructors, newest first.
    pub(crate) live_objects: Cell<usize>,
    pub(crate) finalized: Cell<*mut ObjectHeader>,
    /// What most interpreters never need; of `extras.rs`.
    pub(super) extras: AtomicPtr<()>,
    /// GIL: of the callbacks for the end that ran, how many failed.
    pub(crate) exits_failed: Cell<u32>,
    /// Threads that the end joins. They get more under the lock only.
    pub(crate) joinable: AtomicU32,
    /// Objects with releases owed, pushed from anywhere.
    pub(crate) owed: AtomicPtr<ObjectHeader>,
    /// Not zero: some of them were pushed by a thread without a frame here, which told nobody.
    untold: AtomicU8,
    /// How many hold it by id, and what the loss of the last one does.
    pub(super) references: ReferenceWord,
    pub(crate) pending: PendingList,
    /// Breaker bits that were asked for without the lock and are not delivered yet. Set during a visit.
    asked: AtomicU32,
    /// lock: breaker bits for the first thread state there is.
    pub(crate) latched: Cell<u32>,
    /// lock: an end has begun to ask the observers.
    pub(crate) announced: Cell<bool>,
    /// Written by the holder of the GIL, read from anywhere: times waited, microseconds waited, times taken
    /// from another thread state.
    pub(crate) waits: tally::AtomicUsize,
    pub(crate) waited_us: tally::AtomicUsize,
    pub(crate) switches: tally::AtomicUsize,
}

// SAFETY: the table in the module's doc says for each plain field who may touch it; the callers keep to it.
unsafe impl Sync for InterpreterHead {}

impl InterpreterHead {
    pub(crate) fn new(current: fn() -> *const ()) -> Self {
        InterpreterHead {
            word: StateWord::new(),
            generation: AtomicU32::new(0),
            current,
            id: Cell::new(InterpreterId { cycle: 0, number: 0 }),
            whence: Cell::new(Whence::Unknown),
            config: Cell::new(StoredConfig::new(&InterpreterConfig::isolated())),
            newer: Cell::new(ptr::null()),
            older: Cell::new(ptr::null()),
            chain: Cell::new(ptr::null()),
            next_slot: Cell::new(ptr::null_mut()),
            threads: Cell::new(ptr::null()),
            cleared: Cell::new(false),
            running: AtomicPtr::new(ptr::null_mut()),
            account: Account::new(),
            bound: Cell::new(Bound::No),
            bound_to: Cell::new(0),
            fuel: Cell::new(0),
            is_fuelled: Cell::new(false),
            runs_pending: Cell::new(false),
            collecting: Cell::new(false),
            live_objects: Cell::new(0),
            finalized: Cell::new(ptr::null_mut()),
            extras: AtomicPtr::new(ptr::null_mut()),
            exits_failed: Cell::new(0),
            joinable: AtomicU32::new(0),
            owed: AtomicPtr::new(ptr::null_mut()),
            untold: AtomicU8::new(0),
            references: ReferenceWord::new(),
            pending: PendingList::new(),
            asked: AtomicU32::new(0),
            latched: Cell::new(0),
            announced: Cell::new(false),
            waits: tally::AtomicUsize::new(0),
            waited_us: tally::AtomicUsize::new(0),
            switches: tally::AtomicUsize::new(0),
        }
    }

    /// Everything as new, for the next interpreter in this slot. Only in phase CREATING, by the creator.
    pub(crate) fn renew(&self, config: InterpreterConfig, whence: Whence, owns_heap: bool) {
        self.whence.set(whence);
        self.config.set(StoredConfig::new(&config));
        self.threads.set(ptr::null());
        self.cleared.set(false);
        self.running.store(ptr::null_mut(), Ordering::Relaxed);
        self.account.renew(config.memory_limits(), !owns_heap);
        self.bound.set(match (config.bound_to_thread(), config.always_new_thread()) {
            (true, _) => Bound::ToTheFirst,
            (false, true) => Bound::ToFresh,
            (false, false) => Bound::No,
        });
        self.asked.store(0, Ordering::Relaxed);
        self.latched.set(0);
        self.announced.set(false);
        self.set_fuel(config.fuel());
        self.collecting.set(false);
        self.live_objects.set(0);
        self.finalized.set(ptr::null_mut());
        self.exits_failed.set(0);
        self.owed.store(ptr::null_mut(), Ordering::Relaxed);
        for counter in [&self.waits, &self.waited_us, &self.switches] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// The config it was made with.
    pub(crate) fn config(&self) -> InterpreterConfig {
        self.config.get().config()
    }

    /// Fuel left; `None` where none was set. Holder only.
    #[inline]
    pub(crate) fn fuel(&self) -> Option<u64> {
        self.is_fuelled.get().then(|| self.fuel.get())
    }

    #[inline]
    pub(crate) fn set_fuel(&self, units: Option<u64>) {
        self.is_fuelled.set(units.is_some());
        self.fuel.set(units.unwrap_or(0));
    }

    /// How many pending calls may wait in slots of the kernel's.
    pub(crate) fn pending_calls(&self) -> u32 {
        self.config.get().pending_calls()
    }

    /// Thread states there are. Under the runtime's lock.
    pub(crate) fn thread_count(&self) -> usize {
        let (mut at, mut count) = (self.threads.get(), 0);
        // SAFETY: under the lock the list is stable, and its slots are type-stable.
        while let Some(thread) = unsafe { at.as_ref() } {
            count += 1;
            at = thread.next.get();
        }
        count
    }

    /// A release is owed, and this thread has no frame that would settle it. After the push.
    pub(crate) fn leave_untold(&self) {
        self.untold.store(1, Ordering::Release);
    }

    /// Whether releases are owed that nobody was told of; the caller is then. Whoever comes back from a detach asks, and
    /// whoever closes a frame.
    #[inline]
    pub(crate) fn take_untold(&self) -> bool {
        self.untold.load(Ordering::Relaxed) != 0 && self.untold.swap(0, Ordering::Acquire) != 0
    }

    /// Asks for breaker bits without the lock. During a visit.
    pub(crate) fn ask(&self, bits: u32) {
        self.asked.fetch_or(bits, Ordering::Release);
    }

    /// Delivers what was asked for. Under the runtime's lock.
    pub(crate) fn break_asked(&self) {
        if self.asked.load(Ordering::Relaxed) != 0 {
            self.break_all(self.asked.swap(0, Ordering::Acquire));
        }
    }

    /// As [`break_all`](Self::break_all), or for the first thread state that is made. Under the runtime's lock.
    pub(crate) fn break_some(&self, bits: u32) {
        if self.threads.get().is_null() {
            self.latched.set(self.latched.get() | bits);
        }
        self.break_all(bits);
    }

    /// The notice that memory is low goes to the newest thread state, and to the next that is made. Under the runtime's lock.
    pub(crate) fn leave_notice(&self) {
        self.latched.set(self.latched.get() | COLLECT);
        // SAFETY: under the lock the list is stable and its slots are alive (type-stable memory).
        if let Some(thread) = unsafe { self.threads.get().as_ref() } {
            thread.breaker.set(COLLECT);
        }
    }

    /// Sets breaker bits in every thread state. Under the runtime's lock.
    pub(crate) fn break_quietly(&self, bits: u32) {
        let mut at = self.threads.get();
        // SAFETY: under the lock the list is stable and its slots are alive (type-stable memory).
        while let Some(thread) = unsafe { at.as_ref() } {
            thread.breaker.set(bits);
            at = thread.next.get();
        }
    }

    /// Sets breaker bits in every thread state and wakes those that wait. Under the runtime's lock.
    ///
    /// Wakers are the host's and may panic, so everybody is told before the first is woken, and a panic does not keep
    /// the others from being woken.
    pub(crate) fn break_all(&self, bits: u32) {
        /// Those who are still to be woken.
        struct Wake(*const ThreadSlot);
        impl Drop for Wake {
            fn drop(&mut self) {
                // SAFETY: as for the walk.
                while let Some(thread) = unsafe { self.0.as_ref() } {
                    self.0 = thread.next.get();
                    thread.wake_up();
                }
            }
        }
        self.break_quietly(bits);
        let mut wake = Wake(self.threads.get());
        // SAFETY: as above.
        while let Some(thread) = unsafe { wake.0.as_ref() } {
            wake.0 = thread.next.get();
            thread.wake_up();
        }
    }
}

impl ThreadSlot {
    /// Wakes the thread if it waits in `Attached::wait` and there is a reason to stop. Under the runtime's lock.
    pub(crate) fn wake_up(&self) {
        // SAFETY: the record is registered and taken away under the runtime's lock by the call that has it on its
        // stack and borrows the waker, so both are alive while it stands here.
        unsafe {
            if let Some(waiter) = self.wake.get().as_ref()
                && self.breaker.bits() & waiter.stops != 0
            {
                waiter.wake.as_ref().wake();
            }
        }
    }
}
