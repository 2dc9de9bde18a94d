//! The guest: a WebAssembly program as the language of an interpreter (SPEC P3).
//!
//! The engine knows nothing of the kernel. The loop here owns the token: it grants fuel in slices, ends each in a
//! safepoint, settles the account, and serves what the program waits for while it is detached.

use core::time::Duration;
use std::{io, sync::Arc, time::Instant as Clock};

use archipelago_kernel::{
    Attached, Host,
    error::GuestError,
    guest::{Fault, Guest, Plain, Step, Value, Waiting},
    host::Wake,
    memory::AllocError,
};

use crate::{
    Engine, Instance, LimitHit, LoadError, Program, Request, Response, Slice, StartError, Trap, WakeFd,
    WasiSetup, serve,
};

/// How long a slice should last: the GIL can be had by others, and the program ended, this often.
const SLICE: Duration = Duration::from_micros(100);
const FIRST_SLICE: u64 = 20_000;
const LEAST_SLICE: u64 = 1_000;
const LARGEST_SLICE: u64 = 10_000_000;

/// The language of WebAssembly programs, for any host of the kernel on `std`.
#[derive(Debug, Clone, Copy)]
pub struct Wasm;

/// How a run shares its native stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// The run keeps the stack until it is over; the GIL goes to others at safepoints and in waits.
    #[default]
    OwnStack,
    /// The run yields after every slice and before every wait, so that one stack can run many interpreters in turn.
    Turns,
}

/// How a program ended, in full; the kernel's [`Step`] carries the short form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It ended itself with this exit code.
    Exited(i32),
    /// It was stopped.
    Trapped(Trap),
}

/// The state of one interpreter.
#[derive(Debug, Default)]
pub struct WasmState {
    instance: Option<Instance>,
    charged: usize,
    slice: u64,
    sharing: Sharing,
    ending: Option<Ending>,
    limit_hit: Option<LimitHit>,
    output_error: Option<io::Error>,
}

impl WasmState {
    /// The program, once loaded.
    pub fn instance(&self) -> Option<&Instance> {
        self.instance.as_ref()
    }

    /// How the program ended, once it did.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// The last growth that the memory limit refused. The program saw its growth fail.
    pub fn limit_hit(&self) -> Option<LimitHit> {
        self.limit_hit
    }

    /// Takes the last error of a write to a standard stream. The program saw its write fail.
    pub fn take_output_error(&mut self) -> Option<io::Error> {
        self.output_error.take()
    }

    /// Keeps a copy of what the program is about to see.
    fn note(&mut self, response: &Response) {
        if let Response::Wrote(Err(error)) = response
            && error.kind() != io::ErrorKind::WouldBlock
        {
            self.output_error = Some(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => error.kind().into(),
            });
        }
    }

    /// Sets how runs share their native stack.
    pub fn set_sharing(&mut self, sharing: Sharing) {
        self.sharing = sharing;
    }
}

/// The data of one thread state: what wakes it.
#[derive(Debug)]
pub struct WasmThread {
    wake: Arc<WakeFd>,
}

impl Wake for WakeFd {
    fn wake(&self) {
        WakeFd::wake(self);
    }
}

/// Why a program was not loaded into an interpreter.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// The kernel refused access to the guest's state.
    Guest(GuestError),
    /// The source is no program.
    Load(LoadError),
    /// The program could not be started.
    Start(StartError),
    /// Its memories and tables do not fit the interpreter's limit.
    Limit(AllocError),
}

