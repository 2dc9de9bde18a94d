//! The registry: what the runtime's lock protects. Interpreters by age and by number, thread states of each,
//! and the slots that wait for their next tenant.
//!
//! Heads are kept as the pointers the allocator's block gave, never as references, so that the whole slot
//! can be reached through them.

#![allow(unsafe_code)]

use core::ptr;

use crate::{
    eval::breaker::{COLLECT, MINE, PENDING},
    interpreter::{InterpreterHead, InterpreterId},
    runtime::id_table::IdTable,
    thread::slot::{ThreadSlot, ThreadWhence},
};

pub(crate) struct Registry {
    /// Of the present or last initialization; 0 before the first.
    pub(crate) cycle: u64,
    next_number: u64,
    next_thread: u64,
    next_exit: u64,
    pub(crate) count: usize,
    /// Labelled guards of all interpreters, newest first; of `interpreter/guard.rs`.
    pub(crate) guards: *mut (),
    /// Interpreters with a deadline.
    pub(crate) armed: usize,
    /// Open scopes with a deadline, newest first; of `eval/scope.rs`.
    pub(crate) scopes: *const (),
    newest: *const InterpreterHead,
    oldest: *const InterpreterHead,
    pub(crate) table: IdTable,
    interpreters: *mut InterpreterHead,
    free_interpreters: *mut InterpreterHead,
    threads: *mut ThreadSlot,
    free_threads: *mut ThreadSlot,
}

// SAFETY: the pointers lead to slots of this runtime, which any thread may reach under the runtime's lock.
unsafe impl Send for Registry {}

impl Registry {
    pub(crate) const fn new() -> Self {
        Registry {
            cycle: 0,
            next_number: 0,
            next_thread: 1,
            next_exit: 0,
            count: 0,
            guards: ptr::null_mut(),
            armed: 0,
            scopes: ptr::null(),
            newest: ptr::null(),
            oldest: ptr::null(),
            table: IdTable::new(),
            interpreters: ptr::null_mut(),
            free_interpreters: ptr::null_mut(),
            threads: ptr::null_mut(),
            free_threads: ptr::null_mut(),
        }
    }

    /// Begins a cycle: numbers restart (SPEC R2).
    pub(crate) fn begin_cycle(&mut self, cycle: u64) {
        self.cycle = cycle;
        self.next_number = 0;
        self.next_thread = 1;
    }

    /// A number for a callback, never used again.
    pub(crate) fn next_exit(&mut self) -> u64 {
        self.next_exit += 1;
        self.next_exit
    }

    /// Lists a new interpreter under the next number. `false`: the id table has to grow first.
    #[must_use]
    pub(crate) fn insert(&mut self, slot: *const InterpreterHead) -> bool {
        if !self.table.has_room(self.count) {
            return false;
        }
        // SAFETY: the slot belongs to this runtime and is type-stable.
        let head = unsafe { &*slot };
        head.id.set(InterpreterId { cycle: self.cycle, number: self.next_number });
        self.next_number += 1;
        head.newer.set(ptr::null());
        head.older.set(self.newest);
        // SAFETY: listed heads are slots of this runtime.
        match unsafe { self.newest.as_ref() } {
            Some(newest) => newest.newer.set(slot),
            None => self.oldest = slot,
        }
        self.newest = slot;
        self.table.insert(slot);
        self.count += 1;
        true
    }

    /// Takes an interpreter out of the lists.
    pub(crate) fn remove(&mut self, head: &InterpreterHead) {
        self.table.remove(head);
        // SAFETY: listed heads are slots of this runtime.
        unsafe {
            match head.newer.get().as_ref() {
                Some(newer) => newer.older.set(head.older.get()),
                None => self.newest = head.older.get(),
            }
            match head.older.get().as_ref() {
                Some(older) => older.newer.set(head.newer.get()),
                None => self.oldest = head.newer.get(),
            }
        }
        self.count -= 1;
    }

    /// Whether `head` is listed, in whatever phase.
    pub(crate) fn lists(&self, head: *const InterpreterHead) -> bool {
        let mut at = self.newest;
        // SAFETY: listed heads are slots of this runtime.
        while let Some(listed) = unsafe { at.as_ref() } {
            if at == head {
                return true;
            }
            at = listed.older.get();
        }
        false
    }

    /// The newest interpreter (`PyInterpreterState_Head`).
    pub(crate) fn newest(&self) -> *const InterpreterHead {
        self.newest
    }

    /// The oldest interpreter: main.
    pub(crate) fn oldest(&self) -> *const InterpreterHead {
        self.oldest
    }

