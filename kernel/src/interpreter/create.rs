//! Creating an interpreter: everything is taken before anything is shown, and a failure at any step gives all
//! of it back (SPEC L16).

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, time::Duration};

use crate::{
    config::{GilChoice, InterpreterConfig},
    error::{ConfigError, CreateError, GuestError},
    guest::GuestTable,
    host::{Clock, Host},
    interpreter::{InterpreterSlot, Phase, Whence, end::Begun, retire::take_down},
    memory::{AllocCause, Ledger},
    observe::Event,
    runtime::{Runtime, RuntimePhase},
    sync::Ordering,
    thread::{
        ThreadState,
        place::Place,
        session::Session,
        slot::{ThreadSlot, ThreadWhence},
    },
};

/// What an interpreter is in its runtime. Whence is a label; the role is not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The first one: others share its GIL and heap.
    Main,
    /// Any other.
    Sub(Whence),
}

impl Role {
    fn whence(self) -> Whence {
        match self {
            Role::Main => Whence::Runtime,
            Role::Sub(whence) => whence,
        }
    }
}

impl<H: Host> Runtime<H> {
    /// Creates an interpreter (`Py_NewInterpreterFromConfig`; SPEC L1, safe layer) and answers a detached
    /// thread state for it. No OS thread is started. `guest` is the language it runs; without one the host
    /// runs code of its own on the token.
    ///
    /// It waits for the GIL the guest starts under; and once in main's life for main's: where the interpreter is the first
    /// to use main's heap under a GIL of its own ([`SharedHeap`](crate::host::SharedHeap)). So whoever waits for it
    /// detaches from main meanwhile.
    ///
    /// # Errors
    /// The reason; nothing is left behind, and the caller stands where it stood.
    pub fn create(
        &self,
        config: &InterpreterConfig,
        guest: Option<&'static GuestTable<H>>,
    ) -> Result<ThreadState<'_, H>, CreateError> {
        self.create_as(config, guest, Whence::Stdlib)
    }

    /// As [`create`](Self::create), with another origin (SPEC L5).
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn create_as(
        &self,
        config: &InterpreterConfig,
        guest: Option<&'static GuestTable<H>>,
        whence: Whence,
    ) -> Result<ThreadState<'_, H>, CreateError> {
        if self.host().in_interrupt() {
            return Err(CreateError::InInterrupt);
        }
        if self.phase() != RuntimePhase::Running {
            return Err(CreateError::NotRunning);
        }
        if let Some(hold) = Session::held::<H>() {
            return Err(if hold.stops() { CreateError::Stopped } else { CreateError::AlreadyAttached });
        }
        config.validate_on::<H>()?;
        /// For an observer that panics.
        struct Undo<'a, 'rt, H: Host>(&'a ThreadState<'rt, H>);
        impl<H: Host> Drop for Undo<'_, '_, H> {
            fn drop(&mut self) {
                let rt = self.0.runtime();
                let begun = rt.begin_end(self.0.interpreter(), |_| Ok(()), || Ok(()));
                let begun = begun.map(Begun::without_callbacks);
                if let Ok(slot) = begun.and_then(|begun| begun.await_exits(0, Some(Duration::ZERO))) {
                    take_down(rt, slot, None, &mut Ledger::default());
                }
            }
        }
        let state = self.build(config.resolved(), guest, Role::Sub(whence))?;
        let undo = Undo(&state);
        let _ = self.tell(&Event::InterpreterCreated { id: state.interpreter() });
        core::mem::forget(undo);
        Ok(state)
    }

    /// Builds an interpreter from a resolved config; the caller tells that it was created. Main is exempt from
    /// validation (SPEC C4).
    pub(crate) fn build(
        &self,
        config: InterpreterConfig,
        guest: Option<&'static GuestTable<H>>,
        role: Role,
    ) -> Result<ThreadState<'_, H>, CreateError> {
        let whence = role.whence();
        config.validate_for(InterpreterSlot::<H>::FOOTPRINT, <H::Clock as Clock>::MAX)?;
        if self.tell(&Event::InterpreterCreating { config: &config, whence }).is_err() {
            return Err(CreateError::Vetoed);
        }
        let mut taken = Taken { rt: self, thread: None, slot: ptr::null_mut() };
        let thread = self.new_thread_slot().map_err(|_| CreateError::NoMemory)?;
        taken.thread = Some(thread);
        taken.slot = self.new_interpreter_slot().map_err(|_| CreateError::NoMemory)?;
        let slot = taken.slot;
        // SAFETY: slots are type-stable, and nobody else reaches this one before it is published.
        let interpreter = unsafe { &*slot };
        interpreter.head.word.begin();
        interpreter.head.generation.fetch_add(1, Ordering::Release);
        interpreter.head.references.renew();
        interpreter.renew(config, whence, role == Role::Main || !config.use_main_obmalloc());
        let generation = self.list_new(&config, slot, thread, role == Role::Main)?;
        core::mem::forget(taken);

        let place = Place { rt: self, interpreter, thread };
        place.start_up(&config, guest)?;
        let state = ThreadState::new(place, generation);
        interpreter.head.word.publish();
        self.moved_on();
        Ok(state)
    }

    /// Lists interpreter and thread state: the first step that others could see.
    fn list_new(
        &self,
        config: &InterpreterConfig,
        slot: *const InterpreterSlot<H>,
        thread: &ThreadSlot,
        is_main: bool,
    ) -> Result<u32, CreateError> {
        // SAFETY: as in `build`.
        let interpreter = unsafe { &*slot };
        loop {
            let listed = self.locked_going(|registry| {
                let main = registry.oldest().cast::<InterpreterSlot<H>>();
                if !is_main {
                    // SAFETY: main is a slot of this runtime, or null before it is initialized.
                    let phase = unsafe { main.as_ref() }.map(|main| main.head.word.phase());
                    if self.phase() != RuntimePhase::Running || phase != Some(Phase::Running) {
                        return Err(CreateError::MainEnding);
                    }
                }
                let own_or_main = |own: bool| if own || is_main { slot } else { main };
                interpreter.gil_of.set(own_or_main(config.gil() == GilChoice::Own));
                interpreter.heap_of.set(own_or_main(!config.use_main_obmalloc()));
                if !registry.insert(slot.cast()) {
                    return Ok(Err(registry.table.next_layout()));
                }
                Ok(Ok(self.add_thread(registry, thread, &interpreter.head, ThreadWhence::Init)))
            })?;
            match listed {
                Ok(generation) => return Ok(generation),
                Err(growth) => self.grow_table(growth)?,
            }
        }
    }

    /// Makes room for more numbers. The memory is taken outside the lock.
    fn grow_table(&self, growth: Option<(Layout, usize)>) -> Result<(), CreateError> {
        let (layout, len) = growth.ok_or(CreateError::NoMemory)?;
        let memory = self.raw().take(layout).map_err(|_| CreateError::NoMemory)?;
        let surplus = self.locked(|registry| match registry.table.next_layout() {
            // SAFETY: the memory is fresh and large enough for the next table, whose length is a power of two.
            Some((wanted, _)) if wanted == layout => unsafe { registry.table.grow(memory.cast(), len) },
            // Another thread was faster.
            _ => Some((memory, layout)),
        });
        if let Some((memory, layout)) = surplus {
            // SAFETY: the block was taken from the raw domain with this layout, and nobody uses it.
            unsafe { self.raw().deallocate(memory, layout) };
        }
        Ok(())
    }
}