impl core::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SpawnError::Guest(error) => error.fmt(f),
            SpawnError::Load(error) => error.fmt(f),
            SpawnError::Start(error) => error.fmt(f),
            SpawnError::Limit(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SpawnError {}

impl Wasm {
    /// Gives the interpreter a program. A program that was there is gone.
    ///
    /// # Errors
    /// Why it could not be loaded; its memories and tables count against the interpreter's limit from here on.
    pub fn load<H: Host>(
        cx: &mut Attached<'_, H>,
        program: &Program,
        setup: WasiSetup,
    ) -> Result<(), SpawnError> {
        // First, so that nothing is charged where the thread's data cannot be had.
        cx.guest::<Wasm>().map_err(SpawnError::Guest)?;
        Self::unload(cx);
        let instance = Instance::new(program, setup, cx.available()).map_err(SpawnError::Start)?;
        let charged = instance.charged();
        cx.charge(charged).map_err(SpawnError::Limit)?;
        let parts = cx.guest::<Wasm>().map_err(SpawnError::Guest)?;
        let sharing = parts.state.sharing;
        *parts.state = WasmState {
            instance: Some(instance),
            charged,
            slice: FIRST_SLICE,
            sharing,
            ..WasmState::default()
        };
        Ok(())
    }

    /// Takes the interpreter's program away and its charge back.
    pub fn unload<H: Host>(cx: &mut Attached<'_, H>) {
        let Ok(parts) = cx.guest::<Wasm>() else { return };
        if parts.state.instance.take().is_some() {
            let charged = core::mem::take(&mut parts.state.charged);
            // It fails where the host took the charge back itself: then there is nothing left to do.
            let _ = cx.discharge(charged);
        }
    }

    /// Runs the program until it is over, or until a turn ends.
    fn drive<H: Host>(cx: &mut Attached<'_, H>) -> Step {
        loop {
            if let Err(interrupt) = cx.safepoint() {
                return Step::Failed(interrupt.into());
            }
            let step = match Self::slice(cx) {
                Ok(Slice::OutOfFuel) => Self::turn(cx, Step::Yielded),
                Ok(Slice::Blocked(request)) => match Self::turn(cx, Step::Waiting(Waiting::Event)) {
                    Some(step) => Some(step),
                    None => Self::serve(cx, &request).err().map(Step::Failed),
                },
                Ok(Slice::Done(code)) => Some(Self::over(cx, Ending::Exited(code))),
                Ok(Slice::Trapped(trap)) => Some(Self::over(cx, Ending::Trapped(trap))),
                Err(fault) => Some(Step::Failed(fault)),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// The end of a turn, if runs take turns.
    fn turn<H: Host>(cx: &mut Attached<'_, H>, step: Step) -> Option<Step> {
        let sharing = cx.guest_state::<Wasm>().map(|state| state.sharing).unwrap_or_default();
        (sharing == Sharing::Turns).then_some(step)
    }

    /// One slice: fuel within the interpreter's, memory within its limit, both settled afterwards.
    fn slice<H: Host>(cx: &mut Attached<'_, H>) -> Result<Slice, Fault> {
        let (available, left) = (cx.available(), cx.fuel());
        if left == Some(0) {
            cx.spend(1)?;
        }
        let state = cx.guest::<Wasm>()?.state;
        let (old, grant) = (state.charged, state.slice.min(left.unwrap_or(u64::MAX)));
        let instance = state.instance.as_mut().ok_or(GuestError::NotRunning)?;
        instance.set_budget(available);
        let (used, start) = (instance.fuel_used(), Clock::now());
        let slice = instance.run(grant);
        let spent = instance.fuel_used() - used;
        if let Slice::OutOfFuel = slice
            && grant == state.slice
        {
            state.slice = next_slice(grant, start.elapsed());
        }
        let charged = instance.charged();
        state.limit_hit = instance.take_limit_hit().or(state.limit_hit);
        cx.recharge(old, charged)?;
        cx.guest::<Wasm>()?.state.charged = charged;
        cx.spend(spent)?;
        Ok(slice)
    }

    /// Serves what the program waits for, detached, so that the interpreter's other threads run meanwhile and the wait
    /// can be ended.
    fn serve<H: Host>(cx: &mut Attached<'_, H>, request: &Request) -> Result<(), Fault> {
        let wake = Arc::clone(&cx.guest::<Wasm>()?.thread.wake);
        loop {
            wake.drain();
            if let Some(response) = cx.wait(&*wake, || serve(request, &wake))? {
                let state = cx.guest::<Wasm>()?.state;
                state.note(&response);
                // Another thread state may have unloaded the program meanwhile.
                return match state.instance.as_mut().map(|instance| instance.complete(response)) {
                    Some(Ok(())) => Ok(()),
                    _ => Err(GuestError::NotRunning.into()),
                };
            }
            cx.safepoint()?;
        }
    }

    fn over<H: Host>(cx: &mut Attached<'_, H>, ending: Ending) -> Step {
        let step = match &ending {
            Ending::Exited(code) => Step::Done(Value::Int((*code).into())),
            Ending::Trapped(_) => Step::Failed(Fault::Raised(0)),
        };
        match cx.guest::<Wasm>() {
            Ok(parts) => {
                parts.state.ending = Some(ending);
                step
            }
            Err(error) => Step::Failed(error.into()),
        }
    }
}

/// The fuel that would have lasted a slice's time, at most double or half of what was granted.
fn next_slice(grant: u64, took: Duration) -> u64 {
    let took = took.as_nanos().max(1);
    let wanted = u128::from(grant) * SLICE.as_nanos() / took;
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    wanted.clamp(grant / 2, grant.saturating_mul(2)).clamp(LEAST_SLICE, LARGEST_SLICE)
}

impl<H: Host> Guest<H> for Wasm {
    type State = Plain<WasmState>;
    type Thread = Plain<WasmThread>;

    fn start(_: &mut Attached<'_, H>) -> Result<WasmState, GuestError> {
        Ok(WasmState { slice: FIRST_SLICE, ..WasmState::default() })
    }

    fn start_thread(_: &mut Attached<'_, H>) -> Result<WasmThread, GuestError> {
        let wake = WakeFd::new().map_err(|_: io::Error| GuestError::StartFailed)?;
        Ok(WasmThread { wake: Arc::new(wake) })
    }

    /// Runs the program that was loaded; with a source, which is a module in binary or text form, loads that first,
    /// without arguments, files or streams.
    fn exec(cx: &mut Attached<'_, H>, source: &[u8]) -> Step {
        if !source.is_empty() {
            let loaded = Program::load(&Engine::new(), "main", source)
                .map_err(SpawnError::Load)
                .and_then(|program| Self::load(cx, &program, WasiSetup::new()));
            match loaded {
                Ok(()) => {}
                Err(SpawnError::Limit(error)) => return Step::Failed(error.into()),
                Err(SpawnError::Guest(error)) => return Step::Failed(error.into()),
                Err(SpawnError::Load(_) | SpawnError::Start(_)) => {
                    return Step::Failed(Fault::Refused(GuestError::StartFailed));
                }
            }
        }
        Self::drive(cx)
    }

    fn resume(cx: &mut Attached<'_, H>) -> Step {
        let request = match cx.guest::<Wasm>() {
            Ok(parts) => parts.state.instance.as_ref().and_then(|instance| instance.request().cloned()),
            Err(error) => return Step::Failed(error.into()),
        };
        match request.map(|request| Self::serve(cx, &request)) {
            Some(Err(fault)) => Step::Failed(fault),
            Some(Ok(())) | None => Self::drive(cx),
        }
    }

    fn end(cx: &mut Attached<'_, H>) {
        Self::unload(cx);
    }
}