    /// A slot that waits for an interpreter.
    pub(crate) fn take_interpreter_slot(&mut self) -> *mut InterpreterHead {
        let slot = self.free_interpreters;
        // SAFETY: free slots are slots of this runtime.
        if let Some(head) = unsafe { slot.as_ref() } {
            self.free_interpreters = head.chain.get().cast_mut();
        }
        slot
    }

    /// Takes up a slot that was just allocated.
    pub(crate) fn adopt_interpreter_slot(&mut self, slot: *mut InterpreterHead) {
        // SAFETY: the slot was just written by the caller.
        unsafe { (*slot).next_slot.set(self.interpreters) };
        self.interpreters = slot;
    }

    /// The newest slot that was allocated. Those before it follow by `next_slot`, which stays as it is while the runtime lives.
    pub(crate) fn newest_slot(&self) -> *mut InterpreterHead {
        self.interpreters
    }

    /// The slot waits for its next interpreter.
    pub(crate) fn free_interpreter_slot(&mut self, slot: *mut InterpreterHead) {
        // SAFETY: the slot belongs to this runtime.
        unsafe { (*slot).chain.set(self.free_interpreters) };
        self.free_interpreters = slot;
    }

    /// A slot that waits for a thread state.
    pub(crate) fn take_thread_slot(&mut self) -> *mut ThreadSlot {
        let slot = self.free_threads;
        // SAFETY: free slots are slots of this runtime.
        if let Some(thread) = unsafe { slot.as_ref() } {
            self.free_threads = thread.next.get().cast_mut();
        }
        slot
    }

    /// Takes up a slot that was just allocated.
    pub(crate) fn adopt_thread_slot(&mut self, slot: *mut ThreadSlot) {
        // SAFETY: the slot was just written by the caller.
        unsafe { (*slot).next_slot.set(self.threads) };
        self.threads = slot;
    }

    /// The slot waits for its next thread state.
    pub(crate) fn free_thread_slot(&mut self, slot: *mut ThreadSlot) {
        // SAFETY: the slot belongs to this runtime.
        unsafe { (*slot).next.set(self.free_threads) };
        self.free_threads = slot;
    }

    /// Birth of a thread state in `slot`, with these breaker bits and what its interpreter has for it: its generation.
    pub(crate) fn add_thread(
        &mut self,
        slot: &ThreadSlot,
        interpreter: &InterpreterHead,
        whence: ThreadWhence,
        waiting: u32,
    ) -> u32 {
        let number = self.next_thread;
        self.next_thread += 1;
        // What was asked while no thread state was there to be told.
        let pending = if interpreter.pending.is_empty() { 0 } else { PENDING };
        // Nothing stops the code that takes an interpreter down.
        let latched = if whence == ThreadWhence::Fini { 0 } else { interpreter.latched.take() };
        let generation = slot.be_born(interpreter, number, whence, waiting | pending | latched);
        slot.prev.set(ptr::null());
        slot.next.set(interpreter.threads.get());
        // SAFETY: listed thread slots are slots of this runtime.
        if let Some(next) = unsafe { slot.next.get().as_ref() } {
            next.prev.set(slot);
        }
        interpreter.threads.set(slot);
        generation
    }

    /// Death of the thread state in `slot`. `true`: the slot may be used again.
    #[must_use]
    pub(crate) fn remove_thread(&mut self, slot: &ThreadSlot, interpreter: &InterpreterHead) -> bool {
        // SAFETY: listed thread slots are slots of this runtime.
        unsafe {
            match slot.prev.get().as_ref() {
                Some(prev) => prev.next.set(slot.next.get()),
                None => interpreter.threads.set(slot.next.get()),
            }
            if let Some(next) = slot.next.get().as_ref() {
                next.prev.set(slot.prev.get());
            }
        }
        slot.wake.set(ptr::null());
        // Nobody else was told, and the limit is as near as before.
        if slot.breaker.bits() & COLLECT != 0 {
            interpreter.leave_notice();
        }
        // A panic went through its frame.
        if slot.breaker.bits() & MINE != 0 {
            interpreter.break_all(PENDING);
        }
        slot.die()
    }

    /// Every slot there is, taken out: for the runtime's drop.
    pub(crate) fn take_all_slots(&mut self) -> (*mut InterpreterHead, *mut ThreadSlot) {
        self.free_interpreters = ptr::null_mut();
        self.free_threads = ptr::null_mut();
        (
            core::mem::replace(&mut self.interpreters, ptr::null_mut()),
            core::mem::replace(&mut self.threads, ptr::null_mut()),
        )
    }
}
