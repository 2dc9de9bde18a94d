//! `Runtime`: a kernel runtime on this host, shared by the threads it starts.

use core::ops::Deref;
use std::{io, sync::Arc};

use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{self as kernel, guest::GuestTable, host::RawLock};

use crate::{Error, OnStd, StdHost, owner::Owner};

/// A running runtime. It ends when the last clone is dropped.
///
/// That drop waits for the threads that are no daemons, as the end of a process does; then it finalizes. Daemons are told, and
/// have a second to look; guards that are held have that second too. What is left after it, and where a callback registers others for ever, is left alone: it goes with the
/// last thread that is still inside or the last guard, and is never pulled from under anybody. Who wants another limit, or the ledger,
/// calls [`finalize`](kernel::Runtime::finalize) first. Where the last clone is dropped inside an interpreter, or by one
/// of the threads that are to be waited for, that thread cannot wait; another one does it then, and the drop returns at once.
pub struct Runtime<H: OnStd = StdHost>(Arc<Owner<H>>);

impl<H: OnStd> Clone for Runtime<H> {
    fn clone(&self) -> Self {
        Runtime(Arc::clone(&self.0))
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
    pub fn with_main(guest: Option<&'static GuestTable<StdHost>>) -> Result<Self, Error> {
        Self::on_host(guest)
    }
}

impl<H: OnStd> Runtime<H> {
    /// As [`with_main`](Runtime::with_main), on a host with other heaps, such as a
    /// [`StdHostOf`](crate::StdHostOf) a wrapper.
    ///
    /// # Errors
    /// If the main interpreter cannot be made.
    pub fn on_host(guest: Option<&'static GuestTable<H>>) -> Result<Self, Error> {
        let runtime = Arc::new(kernel::Runtime::new(H::default(), SystemRaw, RawLock::new()));
        let watched = Arc::downgrade(&runtime);
        runtime.host().std().timer().watch(watched);
        let runtime = Runtime(Arc::new(Owner::new(runtime)));
        let _main = runtime.initialize(guest)?;
        Ok(runtime)
    }

    pub(crate) fn kernel(&self) -> &Arc<kernel::Runtime<H>> {
        self.0.kernel()
    }

    pub(crate) fn owner(&self) -> &Owner<H> {
        &self.0
    }

    /// Starts the thread that watches deadlines, which otherwise the first deadline starts: who depends on deadlines
    /// learns here whether they are watched.
    ///
    /// # Errors
    /// No thread is to be had. Deadlines then pass only when somebody calls [`tick`](kernel::Runtime::tick), unless the
    /// thread can be started with a later one.
    pub fn watch_deadlines(&self) -> Result<(), Error> {
        Ok(self.host().std().timer().start()?)
    }

    /// Why no thread watches the deadlines that were set, if none could be started for them. They hold nevertheless,
    /// but pass only when somebody calls [`tick`](kernel::Runtime::tick). Each new deadline tries again.
    pub fn unwatched_deadlines(&self) -> Option<io::ErrorKind> {
        self.host().std().timer().failed()
    }
}

impl<H: OnStd> Deref for Runtime<H> {
    type Target = kernel::Runtime<H>;

    fn deref(&self) -> &Self::Target {
        self.kernel()
    }
}