impl<H: Host> Place<'_, H> {
    /// The steps of a creation that run code of others, of an interpreter that is listed. Where one fails, it is taken
    /// down.
    pub(super) fn start_up(
        self,
        config: &InterpreterConfig,
        guest: Option<&'static GuestTable<H>>,
    ) -> Result<(), CreateError> {
        let roll_back = RollBack(self);
        self.share_heap();
        if let Some(deadline) = config.deadline() {
            self.rt.arm(self.interpreter, deadline, || ()).map_err(|_| ConfigError::DurationTooLong)?;
        }
        if let Some(table) = guest {
            self.start_guest(table)?;
        }
        if let Some(interval) = config.switch_interval() {
            self.interpreter.gil().set_interval(interval);
        }
        core::mem::forget(roll_back);
        Ok(())
    }

    fn start_guest(self, table: &'static GuestTable<H>) -> Result<(), CreateError> {
        self.interpreter.gil().take_untimed(self.thread, &self.interpreter.head);
        self.came();
        // SAFETY: only this thread can reach the interpreter; nothing else is attached on it.
        let started = unsafe { self.last_frame(|cx| cx.start_guest(table)) };
        started.map_err(|error| match error {
            GuestError::Alloc(error) => match error.cause {
                AllocCause::HardLimit | AllocCause::SoftLimit => ConfigError::LimitBelowFootprint.into(),
                _ => CreateError::NoMemory,
            },
            _ => CreateError::GuestFailed,
        })
    }
}

/// What creation took and has not shown yet.
pub(super) struct Taken<'rt, H: Host> {
    pub(super) rt: &'rt Runtime<H>,
    pub(super) thread: Option<&'rt ThreadSlot>,
    pub(super) slot: *mut InterpreterSlot<H>,
}

impl<H: Host> Drop for Taken<'_, H> {
    fn drop(&mut self) {
        self.rt.locked(|registry| {
            if let Some(thread) = self.thread {
                registry.free_thread_slot(ptr::from_ref(thread).cast_mut());
            }
            // SAFETY: the slot, if one was taken, is this creation's alone.
            if let Some(slot) = unsafe { self.slot.as_ref() } {
                slot.head.word.finish();
                registry.free_interpreter_slot(self.slot.cast());
            }
        });
    }
}

/// Undoes a creation that was listed: the guest could not start, or panicked.
struct RollBack<'rt, H: Host>(Place<'rt, H>);

impl<H: Host> Drop for RollBack<'_, H> {
    fn drop(&mut self) {
        self.0.interpreter.head.word.roll_back();
        take_down(self.0.rt, self.0.interpreter, None, &mut Ledger::default());
    }
}
