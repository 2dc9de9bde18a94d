//! The reference: what a runtime must answer, in plain collections.

use std::collections::VecDeque;

use archipelago_kernel::{
    InterpreterId,
    config::{GilChoice, InterpreterConfig},
    error::{
        AttachError, ConfigError, CreateError, EndError, HandleError, Interrupt, RuntimeError, ThreadError,
    },
    interpreter::{Phase, Whence},
    memory::{AllocError, Domain, Ledger},
    runtime::RuntimePhase,
};

use crate::{
    account::Account,
    exits::Exit,
    scopes::Scope,
    sizes::Sizes,
    witness::{NODES, Told, fails},
};

pub(crate) type Key = usize;

/// Who is in the main slot while a close waits for the last one out.
const CLOSING: Key = usize::MAX;

pub(crate) struct Interpreter {
    pub(crate) id: Option<InterpreterId>,
    pub(crate) number: u64,
    pub(crate) phase: Phase,
    pub(crate) whence: Whence,
    pub(crate) config: InterpreterConfig,
    pub(crate) guest: bool,
    pub(crate) account: Account,
    pub(crate) fuel: Option<u64>,
    /// The thread state in the main slot.
    pub(crate) running: Option<Key>,
    pub(crate) pending: VecDeque<usize>,
    pub(crate) deadline: Option<u64>,
    /// The deadline passed and no thread state was there to be told.
    pub(crate) overdue: bool,
    /// Visitors inside.
    pub(crate) visits: usize,
    /// Guards that are held, and threads that an end joins.
    pub(crate) guards: usize,
    pub(crate) joinable: usize,
    /// Callbacks, oldest first.
    pub(crate) exits: Vec<Exit>,
    pub(crate) exits_failed: usize,
    /// Blocks of the heap, and charges for memory outside it.
    pub(crate) blocks: usize,
    pub(crate) charges: Vec<usize>,
    /// The table of names: entries it has room for, entries used so far, entries free again.
    pub(crate) room: usize,
    pub(crate) used: usize,
    pub(crate) free: usize,
}

impl Interpreter {
    pub(crate) fn is_listed(&self) -> bool {
        self.phase != Phase::Ended
    }

    /// As its config says, from now on.
    pub(crate) fn arm(&mut self, now: u64) {
        self.fuel = self.config.fuel();
        self.deadline = self.config.deadline().map(|within| now + within.as_millis() as u64);
    }
}

#[derive(Default)]
pub(crate) struct Thread {
    pub(crate) interpreter: Key,
    pub(crate) is_alive: bool,
    pub(crate) owed: bool,
    pub(crate) pending: bool,
    pub(crate) interrupt: bool,
    pub(crate) deadline: bool,
    /// Fuel was refused.
    pub(crate) dry: bool,
    /// The guest's data.
    pub(crate) data: Option<u64>,
}

pub(crate) struct Frame {
    pub(crate) interpreter: Key,
    pub(crate) thread: Key,
    pub(crate) attached: bool,
    pub(crate) lent: bool,
    /// It has an activation of its own, and is not under that of the frame around it.
    pub(crate) counted: bool,
}

pub(crate) struct Object {
    pub(crate) interpreter: Key,
    pub(crate) count: usize,
    pub(crate) owed: usize,
    pub(crate) is_alive: bool,
}

pub(crate) struct Name {
    pub(crate) id: InterpreterId,
    pub(crate) object: Key,
    pub(crate) is_live: bool,
}

/// The reference model of one runtime, and of one thread that uses it.
pub struct Model {
    pub(crate) sizes: Sizes,
    pub(crate) phase: RuntimePhase,
    /// Unknown from the moment an initialization failed.
    pub(crate) cycle: Option<u64>,
    next_number: u64,
    pub(crate) interpreters: Vec<Interpreter>,
    pub(crate) threads: Vec<Thread>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) objects: Vec<Object>,
    pub(crate) names: Vec<Name>,
    pub(crate) queued: [bool; NODES],
    pub(crate) next_exit: usize,
    pub(crate) now: u64,
    pub(crate) veto: bool,
    pub(crate) told: Vec<Told>,
}

