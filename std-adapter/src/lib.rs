#![doc = include_str!("../README.md")]

/// The examples of the project's front page, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct FrontPage;

mod clock;
mod error;
#[cfg(unix)]
mod exec;
mod gil;
mod guard;
mod host;
mod owner;
mod park;
mod parking;
pub mod recorder;
mod runtime;
#[cfg(unix)]
mod signals;
mod slot;
mod spawn;
mod timer;

pub use archipelago_alloc_slab::UsualHeap;
pub use archipelago_alloc_system::SystemRaw;
pub use archipelago_kernel as kernel;
pub use archipelago_kernel::{
    InterpreterId,
    config::{GilChoice, InterpreterConfig},
    object::Global,
};

pub use clock::StdClock;
pub use error::{Error, JoinError, Payload};
pub use gil::ParkingGil;
pub use guard::OwnedGuard;
pub use host::{OnStd, StdHost, StdHostOf};
pub use park::StdPark;
pub use recorder::Recorder;
pub use runtime::Runtime;
#[cfg(unix)]
pub use signals::SignalWatch;
pub use slot::ThreadLocalSlot;
pub use spawn::JoinHandle;

/// The token of a thread that holds an interpreter's GIL on this host.
///
/// Parts of a run may have a deadline and fuel of their own, nested:
///
/// ```
/// use archipelago::{InterpreterConfig, Runtime, kernel::error::Interrupt};
/// use std::time::Duration;
///
/// let runtime = Runtime::new().unwrap();
/// let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
/// state.attach(|cx| {
///     let run = cx.with_deadline(Duration::from_millis(1), |cx| loop {
///         if let Err(interrupt) = cx.safepoint() {
///             break interrupt;
///         }
///     }).unwrap();
///     assert_eq!((run.value, run.expired), (Interrupt::Deadline, true));
///     assert_eq!(cx.safepoint(), Ok(()));
///
///     let run = cx.with_fuel(1000, |cx| {
///         let inner = cx.with_fuel(10, |cx| cx.work(11));
///         assert_eq!((inner.value, inner.ran_out), (Err(Interrupt::OutOfFuel), true));
///         cx.work(100)
///     });
///     assert_eq!((run.value, run.left, run.ran_out), (Ok(()), 890, false));
/// }).unwrap();
/// ```
pub type Attached<'i, H = StdHost> = kernel::Attached<'i, H>;
/// A thread state on this host.
pub type ThreadState<'rt, H = StdHost> = kernel::ThreadState<'rt, H>;
/// A handle to an interpreter on this host.
pub type Interpreter<'rt, H = StdHost> = kernel::Interpreter<'rt, H>;
/// Work left for whoever holds an interpreter's GIL on this host.
pub type PendingCall<H = StdHost> = kernel::eval::PendingCall<H>;
/// A way into an interpreter from anywhere, on this host.
pub type Port<'rt, H = StdHost> = kernel::interpreter::Port<'rt, H>;
/// Keeps an interpreter of this host from ending.
pub type Guard<'rt, H = StdHost> = kernel::interpreter::Guard<'rt, H>;
/// A name of an interpreter of this host, which may outlive it.
pub type View<'rt, H = StdHost> = kernel::interpreter::View<'rt, H>;
/// A guest's table of functions on this host.
pub type GuestTable<H = StdHost> = kernel::guest::GuestTable<H>;
