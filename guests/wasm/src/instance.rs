//! One program of one interpreter, run in slices.

use crate::{
    budget::{Budget, LimitHit},
    charge::Charge,
    error::{NotBlocked, StartError},
    program::Program,
    request::{Request, Response},
    setup::WasiSetup,
    trap::Trap,
    wasi::{self, Blocked, Exchange, Guest, SharedExchange},
};
use core::{fmt, mem};
use std::sync::{Arc, Mutex, PoisonError};
use wasmi::{
    AsContext, Error, Func, Memory, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, Store,
    TrapCode, Val,
    errors::{ErrorKind, InstantiationError, MemoryError, TableError},
};

/// What a slice came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Slice {
    /// The program ended with this exit code: that of `proc_exit`, or 0 when its entry returned.
    Done(i32),
    /// The fuel is used up; run it again.
    OutOfFuel,
    /// The program waits: serve the request, [`complete`](Instance::complete) it, and run it again.
    Blocked(Arc<Request>),
    /// The program was stopped.
    Trapped(Trap),
}

/// A value that the entry of a program returned.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
    /// A reference, which means nothing outside the program.
    Reference,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I32(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Reference => f.write_str("a reference"),
        }
    }
}

/// A program with memories, tables and files of its own, between two slices or at its end.
///
/// It is `Send`: it may be run on another thread after every slice. Dropping it at any point gives everything back.
pub struct Instance {
    store: Store<Guest>,
    memory: Option<Memory>,
    exchange: SharedExchange,
    state: State,
    /// Calls still to make, last one first.
    calls: Vec<Func>,
    results: Vec<Val>,
    fuel_used: u64,
}

/// Where the program stands.
enum State {
    /// Between two calls.
    Ready,
    /// In the middle of a call.
    Paused(ResumableCallOutOfFuel),
    /// In a function of the host that waits.
    Blocked { call: ResumableCallHostTrap, request: Arc<Request> },
    /// The same, with the answer in the exchange.
    Answered(ResumableCallHostTrap),
    /// At its end, for this reason.
    Ended(Slice),
}

impl Instance {
    /// Gives `program` memories, tables and files. Nothing of it runs before the first slice.
    ///
    /// # Errors
    ///
    /// [`StartError::LimitExceeded`] when its memories and tables do not fit into `budget` bytes,
    /// [`StartError::OutOfSystemMemory`] when they do but the machine has no room for them; other variants when `setup`
    /// cannot be had.
    pub fn new(program: &Program, setup: WasiSetup, budget: usize) -> Result<Self, StartError> {
        let engine = program.engine();
        let exchange = Arc::new(Mutex::new(Exchange::default()));
        let guest = Guest::new(setup.build(&exchange)?, Arc::clone(&exchange), Budget::new(budget));
        let mut store = Store::new(&engine.wasmi, guest);
        store.limiter(|guest| &mut guest.budget);
        // The start section was lifted out, so no code of the program runs here; filling tables costs fuel all the same.
        store.set_fuel(u64::MAX).map_err(|error| start_error(&error))?;
        let instance = engine.linker.instantiate_and_start(&mut store, program.module());
        let instance = match (instance, store.data().budget.hit()) {
            (Ok(instance), _) => instance,
            (Err(_), Some(hit)) => return Err(StartError::LimitExceeded(hit)),
            (Err(error), None) => return Err(start_error(&error)),
        };
        store.data_mut().budget.start();
        let memory = instance.get_memory(&store, "memory");
        let mut calls: Vec<Func> =
            program.calls().filter_map(|name| instance.get_func(&store, name)).collect();
        calls.reverse();
        Ok(Self { store, memory, exchange, state: State::Ready, calls, results: Vec::new(), fuel_used: 0 })
    }

    /// Runs the program for about `fuel` units: one per instruction, one per 64 bytes that an instruction copies. Fuel is
    /// taken for a stretch of code when that begins, so what a branch skips in it counts too.
    ///
    /// A single instruction may need more than `fuel`; it is granted then, so that the program always moves on. A
    /// program that is blocked returns its request again; one that has ended returns its end again.
    pub fn run(&mut self, fuel: u64) -> Slice {
        let mut left = fuel;
        loop {
            let outcome = match mem::replace(&mut self.state, State::Ready) {
                State::Ready => match self.calls.pop() {
                    Some(function) => self.metered(left, |store, results| {
                        results.clear();
                        results.extend(
                            function
                                .ty(store.as_context())
                                .results()
                                .iter()
                                .map(|ty| Val::default_for_ty(*ty)),
                        );
                        function.call_resumable(store, &[], results)
                    }),
                    None => return self.end(Slice::Done(0)),
                },
                State::Paused(call) => {
                    self.metered(left.max(call.required_fuel()), |store, results| call.resume(store, results))
                }
                State::Answered(call) => match self.finish() {
                    Ok(errno) => {
                        self.metered(left, |store, results| call.resume(store, &[Val::I32(errno)], results))
                    }
                    Err(error) if error.downcast_ref::<Blocked>().is_some() => return self.block(call),
                    Err(error) => return self.end(end_of(&error)),
                },
                State::Blocked { call, request } => {
                    self.state = State::Blocked { call, request: Arc::clone(&request) };
                    return Slice::Blocked(request);
                }
                State::Ended(slice) => return self.end(slice),
            };
            match outcome {
                Ok((ResumableCall::Finished, unused)) => left = unused,
                Ok((ResumableCall::OutOfFuel(call), _)) => {
                    self.state = State::Paused(call);
                    return Slice::OutOfFuel;
                }
                Ok((ResumableCall::HostTrap(call), _)) => {
                    return match call.host_error().downcast_ref::<Blocked>() {
                        Some(_) => self.block(call),
                        None => {
                            let end = end_of(call.host_error());
                            self.end(end)
                        }
                    };
                }
                Err(error) => return self.end(end_of(&error)),
            }
        }
    }