impl Model {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Model {
            sizes,
            phase: RuntimePhase::Uninitialized,
            cycle: None,
            next_number: 0,
            interpreters: Vec::new(),
            threads: Vec::new(),
            frames: Vec::new(),
            scopes: Vec::new(),
            objects: Vec::new(),
            names: Vec::new(),
            queued: [false; NODES],
            next_exit: 0,
            now: 0,
            veto: false,
            told: Vec::new(),
        }
    }

    /// Interpreters that are listed, oldest first.
    pub(crate) fn listed(&self) -> impl DoubleEndedIterator<Item = Key> {
        (0..self.interpreters.len()).filter(|key| self.interpreters[*key].is_listed())
    }

    pub(crate) fn main(&self) -> Option<Key> {
        self.listed().next()
    }

    pub(crate) fn newest(&self) -> Option<Key> {
        self.listed().next_back()
    }

    /// The frame that is attached at this moment.
    pub(crate) fn attached(&self) -> Option<&Frame> {
        self.frames.last().filter(|frame| frame.attached)
    }

    /// The interpreter whose GIL this one uses.
    pub(crate) fn gil(&self, key: Key) -> Key {
        match self.interpreters[key].config.gil() {
            GilChoice::Own => key,
            _ => self.main().unwrap_or(key),
        }
    }

    /// Whether the driver's thread holds the GIL of this interpreter.
    pub(crate) fn holds_gil_of(&self, key: Key) -> bool {
        self.attached().is_some_and(|frame| self.gil(frame.interpreter) == self.gil(key))
    }

    pub(crate) fn activations(&self, key: Key) -> usize {
        self.frames.iter().filter(|frame| frame.interpreter == key && frame.counted).count()
            + self.interpreters[key].visits
    }

    pub(crate) fn thread_count(&self, key: Key) -> usize {
        self.threads.iter().filter(|thread| thread.is_alive && thread.interpreter == key).count()
    }

    pub(crate) fn tell(&mut self, told: Told) -> Result<(), ()> {
        self.told.push(told);
        if self.veto { Err(()) } else { Ok(()) }
    }

    /// `Ok(None)`: it was running already.
    pub(crate) fn initialize(&mut self, guest: bool) -> Result<Option<Key>, RuntimeError> {
        if self.phase == RuntimePhase::Running {
            return Ok(None);
        }
        if self.attached().is_some() {
            return Err(RuntimeError::AlreadyAttached);
        }
        match self.phase {
            RuntimePhase::Uninitialized | RuntimePhase::Finalized => {}
            _ => return Err(RuntimeError::InProgress),
        }
        self.cycle = None;
        self.next_number = 0;
        let config = InterpreterConfig::legacy().with_gil(GilChoice::Own);
        let main = self.build(config, guest, Whence::Runtime)?;
        self.phase = RuntimePhase::Running;
        let _ = self.tell(Told::Initialized);
        Ok(Some(main))
    }

    pub(crate) fn create(
        &mut self,
        config: &InterpreterConfig,
        guest: bool,
        whence: Whence,
    ) -> Result<(Key, Key), CreateError> {
        if self.phase != RuntimePhase::Running {
            return Err(CreateError::NotRunning);
        }
        if self.attached().is_some() {
            return Err(CreateError::AlreadyAttached);
        }
        if !config.use_main_obmalloc() && !config.check_multi_interp_extensions() {
            return Err(ConfigError::OwnHeapWithoutExtensionCheck.into());
        }
        if config.use_main_obmalloc() && config.gil() == GilChoice::Own {
            return Err(ConfigError::OwnGilWithMainHeap.into());
        }
        let gil = if config.gil() == GilChoice::Own { GilChoice::Own } else { GilChoice::Shared };
        let interpreter = self.build(config.with_gil(gil), guest, whence)?;
        Ok((interpreter, self.new_thread_state(interpreter)))
    }

    fn build(&mut self, config: InterpreterConfig, guest: bool, whence: Whence) -> Result<Key, CreateError> {
        if config.memory_limit().is_some_and(|limit| limit < self.sizes.footprint) {
            return Err(ConfigError::LimitBelowFootprint.into());
        }
        if self.tell(Told::Creating).is_err() {
            return Err(CreateError::Vetoed);
        }
        let number = self.next_number;
        self.next_number += 1;
        let account =
            Account::of(&config, guest, &self.sizes).map_err(|_| ConfigError::LimitBelowFootprint)?;
        let mut interpreter = Interpreter {
            id: None,
            number,
            phase: Phase::Running,
            whence,
            config,
            guest,
            account,
            fuel: None,
            running: None,
            pending: VecDeque::new(),
            overdue: false,
            deadline: None,
            visits: 0,
            guards: 0,
            joinable: 0,
            exits: Vec::new(),
            exits_failed: 0,
            blocks: 0,
            charges: Vec::new(),
            room: 0,
            used: 0,
            free: 0,
        };
        interpreter.arm(self.now);
        self.interpreters.push(interpreter);
        let _ = self.tell(Told::Created(number));
        Ok(self.interpreters.len() - 1)
    }

    pub(crate) fn new_thread_state(&mut self, interpreter: Key) -> Key {
        let pending = !self.interpreters[interpreter].pending.is_empty();
        let deadline = core::mem::take(&mut self.interpreters[interpreter].overdue);
        self.threads.push(Thread { interpreter, is_alive: true, pending, deadline, ..Thread::default() });
        self.threads.len() - 1
    }

    pub(crate) fn new_thread(&mut self, interpreter: Key) -> Result<Key, ThreadError> {
        match self.interpreters[interpreter].phase {
            Phase::Running => Ok(self.new_thread_state(interpreter)),
            Phase::Ended => Err(ThreadError::NotFound),
            _ => Err(ThreadError::Finalizing),
        }
    }

    /// A thread state is dropped on the driver's thread, or on a visitor's, where nothing is `attached`.
    pub(crate) fn drop_thread(&mut self, key: Key, attached: bool) {
        let thread = &mut self.threads[key];
        let interpreter = &mut self.interpreters[thread.interpreter];
        if !thread.is_alive {
            return;
        }
        if interpreter.running == Some(key) {
            interpreter.running = None;
        }
        if thread.data.is_some() {
            // Its data can go only where it can attach; otherwise the end takes both.
            if attached || interpreter.phase != Phase::Running {
                return;
            }
            interpreter.account.give(Domain::Mem, self.sizes.data);
            if thread.owed {
                let interpreter = thread.interpreter;
                thread.owed = false;
                self.settle(interpreter);
            }
        }
        self.threads[key].is_alive = false;
    }

    /// Whether a thread state may be attached now.
    pub(crate) fn may_enter(&self, thread: Key) -> Result<(), AttachError> {
        let thread = &self.threads[thread];
        if !thread.is_alive {
            return Err(AttachError::Ended);
        }
        match self.interpreters[thread.interpreter].phase {
            Phase::Running => Ok(()),
            Phase::Ended => Err(AttachError::Ended),
            _ => Err(AttachError::Finalizing),
        }
    }

    pub(crate) fn attach(&mut self, thread: Key) -> Result<(), AttachError> {
        if self.attached().is_some() {
            return Err(AttachError::AlreadyAttached);
        }
        self.may_enter(thread)?;
        self.open(thread, false);
        Ok(())
    }

    /// `stays`: inside the innermost frame, of the same interpreter, under its activation.
    fn open(&mut self, thread: Key, stays: bool) {
        let interpreter = self.threads[thread].interpreter;
        // Above a frame that is attached still, as in `call_out`, one is under its activation too.
        let counted = !stays && self.frames.last().is_none_or(|outer| !outer.attached);
        if let Some(outer) = self.frames.last().map(|frame| frame.thread) {
            self.inherit_scope(thread, outer);
        }
        self.frames.push(Frame { interpreter, thread, attached: true, lent: false, counted });
    }

    /// The innermost frame lets go of its thread state and another one is attached.
    pub(crate) fn enter(&mut self, thread: Key) -> Result<(), AttachError> {
        self.may_enter(thread)?;
        let stays =
            self.frames.last().is_some_and(|frame| frame.interpreter == self.threads[thread].interpreter);
        self.lend(true);
        self.open(thread, stays);
        Ok(())
    }

    /// `Ok(Some)`: with this thread state, made for it and to be dropped afterwards.
    pub(crate) fn ensure(&mut self, interpreter: Key) -> Result<Option<Key>, AttachError> {
        if !self.interpreters[interpreter].is_listed() {
            return Err(AttachError::Ended);
        }
        let Some(open) = self.frames.iter().rposition(|frame| frame.interpreter == interpreter) else {
            if self.attached().is_some() {
                return Err(AttachError::AlreadyAttached);
            }
            let thread = self.new_thread(interpreter).map_err(|_| AttachError::Finalizing)?;
            self.open(thread, false);
            return Ok(Some(thread));
        };
        let thread = self.frames[open].thread;
        let innermost = open + 1 == self.frames.len();
        let lent = innermost && self.frames[open].lent;
        if self.attached().is_some() && !lent {
            return Err(AttachError::AlreadyAttached);
        }
        self.may_enter(thread)?;
        self.open(thread, false);
        Ok(None)
    }

    /// The token of the innermost frame is lent; `detached`: and the GIL let go.
    pub(crate) fn lend(&mut self, detached: bool) {
        if let Some(frame) = self.frames.last_mut() {
            frame.lent = true;
            frame.attached = !detached;
        }
    }

    pub(crate) fn take_back(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.lent = false;
            frame.attached = true;
        }
    }

    /// The innermost frame closes; the one below stays as it is.
    pub(crate) fn close_frame(&mut self) {
        self.leave_scope();
        if let Some(frame) = self.frames.pop()
            && core::mem::take(&mut self.threads[frame.thread].owed)
        {
            self.settle(frame.interpreter);
        }
    }

    pub(crate) fn may_end(&mut self, key: Key) -> Result<(), EndError> {
        let interpreter = &self.interpreters[key];
        if !interpreter.is_listed() {
            return Err(EndError::NotFound);
        }
        if interpreter.number == 0 {
            return Err(EndError::Main);
        }
        self.is_elsewhere(key)?;
        let Interpreter { number, phase, .. } = self.interpreters[key];
        if phase != Phase::Running {
            // Asked by the end that gave up waiting.
            return Ok(());
        }
        self.tell(Told::Clearing(number)).map_err(|()| EndError::Vetoed)
    }

    /// An end from inside would wait for itself.
    pub(crate) fn is_elsewhere(&self, key: Key) -> Result<(), EndError> {
        if self.attached().is_some_and(|frame| frame.interpreter == key) {
            return Err(EndError::Current);
        }
        if self.frames.iter().any(|frame| frame.interpreter == key) {
            return Err(EndError::WouldDeadlock);
        }
        if self.attached().is_some() {
            return Err(EndError::AlreadyAttached);
        }
        Ok(())
    }

    /// Without patience.
    pub(crate) fn close(&mut self, key: Key) -> Result<Ledger, EndError> {
        let interpreter = &self.interpreters[key];
        if !interpreter.is_listed() {
            return Err(EndError::NotFound);
        }
        if interpreter.number == 0 {
            return Err(EndError::Main);
        }
        if interpreter.whence != Whence::Stdlib {
            return Err(EndError::Foreign);
        }
        self.is_elsewhere(key)?;
        if interpreter.running.is_some_and(|run| run != CLOSING) {
            return Err(EndError::Running);
        }
        let ended = self.end(key);
        if ended == Err(EndError::StillActive) {
            self.interpreters[key].running = Some(CLOSING);
        }
        ended
    }

    pub(crate) fn interrupt(&mut self, key: Key) {
        for thread in self.threads.iter_mut().filter(|thread| thread.interpreter == key) {
            thread.interrupt = true;
        }
    }

    /// Whether the call was added.
    pub(crate) fn add_pending(&mut self, key: Key, node: usize) -> bool {
        if core::mem::replace(&mut self.queued[node], true) {
            return false;
        }
        self.push_pending(key, node);
        true
    }

    fn push_pending(&mut self, key: Key, call: usize) {
        self.interpreters[key].pending.push_back(call);
        for thread in self.threads.iter_mut().filter(|thread| thread.interpreter == key) {
            thread.pending = true;
        }
    }

    /// A call in a slot of the interpreter's: whether there was one.
    pub(crate) fn add_call(&mut self, key: Key, call: usize) -> bool {
        let Interpreter { pending, config, .. } = &self.interpreters[key];
        let is_full =
            pending.iter().filter(|call| **call >= NODES).count() == config.pending_calls() as usize;
        if !is_full {
            self.push_pending(key, call);
        }
        !is_full
    }

    /// The next pending call runs: whether it fails.
    pub(crate) fn run_pending(&mut self, key: Key) -> Option<bool> {
        let node = self.interpreters[key].pending.pop_front()?;
        if let Some(queued) = self.queued.get_mut(node) {
            *queued = false;
        }
        self.told.push(Told::Ran(node, self.interpreters[key].number));
        Some(fails(node))
    }

    /// Runs pending calls until one fails: whether none did.
    pub(crate) fn pass(&mut self, key: Key) -> bool {
        while let Some(failed) = self.run_pending(key) {
            if failed {
                let left = !self.interpreters[key].pending.is_empty();
                for thread in self.threads.iter_mut().filter(|thread| thread.interpreter == key) {
                    thread.pending |= left;
                }
                return false;
            }
        }
        true
    }

    pub(crate) fn safepoint(&mut self, thread: Key) -> Result<(), Interrupt> {
        let key = self.threads[thread].interpreter;
        if self.interpreters[key].phase == Phase::Finalizing {
            return Err(Interrupt::Finalizing);
        }
        if core::mem::take(&mut self.threads[thread].owed) {
            self.settle(key);
        }
        if core::mem::take(&mut self.threads[thread].pending) && !self.pass(key) {
            return Err(Interrupt::PendingFailed);
        }
        if core::mem::take(&mut self.threads[thread].interrupt) {
            return Err(Interrupt::Requested);
        }
        if core::mem::take(&mut self.threads[thread].deadline) {
            return Err(Interrupt::Deadline);
        }
        if core::mem::take(&mut self.threads[thread].dry) && self.fuel(thread) == Some(0) {
            return Err(Interrupt::OutOfFuel);
        }
        Ok(())
    }

    /// Deadlines that passed are told to every thread state; how long until the next.
    pub(crate) fn tick(&mut self) -> Option<u64> {
        let mut next = self.tick_scopes();
        for key in self.listed().collect::<Vec<_>>() {
            let Some(at) = self.interpreters[key].deadline else { continue };
            if at > self.now {
                next = Some(next.map_or(at - self.now, |next: u64| next.min(at - self.now)));
                continue;
            }
            self.interpreters[key].deadline = None;
            self.pass_around(key);
            self.interpreters[key].overdue = self.thread_count(key) == 0;
            for thread in self.threads.iter_mut().filter(|thread| thread.interpreter == key) {
                thread.deadline = true;
            }
        }
        next
    }

    pub(crate) fn alloc(&mut self, key: Key) -> Result<Key, AllocError> {
        self.interpreters[key].account.take(Domain::Object, self.sizes.object)?;
        self.objects.push(Object { interpreter: key, count: 1, owed: 0, is_alive: true });
        Ok(self.objects.len() - 1)
    }

    /// A reference is dropped by this thread, wherever it is.
    pub(crate) fn drop_reference(&mut self, object: Key) {
        let object = &mut self.objects[object];
        let held = self.frames.last().is_some_and(|f| f.attached && f.interpreter == object.interpreter);
        if held && object.count > 1 {
            object.count -= 1;
            return;
        }
        object.owed += 1;
        if let Some(frame) = self.frames.iter().rfind(|frame| frame.interpreter == object.interpreter) {
            self.threads[frame.thread].owed = true;
        }
    }

    /// Everything owed to an interpreter's objects is settled.
    pub(crate) fn settle(&mut self, key: Key) {
        for object in self.objects.iter_mut().filter(|o| o.interpreter == key && o.is_alive && o.owed > 0) {
            object.count -= core::mem::take(&mut object.owed);
            if object.count == 0 {
                object.is_alive = false;
                self.interpreters[key].account.give(Domain::Object, self.sizes.object);
            }
        }
    }

    /// An object gets a name; the reference goes with it.
    pub(crate) fn name(&mut self, object: Key, id: InterpreterId) -> Result<(), AllocError> {
        let interpreter = &mut self.interpreters[self.objects[object].interpreter];
        if interpreter.free > 0 {
            interpreter.free -= 1;
        } else {
            if interpreter.used == interpreter.room {
                let room = (interpreter.room * 2).max(8);
                interpreter.account.take(Domain::Mem, room * self.sizes.name)?;
                if interpreter.room > 0 {
                    interpreter.account.give(Domain::Mem, interpreter.room * self.sizes.name);
                }
                interpreter.room = room;
            }
            interpreter.used += 1;
        }
        self.names.push(Name { id, object, is_live: true });
        Ok(())
    }

    /// The object behind a name, as seen from this interpreter.
    pub(crate) fn find(&self, name: Key, from: Key) -> Result<Key, HandleError> {
        let (name, from) = (&self.names[name], self.interpreters[from].id);
        match from {
            Some(from) if from.cycle() != name.id.cycle() => Err(HandleError::WrongRuntime),
            Some(from) if from != name.id => Err(HandleError::WrongInterpreter),
            _ if !name.is_live => Err(HandleError::Stale),
            _ => Ok(name.object),
        }
    }

    pub(crate) fn unname(&mut self, name: Key, from: Key) -> Result<(), HandleError> {
        let object = self.find(name, from)?;
        self.names[name].is_live = false;
        self.interpreters[from].free += 1;
        self.drop_reference(object);
        if let Some(frame) = self.frames.last() {
            self.threads[frame.thread].owed = false;
        }
        self.settle(from);
        Ok(())
    }

    /// A reference is released under the innermost token, which then looks at what its thread state owes.
    pub(crate) fn release(&mut self, key: Key) {
        let object = &mut self.objects[key];
        let interpreter = object.interpreter;
        object.count -= 1;
        if object.count == 0 {
            object.is_alive = false;
            self.interpreters[interpreter].account.give(Domain::Object, self.sizes.object);
        }
        if let Some(frame) = self.frames.last()
            && core::mem::take(&mut self.threads[frame.thread].owed)
        {
            self.settle(interpreter);
        }
    }
}
