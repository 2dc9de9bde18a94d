//! Errors of the adapter.

use core::{any::Any, fmt};
use std::{
    io,
    sync::{Mutex, PoisonError},
};

use archipelago_kernel::error as kernel;

/// Any error of the adapter or of the kernel below it.
#[non_exhaustive]
#[derive(Debug)]
pub enum Error {
    /// The kernel's.
    Kernel(kernel::Error),
    /// A thread ended without a result.
    Join(JoinError),
    /// The operating system's.
    Io(io::Error),
}

/// What a thread panicked with. `Sync`, for there is no way to it but by value.
pub struct Payload(Mutex<Box<dyn Any + Send>>);

impl Payload {
    /// The value, as [`std::panic::resume_unwind`] wants it.
    pub fn into_inner(self) -> Box<dyn Any + Send> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Box<dyn Any + Send>> for Payload {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        Payload(Mutex::new(payload))
    }
}

/// Why a joined thread has no result.
#[non_exhaustive]
pub enum JoinError {
    /// It panicked; this is the payload.
    Panicked(Payload),
    /// It could not attach: its interpreter was ending or gone.
    Attach(kernel::AttachError),
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(_) => f.write_str("join: the thread panicked: see its message"),
            JoinError::Attach(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for JoinError {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Kernel(error) => fmt::Display::fmt(error, f),
            Error::Join(error) => fmt::Display::fmt(error, f),
            Error::Io(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for Error {}

macro_rules! from_kernel {
    ($($error:ident),+ $(,)?) => {
        $(impl From<kernel::$error> for Error {
            fn from(error: kernel::$error) -> Self {
                Error::Kernel(error.into())
            }
        })+
    };
}

from_kernel! {
    Error, ConfigError, RuntimeError, CreateError, ThreadError, AttachError, EndError, StopError, ResetError, GuardError, LookupError, Interrupt,
    Refusal, GuestError, PendingError, SignalError, HandleError, DeadlineError,
}

impl From<archipelago_kernel::memory::AllocError> for Error {
    fn from(error: archipelago_kernel::memory::AllocError) -> Self {
        Error::Kernel(error.into())
    }
}

/// What could not be stored is dropped.
impl<T> From<(T, archipelago_kernel::memory::AllocError)> for Error {
    fn from((_, error): (T, archipelago_kernel::memory::AllocError)) -> Self {
        error.into()
    }
}

impl From<archipelago_kernel::memory::LimitError> for Error {
    fn from(error: archipelago_kernel::memory::LimitError) -> Self {
        Error::Kernel(error.into())
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        Error::Join(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}
