//! `Runtime`: a kernel runtime on this host, shared by the threads it starts.

use core::ops::Deref;
use std::{io, sync::Arc};

use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{self as kernel, host::RawLock};

use crate::{Error, GuestTable, StdHost};

/// A running runtime. It is finalized when the last clone and the last thread it started are gone.
#[derive(Clone)]
pub struct Runtime(Arc<Owner>);

/// Stops the timer before the kernel's runtime goes.
struct Owner(Arc<kernel::Runtime<StdHost>>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.host().timer().stop();
    }
}

impl Runtime {
    /// A runtime whose main interpreter has no guest language.
    ///
    /// # Errors
    /// If the main interpreter cannot be made.
    pub fn new() -> Result<Self, Error> {
        Self::with_main(None)
    }

    /// A runtime whose main interpreter runs `guest`.
    ///
    /// # Errors
    /// If the main interpreter cannot be made.
    pub fn with_main(guest: Option<&'static GuestTable>) -> Result<Self, Error> {
        let runtime = Arc::new(kernel::Runtime::new(StdHost::new(), SystemRaw, RawLock::new()));
        runtime.host().timer().watch(Arc::downgrade(&runtime));
        let runtime = Runtime(Arc::new(Owner(runtime)));
        let _main = runtime.initialize(guest)?;
        Ok(runtime)
    }

    /// Starts the thread that watches deadlines, which otherwise the first deadline starts: who depends on deadlines
    /// learns here whether they are watched.
    ///
    /// # Errors
    /// No thread is to be had. Deadlines then pass only when somebody calls [`tick`](kernel::Runtime::tick), unless the
    /// thread can be started with a later one.
    pub fn watch_deadlines(&self) -> Result<(), Error> {
        Ok(self.host().timer().start()?)
    }

    /// Why no thread watches the deadlines that were set, if none could be started for them. They hold nevertheless,
    /// but pass only when somebody calls [`tick`](kernel::Runtime::tick). Each new deadline tries again.
    pub fn unwatched_deadlines(&self) -> Option<io::ErrorKind> {
        self.host().timer().failed()
    }
}

impl Deref for Runtime {
    type Target = kernel::Runtime<StdHost>;

    fn deref(&self) -> &Self::Target {
        &self.0.0
    }
}
