//! Does the operations on a runtime and on the model, and compares.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull, time::Duration};
use std::{sync::Arc, thread::Scope};

use archipelago_kernel::{
    Attached, Host, InterpreterId, Runtime, ThreadState,
    config::{GilChoice, InterpreterConfig},
    error::{AttachError, GuestError, Interrupt, LookupError, PendingError},
    eval::PendingCall,
    guest::{Fault, GuestTable, Plain, Step},
    interpreter::{Phase, Whence},
    memory::{AllocCause, AllocError, Domain},
    object::{Global, Owned},
    observe::{Observer, ObserverNode},
    runtime::{Initialized, RuntimePhase},
};

mod keep;

use crate::{
    forever::Forever,
    guest::{RESUMED, Toy, outcome},
    model::{Key, Model},
    operation::{Config, Operation},
    sizes::Sizes,
    visitor::Visitor,
    witness::{NODES, Run, Tracked, Watch, Witness, note},
};

/// One runtime to drive, and what the driver may do to its host.
pub struct Setup<H: Host> {
    /// Not initialized yet.
    pub runtime: Runtime<H>,
    /// Moves the clock by milliseconds, where it can be moved.
    pub advance: Option<fn(&H, u32)>,
    /// Live blocks and bytes of the raw domain, where they are counted; asked after the runtime is gone too.
    pub live: Option<Box<dyn Fn() -> (usize, usize)>>,
}

impl<H: Host> Setup<H> {
    /// A runtime whose clock and memory are left alone.
    pub fn of(runtime: Runtime<H>) -> Self {
        Setup { runtime, advance: None, live: None }
    }
}

/// So many interpreters, thread states, frames and visitors at most, so that the look after each step stays short.
const INTERPRETERS: usize = 6;
const THREADS: usize = 12;
const FRAMES: usize = 8;
const VISITORS: usize = 3;
/// So many, with those that frames inherit.
const SCOPES: usize = 6;
/// Slots for pending calls in some of the interpreters.
const CALLS_AT_MOST: u32 = 3;

