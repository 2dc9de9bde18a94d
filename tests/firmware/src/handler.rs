//! The interrupt handler, and what it may and may not do.
#![allow(unsafe_code)]

use core::cell::{Cell, RefCell};

use archipelago_kernel::{
    ThreadState,
    config::InterpreterConfig,
    error::{AttachError, CreateError, EndError, LookupError, PendingError, RuntimeError, ThreadError},
    eval::{PendingCall, PendingFailed},
    host::CurrentSlot,
    interpreter::Port,
};
use archipelago_toy_guest::Toy;
use cortex_m_rt::exception;
use critical_section::Mutex;

use crate::{RUNTIME, board::Board, clock::SysTickClock, counter::Counter, slot::StaticSlot};

/// Interpreters that get calls.
pub const PORTS: usize = 2;

/// The global that a call counts in, inside the interpreter.
pub const CALLS: u8 = 7;

/// What the handler did.
pub struct Tally {
    /// It ran so often.
    pub ticks: Counter,
    /// It interrupted a thread that was attached.
    pub while_attached: Counter,
    /// It found the runtime's lock taken by the thread it interrupted.
    pub inside_lock: Counter,
    /// Operations that answered `InInterrupt`.
    pub refused: Counter,
    /// Calls it added, per port.
    pub added: [Counter; PORTS],
    /// Calls that were queued still.
    pub queued_still: Counter,
    /// Calls that ran, per port.
    pub ran: [Counter; PORTS],
}

/// What the handler did.
pub static TALLY: Tally = Tally {
    ticks: Counter::new(),
    while_attached: Counter::new(),
    inside_lock: Counter::new(),
    refused: Counter::new(),
    added: [const { Counter::new() }; PORTS],
    queued_still: Counter::new(),
    ran: [const { Counter::new() }; PORTS],
};

static NODES: [PendingCall<Board>; PORTS] = [PendingCall::new(run_call, 0), PendingCall::new(run_call, 1)];

static OPEN: Mutex<Cell<[Option<Port<'static, Board>>; PORTS]>> = Mutex::new(Cell::new([None; PORTS]));

/// A thread state that only the handler uses.
struct HandlersOwn(ThreadState<'static, Board>);

// SAFETY: a thread state stays on its thread; there is one thread, and the handler runs on it.
unsafe impl Send for HandlersOwn {}

static OWN: Mutex<RefCell<Option<HandlersOwn>>> = Mutex::new(RefCell::new(None));

/// From now on the handler adds calls through `ports`, and tries to attach through `own`.
pub fn open(ports: [Port<'static, Board>; PORTS], own: ThreadState<'static, Board>) {
    critical_section::with(|cs| {
        OPEN.borrow(cs).set(ports.map(Some));
        OWN.borrow(cs).replace(Some(HandlersOwn(own)));
    });
}

/// The handler stops. What it used is given back here, in thread mode.
pub fn close() {
    let own = critical_section::with(|cs| {
        OPEN.borrow(cs).set([None; PORTS]);
        OWN.borrow(cs).take()
    });
    drop(own);
}

/// What the handler leaves for the interpreter behind port `n`.
fn run_call(cx: &mut archipelago_kernel::Attached<'_, Board>, n: usize) -> Result<(), PendingFailed> {
    TALLY.ran.get(n).ok_or(PendingFailed)?.add(1);
    *cx.guest::<Toy>().map_err(|_| PendingFailed)?.state.global_mut(CALLS).ok_or(PendingFailed)? += 1;
    Ok(())
}

#[exception]
fn SysTick() {
    TALLY.ticks.add(1);
    let ports = critical_section::with(|cs| OPEN.borrow(cs).get());
    if ports[0].is_none() {
        return;
    }
    if !StaticSlot::get().is_null() {
        TALLY.while_attached.add(1);
    }
    if SysTickClock::is_inside_lock() {
        TALLY.inside_lock.add(1);
    }
    for (n, port) in ports.iter().enumerate() {
        match port.map(|port| port.add(&NODES[n])) {
            Some(Ok(())) => drop(TALLY.added[n].add(1)),
            Some(Err(PendingError::AlreadyQueued)) => drop(TALLY.queued_still.add(1)),
            _ => {}
        }
    }
    #[cfg(feature = "control-lost-call")]
    if TALLY.ticks.get() == 20 {
        TALLY.added[0].add(1);
    }
    try_what_is_refused();
}

/// Everything that could block or take memory.
fn try_what_is_refused() {
    let attached = critical_section::with(|cs| {
        let mut own = OWN.borrow_ref_mut(cs);
        own.as_mut().map(|HandlersOwn(state)| (state.interpreter(), state.attach(|_| ())))
    });
    let Some((id, attached)) = attached else { return };
    let config = InterpreterConfig::isolated();
    // One after the other: what is not refused could wait for the thread that is interrupted.
    refused(attached == Err(AttachError::InInterrupt));
    refused(RUNTIME.ensure(id, |_| ()) == Err(AttachError::InInterrupt));
    refused(RUNTIME.thread_state(id).err() == Some(ThreadError::InInterrupt));
    refused(RUNTIME.create(&config, None).err() == Some(CreateError::InInterrupt));
    refused(RUNTIME.interpreter(id).err() == Some(LookupError::InInterrupt));
    refused(RUNTIME.end(id, None).err() == Some(EndError::InInterrupt));
    refused(RUNTIME.initialize(None).err() == Some(RuntimeError::InInterrupt));
    refused(RUNTIME.finalize(None).err() == Some(RuntimeError::InInterrupt));
}

fn refused(refused: bool) {
    assert!(refused, "a handler is answered InInterrupt");
    TALLY.refused.add(1);
}