    /// Answers the request of the last slice; the program goes on with the next [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`NotBlocked`] when there is no such request, or it is of another kind; nothing changes then.
    pub fn complete(&mut self, response: Response) -> Result<(), NotBlocked> {
        match mem::replace(&mut self.state, State::Ready) {
            State::Blocked { call, request } if response.answers(&request) => {
                self.exchange.lock().unwrap_or_else(PoisonError::into_inner).answer(response);
                self.state = State::Answered(call);
                Ok(())
            }
            state => {
                self.state = state;
                Err(NotBlocked)
            }
        }
    }

    /// The request the program is blocked on.
    pub fn request(&self) -> Option<&Arc<Request>> {
        match &self.state {
            State::Blocked { request, .. } => Some(request),
            _ => None,
        }
    }

    /// Sets how many more bytes of memories and tables the program may get from now on.
    pub fn set_budget(&mut self, available: usize) {
        self.store.data_mut().budget.set_available(available);
    }

    /// Bytes of memories and tables the program has, those of its start included.
    pub fn charged(&self) -> usize {
        self.store.data().budget.charged()
    }

    /// The most [`charged`](Self::charged) has been.
    pub fn peak(&self) -> usize {
        self.store.data().budget.peak()
    }

    /// The same by reason, of those for which anything was ever charged.
    pub fn charges(&self) -> impl Iterator<Item = Charge> + '_ {
        self.store.data().budget.charges()
    }

    /// The last growth that went over the budget since this was asked last. The program saw its growth fail.
    pub fn take_limit_hit(&mut self) -> Option<LimitHit> {
        self.store.data_mut().budget.take_hit()
    }

    /// Units of fuel used so far.
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    /// What the entry returned, once the program is done; nothing for a WASI command.
    pub fn results(&self) -> impl Iterator<Item = Value> + '_ {
        let done = matches!(self.state, State::Ended(Slice::Done(_)));
        self.results.iter().filter(move |_| done).map(|value| match value {
            Val::I32(value) => Value::I32(*value),
            Val::I64(value) => Value::I64(*value),
            Val::F32(value) => Value::F32(value.to_float()),
            Val::F64(value) => Value::F64(value.to_float()),
            _ => Value::Reference,
        })
    }

    /// Calls into the engine with `fuel`, and returns what was not used.
    fn metered(
        &mut self,
        fuel: u64,
        call: impl FnOnce(&mut Store<Guest>, &mut Vec<Val>) -> Result<ResumableCall, Error>,
    ) -> Result<(ResumableCall, u64), Error> {
        self.store.set_fuel(fuel)?;
        let outcome = call(&mut self.store, &mut self.results);
        let unused = self.store.get_fuel()?;
        self.fuel_used = self.fuel_used.saturating_add(fuel - unused);
        outcome.map(|outcome| (outcome, unused))
    }

    /// Runs the blocked function for the second time, with the answer.
    fn finish(&mut self) -> Result<i32, Error> {
        let memory = self.memory.ok_or_else(wasi::no_memory)?;
        let (memory, guest) = memory.data_and_store_mut(&mut self.store);
        let call = guest.blocked.take().ok_or_else(|| Error::new("no function is blocked"))?;
        guest.attempt(call, memory)
    }

    fn block(&mut self, call: ResumableCallHostTrap) -> Slice {
        let request = self.exchange.lock().unwrap_or_else(PoisonError::into_inner).take_request();
        match request {
            Some(request) => {
                let request = Arc::new(request);
                self.state = State::Blocked { call, request: Arc::clone(&request) };
                Slice::Blocked(request)
            }
            None => self.end(Slice::Trapped(Trap::Host("a function blocked without a request".into()))),
        }
    }

    fn end(&mut self, slice: Slice) -> Slice {
        self.calls.clear();
        self.state = State::Ended(slice.clone());
        slice
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Ready => "ready",
            State::Paused(_) => "paused",
            State::Blocked { .. } => "blocked",
            State::Answered(_) => "answered",
            State::Ended(_) => "ended",
        };
        f.debug_struct("Instance")
            .field("state", &state)
            .field("charged", &self.charged())
            .finish_non_exhaustive()
    }
}

/// How an error ends a program.
fn end_of(error: &Error) -> Slice {
    match error.i32_exit_status() {
        Some(code) => Slice::Done(code),
        None => Slice::Trapped(Trap::from_error(error)),
    }
}

/// Why a module could not be instantiated, when its budget is not the reason.
fn start_error(error: &Error) -> StartError {
    match error.kind() {
        ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) => {
            StartError::Trapped(Trap::TableOutOfBounds)
        }
        ErrorKind::Instantiation(
            InstantiationError::FailedToInstantiateMemory(MemoryError::OutOfSystemMemory)
            | InstantiationError::FailedToInstantiateTable(TableError::OutOfSystemMemory),
        )
        | ErrorKind::Memory(MemoryError::OutOfSystemMemory)
        | ErrorKind::Table(TableError::OutOfSystemMemory)
        | ErrorKind::TrapCode(TrapCode::OutOfSystemMemory) => StartError::OutOfSystemMemory,
        kind if kind.as_trap_code().is_some() => StartError::Trapped(Trap::from_error(error)),
        kind => StartError::Engine(kind.to_string()),
    }
}