/// Does `operations` on a runtime and on the model, and asserts that they agree.
pub fn run<H: Host>(setup: Setup<H>, sizes: &Sizes, operations: &[Operation]) {
    let Setup { runtime, advance, live } = setup;
    let witness = Arc::new(Witness::default());
    let place = Run::new(&witness);
    let watch: Forever<Watch> = Forever::new(Watch(witness.clone()));
    let watch_node = Forever::new(ObserverNode::new(watch.get() as &'static dyn Observer));
    let nodes: Vec<Forever<PendingCall<H>>> =
        (0..NODES).map(|node| Forever::new(PendingCall::new(note, place.argument(node)))).collect();
    assert!(runtime.observe(watch_node.get()));
    std::thread::scope(|scope| {
        let mut driver = Driver {
            rt: &runtime,
            scope,
            advance,
            model: Model::new(*sizes),
            witness: witness.clone(),
            nodes: nodes.iter().map(Forever::get).collect(),
            operations: operations.iter(),
            states: Vec::new(),
            globals: Vec::new(),
            blocks: Vec::new(),
            visitors: Vec::new(),
            keeps: keep::Keeps::default(),
            run: &place,
        };
        driver.outside();
        driver.finish();
    });
    drop(runtime);
    assert_eq!(witness.values(), 0, "values that nobody dropped");
    if let Some(live) = live {
        assert_eq!(live(), (0, 0), "memory that nobody gave back");
    }
    for node in nodes {
        assert!(!node.get().is_queued(), "a pending call that nobody ran or dropped");
        // SAFETY: the runtime is gone, and no list has the node.
        unsafe { node.free() };
    }
    // SAFETY: the runtime that had the observer is gone.
    unsafe {
        watch_node.free();
        watch.free();
    }
}

struct Block {
    interpreter: Key,
    domain: Domain,
    start: NonNull<u8>,
    layout: Layout,
}

struct Driver<'scope, 'env, H: Host> {
    rt: &'scope Runtime<H>,
    scope: &'scope Scope<'scope, 'env>,
    advance: Option<fn(&H, u32)>,
    model: Model,
    witness: Arc<Witness>,
    nodes: Vec<&'static PendingCall<H>>,
    operations: core::slice::Iter<'scope, Operation>,
    /// With their keys in the model; `None` while attached.
    states: Vec<(Key, Option<ThreadState<'scope, H>>)>,
    globals: Vec<Global<Plain<Tracked>>>,
    blocks: Vec<Block>,
    visitors: Vec<Visitor<'scope>>,
    keeps: keep::Keeps<'scope, H>,
    run: &'scope Run,
}

/// One of `len`, by remainder.
fn pick(number: u8, len: usize) -> Option<usize> {
    usize::from(number).checked_rem(len)
}

/// References of one frame to objects, with their keys in the model.
type Stack<'i> = Vec<(Key, Owned<'i, Plain<Tracked>>)>;

impl<'scope, H: Host> Driver<'scope, '_, H> {
    /// The next operations, with no token in hand: until the frame or the lending call is left.
    fn outside(&mut self) {
        while let Some(operation) = self.operations.next() {
            if *operation == Operation::Leave && !self.model.frames.is_empty() {
                return;
            }
            self.common(operation);
            self.look(operation);
        }
    }

    /// The next operations, attached: until the frame is left.
    fn inside<'i>(&mut self, cx: &mut Attached<'i, H>) {
        let mut objects: Stack<'i> = Vec::new();
        while let Some(operation) = self.operations.next() {
            if *operation == Operation::Leave {
                break;
            }
            if !self.lending(operation, cx, &mut objects)
                && !self.exits(operation, cx)
                && !self.on_objects(operation, cx, &mut objects)
                && !self.on_interpreter(operation, cx)
            {
                self.common(operation);
            }
            self.look(operation);
        }
        for (key, object) in objects {
            self.model.drop_reference(key);
            drop(object);
        }
    }

    /// An interpreter that was created at some time, the newer ones more likely.
    fn interpreter(&self, number: u8) -> Option<(Key, InterpreterId)> {
        let all = &self.model.interpreters;
        let key = all.len() - 1 - pick(number, all.len())?;
        Some((key, all[key].id?))
    }

    /// The innermost frame's interpreter and thread state.
    fn here(&self) -> (Key, Key) {
        let frame = self.model.frames.last().expect("a frame is open");
        (frame.interpreter, frame.thread)
    }

    fn common(&mut self, operation: &Operation) {
        match *operation {
            Operation::Initialize { guest } => self.initialize(guest),
            Operation::Finalize => self.finalize(),
            Operation::Create { config, guest, foreign } => self.create(config, guest, foreign),
            Operation::End { interpreter } => {
                let Some((key, id)) = self.interpreter(interpreter) else { return };
                let model = self.model.end(key);
                assert_eq!(self.rt.end(id, Some(Duration::ZERO)), model);
            }
            Operation::Close { interpreter } => {
                let Some((key, id)) = self.interpreter(interpreter) else { return };
                let Ok(handle) = self.rt.interpreter(id) else { return };
                assert_eq!(handle.close(Some(Duration::ZERO)), self.model.close(key));
            }
            Operation::Reset { thread } => {
                let Some(at) = pick(thread, self.states.len()) else { return };
                let (key, Some(state)) = &mut self.states[at] else { return };
                let interpreter = self.model.threads[*key].interpreter;
                let model = self.model.reset(*key);
                assert_eq!(state.reset(Some(Duration::ZERO)), model.map(|(_, ledger)| ledger));
                if let Ok((fresh, _)) = model {
                    *key = fresh;
                    self.blocks.retain(|block| block.interpreter != interpreter);
                }
            }
            Operation::NewThread { interpreter } => {
                let Some((key, id)) = self.interpreter(interpreter) else { return };
                if self.states.len() >= THREADS {
                    return;
                }
                let (real, model) = (self.rt.thread_state(id), self.model.new_thread(key));
                assert_eq!(real.as_ref().map(|_| ()).map_err(|e| *e), model.map(|_| ()));
                if let (Ok(real), Ok(model)) = (real, model) {
                    self.states.push((model, Some(real)));
                }
            }
            Operation::DropThread { thread } => {
                let Some(at) = pick(thread, self.states.len()) else { return };
                if self.states[at].1.is_some() {
                    let (key, state) = self.states.swap_remove(at);
                    self.model.drop_thread(key, self.model.attached().is_some());
                    drop(state);
                }
            }
            Operation::Attach { thread } => self.with_state(thread, |this, key, state| {
                let model = this.model.attach(key);
                let real = state.attach(|cx| this.inside(cx));
                assert_eq!(real, model);
                model.is_ok()
            }),
            Operation::Ensure { interpreter } => self.ensure(interpreter),
            Operation::Interrupt { interpreter } => {
                let Some((key, id)) = self.interpreter(interpreter) else { return };
                let Ok(handle) = self.rt.interpreter(id) else { return };
                self.model.interrupt(key);
                assert_eq!(handle.interrupt(), Ok(()));
            }
            Operation::Pending { interpreter, node } => self.add_pending(interpreter, node),
            Operation::Advance { by } => {
                if let Some(advance) = self.advance {
                    advance(self.rt.host(), by.into());
                    self.model.now += u64::from(by);
                }
            }
            Operation::Tick if self.advance.is_some() => {
                assert_eq!(self.rt.tick(), self.model.tick().map(Duration::from_millis));
            }
            Operation::Visit { interpreter } => self.visit(interpreter),
            Operation::Depart { visitor } => {
                let Some(at) = pick(visitor, self.visitors.len()) else { return };
                if !self.model.holds_gil_of(self.visitors[at].interpreter) {
                    self.depart(at);
                }
            }
            Operation::Veto { on } => {
                self.witness.set_veto(on);
                self.model.veto = on;
            }
            _ => self.keeping(operation),
        }
    }

    fn initialize(&mut self, guest: bool) {
        let table = guest.then(GuestTable::of::<Toy>);
        let main = self.model.main();
        let (real, model) = (self.rt.initialize(table), self.model.initialize(guest));
        match (real, model) {
            (Ok(Initialized::Now(id)), Ok(Some(key))) => {
                let old = self.model.interpreters.iter().filter_map(|interpreter| interpreter.id);
                assert!(old.into_iter().all(|old| old.cycle() != id.cycle()), "a cycle comes back");
                self.model.cycle = Some(id.cycle());
                self.named(key, id);
            }
            (Ok(Initialized::Already(id)), Ok(None)) => {
                assert_eq!(main.and_then(|main| self.model.interpreters[main].id), Some(id));
            }
            (real, model) => assert_eq!(real.map(|_| ()), model.map(|_| ())),
        }
    }

    fn named(&mut self, key: Key, id: InterpreterId) {
        let interpreter = &mut self.model.interpreters[key];
        assert_eq!(id.number(), interpreter.number);
        interpreter.id = Some(id);
    }

    fn finalize(&mut self) {
        let model = self.model.finalize();
        let real = self.rt.finalize(Some(Duration::ZERO));
        let real = real.map(|ledger| (ledger.left_over, ledger.unclean, ledger.main));
        assert_eq!(real, model.map(|ledger| (ledger.left_over, ledger.unclean, ledger.main)));
    }

    fn config(&self, config: Config) -> InterpreterConfig {
        let (isolated, legacy) = (InterpreterConfig::isolated(), InterpreterConfig::legacy());
        let limit = |more: u8| Some(self.model.sizes.footprint + usize::from(more) * 64);
        match config {
            Config::Isolated => isolated.with_pending_calls(CALLS_AT_MOST),
            Config::Legacy => legacy.with_gil(GilChoice::Default),
            Config::SharedGil => isolated.with_gil(GilChoice::Shared),
            Config::Empty => InterpreterConfig::empty(),
            Config::Race => legacy.with_gil(GilChoice::Own),
            Config::Limited(more) => isolated.with_memory_limit(limit(more)),
            Config::LegacyLimited(more) => legacy.with_memory_limit(limit(more)),
            Config::TooSmall => isolated.with_memory_limit(Some(self.model.sizes.footprint - 1)),
            Config::Fuelled(units) => isolated.with_fuel(Some(units.into())),
            Config::Deadline(within) if self.advance.is_some() => {
                legacy.with_deadline(Some(Duration::from_millis(within.into())))
            }
            Config::Deadline(_) => legacy,
        }
    }

    fn create(&mut self, config: Config, guest: bool, foreign: bool) {
        if self.model.listed().count() >= INTERPRETERS {
            return;
        }
        let config = self.config(config);
        let table = guest.then(GuestTable::of::<Toy>);
        let whence = if foreign { Whence::CApi } else { Whence::Stdlib };
        let model = self.model.create(&config, guest, whence);
        match (self.rt.create_as(&config, table, whence), model) {
            (Ok(state), Ok((interpreter, thread))) => {
                self.named(interpreter, state.interpreter());
                self.states.push((thread, Some(state)));
            }
            (real, model) => assert_eq!(real.map(|_| ()), model.map(|_| ())),
        }
    }

    /// Does something with a thread state that is not in use. `f` answers whether a frame was opened.
    fn with_state(
        &mut self,
        number: u8,
        f: impl FnOnce(&mut Self, Key, &mut ThreadState<'scope, H>) -> bool,
    ) {
        let Some(at) = pick(number, self.states.len()) else { return };
        if self.model.frames.len() >= FRAMES {
            return;
        }
        let key = self.states[at].0;
        let Some(mut state) = self.states[at].1.take() else { return };
        if f(self, key, &mut state) {
            self.model.close_frame();
        }
        // Others may have been dropped meanwhile, so it may stand elsewhere.
        let place = self.states.iter_mut().find(|(other, _)| *other == key).expect("it was in use");
        place.1 = Some(state);
    }

    fn ensure(&mut self, number: u8) {
        let Some((key, id)) = self.interpreter(number) else { return };
        if self.model.frames.len() >= FRAMES {
            return;
        }
        let model = self.model.ensure(key);
        let real = self.rt.ensure(id, |cx| self.inside(cx));
        assert_eq!(real, model.map(|_| ()));
        self.ensured(model);
    }

    /// The frame of an ensure is left, with the thread state that was made for it.
    fn ensured(&mut self, model: Result<Option<Key>, AttachError>) {
        if let Ok(made) = model {
            self.model.close_frame();
            if let Some(thread) = made {
                self.model.drop_thread(thread, false);
            }
        }
    }

    fn add_pending(&mut self, number: u8, node: u8) {
        let Some((key, id)) = self.interpreter(number) else { return };
        let Ok(port) = self.rt.interpreter(id).and_then(|handle| handle.port()) else { return };
        let node = usize::from(node) % NODES;
        let real = port.add(self.nodes[node]);
        if self.model.interpreters[key].phase != Phase::Running {
            assert_eq!(real, Err(PendingError::Ended));
        } else if self.model.add_pending(key, node) {
            assert_eq!(real, Ok(()));
        } else {
            assert_eq!(real, Err(PendingError::AlreadyQueued));
        }
    }

    fn visit(&mut self, number: u8) {
        let Some((key, id)) = self.interpreter(number) else { return };
        if self.visitors.len() >= VISITORS || self.model.holds_gil_of(key) {
            return;
        }
        let model = self.model.new_thread(key);
        let names = (key, model.unwrap_or(usize::MAX));
        let visitor = Visitor::start(self.scope, self.rt, id, names, self.witness.clone());
        match (visitor.arrival(), model) {
            (Ok(Ok(())), Ok(_)) => {
                self.model.interpreters[key].visits += 1;
                self.visitors.push(visitor);
            }
            (real, model) => {
                visitor.gone();
                assert_eq!(real.map(|_| ()), model.map(|_| ()));
            }
        }
    }

    fn depart(&mut self, at: usize) {
        let visitor = self.visitors.swap_remove(at);
        let (key, thread) = (visitor.interpreter, visitor.thread);
        let told = self.model.safepoint(thread);
        let (bytes, mut model) = (self.model.sizes.object, Ok(()));
        if told == Err(Interrupt::Finalizing) {
            let cause = AllocCause::Finalizing;
            model = Err(AllocError { domain: Domain::Object, requested: bytes, cause });
        } else {
            let account = &mut self.model.interpreters[key].account;
            model = model.and_then(|()| account.take(Domain::Object, bytes));
            if model.is_ok() {
                account.give(Domain::Object, bytes);
                self.model.settle(key);
            }
        }
        self.model.drop_thread(thread, false);
        self.model.depart(key);
        assert_eq!(visitor.depart(), (told, model));
    }

    /// Operations that lend the token.
    fn lending<'i>(
        &mut self,
        operation: &Operation,
        cx: &mut Attached<'i, H>,
        objects: &mut Stack<'i>,
    ) -> bool {
        match *operation {
            Operation::Enter { thread } => self.with_state(thread, |this, key, state| {
                let model = this.model.enter(key);
                let real = cx.enter(state, |cx| this.inside(cx));
                assert_eq!(real, model);
                if model.is_ok() {
                    this.model.close_frame();
                    this.model.take_back();
                }
                false
            }),
            Operation::Detach { object } => {
                let victim =
                    object.and_then(|object| pick(object, objects.len())).map(|at| objects.swap_remove(at));
                self.model.lend(true);
                cx.detach(|| {
                    if let Some((key, object)) = victim {
                        self.model.drop_reference(key);
                        drop(object);
                    }
                    self.outside();
                });
                self.model.take_back();
            }
            Operation::CallOut => {
                self.model.lend(false);
                cx.call_out(|| self.outside());
                self.model.take_back();
            }
            Operation::Scope { fuel, within } => self.scoped(cx, fuel, within),
            _ => return false,
        }
        true
    }

    fn scoped(&mut self, cx: &mut Attached<'_, H>, fuel: Option<u8>, within: u8) {
        let (_, thread) = self.here();
        if self.model.scopes.len() >= SCOPES || fuel.is_none() && self.advance.is_none() {
            return;
        }
        let units = fuel.map(u64::from);
        self.model.open_scope(thread, units.is_none().then_some(within.into()), units);
        if let Some(units) = units {
            let real = cx.with_fuel(units, |cx| self.inside(cx));
            let (scope, left) = self.model.close_scope();
            assert_eq!((real.left, real.ran_out), (left, scope.ran_out));
        } else {
            let within = Duration::from_millis(within.into());
            let real = cx.with_deadline(within, |cx| self.inside(cx)).expect("it can be told");
            assert_eq!(real.expired, self.model.close_scope().0.passed);
        }
    }

    fn on_objects<'i>(
        &mut self,
        operation: &Operation,
        cx: &mut Attached<'i, H>,
        objects: &mut Stack<'i>,
    ) -> bool {
        let (here, _) = self.here();
        let at = |number: u8| pick(number, objects.len());
        match *operation {
            Operation::Alloc => {
                let model = self.model.alloc(here);
                let key = model.unwrap_or(usize::MAX);
                let real = cx.alloc_plain(Tracked::new(&self.witness, key)).map_err(|(_, error)| error);
                match (real, model) {
                    (Ok(object), Ok(key)) => objects.push((key, object)),
                    (real, model) => assert_eq!(real.map(|_| ()), model.map(|_| ())),
                }
            }
            Operation::Clone { object } => {
                let Some(at) = at(object) else { return true };
                let (key, object) = (objects[at].0, objects[at].1.local(cx).to_owned());
                assert_eq!(object.get(cx).key, key);
                self.model.objects[key].count += 1;
                objects.push((key, object));
            }
            Operation::Drop { object } => {
                let Some(at) = at(object) else { return true };
                let (key, object) = objects.swap_remove(at);
                self.model.drop_reference(key);
                drop(object);
            }
            Operation::Release { object } => {
                let Some(at) = at(object) else { return true };
                let (key, object) = objects.swap_remove(at);
                self.model.release(key);
                object.release(cx);
            }
            Operation::Forget { object } => {
                let Some(at) = at(object) else { return true };
                core::mem::forget(objects.swap_remove(at));
            }
            Operation::Name { object } => {
                let Some(at) = at(object) else { return true };
                let (key, object) = objects.swap_remove(at);
                match (cx.global(object), self.model.name(key, cx.id())) {
                    (Ok(global), Ok(())) => self.globals.push(global),
                    (Err((object, real)), Err(model)) => {
                        assert_eq!(real, model);
                        objects.push((key, object));
                    }
                    (real, model) => assert_eq!(real.map(|_| ()).map_err(|(_, e)| e), model),
                }
            }
            Operation::Read { name } => {
                let Some(name) = pick(name, self.globals.len()) else { return true };
                let model = self.model.find(name, here);
                assert_eq!(cx.local(&self.globals[name]).map(|object| object.get().key), model);
            }
            Operation::Unname { name } => {
                let Some(name) = pick(name, self.globals.len()) else { return true };
                let model = self.model.unname(name, here);
                assert_eq!(cx.release_global(&self.globals[name]), model);
            }
            _ => return false,
        }
        true
    }

    fn on_interpreter(&mut self, operation: &Operation, cx: &mut Attached<'_, H>) -> bool {
        let (here, thread) = self.here();
        let interpreter = &mut self.model.interpreters[here];
        match *operation {
            Operation::Block { domain, size } => {
                let domain = Domain::ALL[usize::from(domain) % 3];
                let layout = Layout::from_size_align(size.into(), 1 << (size % 6)).expect("a layout");
                let model = interpreter.account.take(domain, layout.size());
                let real = cx.allocate(domain, layout);
                assert_eq!(real.map(|_| ()), model);
                if let Ok(start) = real {
                    interpreter.blocks += 1;
                    // SAFETY: the block is fresh and has that many bytes.
                    unsafe { start.write_bytes(size, layout.size()) };
                    self.blocks.push(Block { interpreter: here, domain, start, layout });
                }
            }
            Operation::FreeBlock { block } => {
                let mine: Vec<usize> =
                    (0..self.blocks.len()).filter(|at| self.blocks[*at].interpreter == here).collect();
                let Some(at) = pick(block, mine.len()) else { return true };
                let Block { domain, start, layout, .. } = self.blocks.swap_remove(mine[at]);
                interpreter.blocks -= 1;
                interpreter.account.give(domain, layout.size());
                // SAFETY: the block is live, was written whole, and is this interpreter's with this layout.
                unsafe {
                    let bytes = core::slice::from_raw_parts(start.as_ptr(), layout.size());
                    assert!(bytes.iter().all(|byte| usize::from(*byte) == layout.size()), "overwritten");
                    cx.deallocate(domain, start, layout);
                }
            }
            Operation::Charge { bytes } => {
                let model = interpreter.account.take(Domain::Raw, bytes.into());
                if model.is_ok() {
                    interpreter.charges.push(bytes.into());
                }
                assert_eq!(cx.charge(bytes.into()), model);
            }
            Operation::Discharge { bytes } => {
                let Some(at) = pick(bytes, interpreter.charges.len()) else { return true };
                let bytes = interpreter.charges.swap_remove(at);
                interpreter.account.give(Domain::Raw, bytes);
                assert_eq!(cx.discharge(bytes), Ok(()));
            }
            Operation::Safepoint => {
                let model = self.model.safepoint(thread);
                assert_eq!(cx.safepoint(), model);
            }
            Operation::Spend { units } => {
                let model = self.model.spend(thread, units.into());
                assert_eq!(cx.spend(units.into()), model);
            }
            Operation::Fuel { units } => {
                interpreter.fuel = units.map(u64::from);
                cx.set_fuel(interpreter.fuel);
            }
            Operation::Deadline { within } => {
                if self.advance.is_none() {
                    return true;
                }
                interpreter.deadline = within.map(|within| self.model.now + u64::from(within));
                self.model.forget_deadline(thread);
                let within = within.map(|within| Duration::from_millis(within.into()));
                assert_eq!(cx.set_deadline(within), Ok(()));
            }
            Operation::Exec { program } => {
                let model = if interpreter.running.is_some() {
                    Step::Failed(Fault::Refused(GuestError::AlreadyRunning))
                } else if interpreter.guest {
                    outcome(program)
                } else {
                    Step::Failed(Fault::Refused(GuestError::NoGuest))
                };
                if interpreter.running.is_none() && !model.is_over() {
                    interpreter.running = Some(thread);
                }
                assert_eq!(cx.exec(&[program]), model);
            }
            Operation::Resume => {
                let runs = interpreter.running == Some(thread);
                let model = if runs { RESUMED } else { Step::Failed(Fault::Refused(GuestError::NotRunning)) };
                if runs {
                    interpreter.running = None;
                }
                assert_eq!(cx.resume(), model);
            }
            Operation::Abandon => {
                if interpreter.running == Some(thread) {
                    interpreter.running = None;
                }
                cx.abandon();
            }
            Operation::Data => {
                let model = match (interpreter.guest, self.model.threads[thread].data) {
                    (false, _) => Err(GuestError::NoGuest),
                    (true, Some(data)) => Ok(data + 1),
                    (true, None) => {
                        let taken = interpreter.account.take(Domain::Mem, self.model.sizes.data);
                        taken.map(|()| 1).map_err(GuestError::Alloc)
                    }
                };
                if let Ok(data) = model {
                    self.model.threads[thread].data = Some(data);
                }
                let real = cx.guest::<Toy>().map(|parts| {
                    *parts.thread += 1;
                    *parts.thread
                });
                assert_eq!(real, model);
            }
            _ => return false,
        }
        let interpreter = &self.model.interpreters[here];
        assert_eq!(cx.usage(), interpreter.account.usage);
        assert_eq!(cx.fuel(), self.model.fuel(thread));
        assert_eq!(cx.memory_limits().hard, interpreter.config.memory_limit());
        true
    }

    /// Compares everything that can be seen from outside.
    fn look(&mut self, operation: &Operation) {
        let model = &mut self.model;
        assert_eq!(self.witness.read(), core::mem::take(&mut model.told), "after {operation:?}");
        assert_eq!(self.rt.phase(), model.phase, "after {operation:?}");
        let alive = model.objects.iter().filter(|object| object.is_alive).count();
        assert_eq!(self.witness.values(), alive, "after {operation:?}");

        let listed: Vec<_> = model.listed().filter_map(|key| model.interpreters[key].id).collect();
        assert_eq!(self.rt.count(), Ok(listed.len()));
        let mut names = listed.clone();
        names.reverse();
        assert_eq!(self.rt.list(&mut names), Ok(listed.len()));
        assert_eq!(names, listed);
        assert_eq!(self.rt.main().ok(), listed.first().copied());
        let newest_first: Vec<_> =
            core::iter::successors(self.rt.head().ok(), |id| self.rt.next(*id).unwrap()).collect();
        assert!(newest_first.iter().eq(listed.iter().rev()));

        for (key, interpreter) in model.interpreters.iter().enumerate().rev().take(INTERPRETERS + 3) {
            let Some(id) = interpreter.id else { continue };
            let handle = match self.rt.interpreter(id) {
                Ok(handle) => handle,
                Err(error) => {
                    assert!(!interpreter.is_listed());
                    let same = model.cycle == Some(id.cycle());
                    let expected = if same { LookupError::NotFound } else { LookupError::WrongCycle };
                    assert_eq!(error, expected);
                    continue;
                }
            };
            assert!(interpreter.is_listed(), "{id:?} ended");
            assert_eq!(self.rt.id(id.number()), Ok(id));
            assert_eq!(handle.phase(), Ok(interpreter.phase));
            assert_eq!(handle.whence(), Ok(interpreter.whence));
            assert_eq!(handle.config(), Ok(interpreter.config));
            assert_eq!(handle.is_running(), Ok(interpreter.running.is_some()));
            assert_eq!(handle.usage(), Ok(interpreter.account.usage), "{id:?} after {operation:?}");
            assert_eq!(handle.threads(), Ok(model.thread_count(key)), "{id:?} after {operation:?}");
            let stats = handle.stats().expect("it is listed");
            assert_eq!(stats.activations, model.activations(key));
            assert_eq!((stats.guards, stats.joinable), (interpreter.guards, interpreter.joinable));
            let gil = handle.gil().expect("it is listed");
            assert_eq!((gil.held, gil.waiters), (model.holds_gil_of(key), 0));
        }
    }

    /// Everybody leaves, and the runtime is finalized.
    fn finish(&mut self) {
        self.witness.set_veto(false);
        self.model.veto = false;
        while !self.visitors.is_empty() {
            self.depart(0);
        }
        self.keep_nothing();
        for (key, state) in core::mem::take(&mut self.states) {
            self.model.drop_thread(key, false);
            drop(state);
        }
        self.look(&Operation::Leave);
        // Callbacks may have registered others.
        while matches!(self.model.phase, RuntimePhase::Running | RuntimePhase::Finalizing) {
            self.finalize();
        }
        self.look(&Operation::Finalize);
    }
}
