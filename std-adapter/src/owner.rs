//! What the handles to a runtime own together, and how it ends when the last of them goes (SPEC R4, H3).
//!
//! | the last handle goes | what happens |
//! |---|---|
//! | anywhere outside interpreters | this thread waits for the threads that are no daemons, as a process does, and finalizes |
//! | inside an interpreter, or on a thread that would wait for itself | another thread does that, and nobody waits for it |
//! | … and a daemon never looks, or a guard stays | after [`PATIENCE`] the rest is left to whoever has it, and goes with them |

use core::{
    cell::Cell,
    ops::ControlFlow,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::{sync::Arc, thread};

use archipelago_kernel::{self as kernel, error::RuntimeError};

use crate::OnStd;

/// How long an end by itself waits for daemons to look and for guards.
const PATIENCE: Duration = Duration::from_secs(1);

std::thread_local! {
    static IS_JOINED: Cell<bool> = const { Cell::new(false) };
}

/// Held by each thread that an end waits for, from before its ticket is taken until it is given back.
pub(crate) struct Joined(Arc<AtomicUsize>);

impl Drop for Joined {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Joined {
    /// This thread is such a one from now on: an end here could wait for itself.
    pub(crate) fn begin(&self) {
        IS_JOINED.set(true);
    }
}

pub(crate) struct Owner<H: OnStd> {
    kernel: Arc<kernel::Runtime<H>>,
    /// Threads to join.
    joined: Arc<AtomicUsize>,
}

impl<H: OnStd> Owner<H> {
    pub(crate) fn new(kernel: Arc<kernel::Runtime<H>>) -> Self {
        Owner { kernel, joined: Arc::default() }
    }

    pub(crate) fn kernel(&self) -> &Arc<kernel::Runtime<H>> {
        &self.kernel
    }

    /// For a thread that an end has to wait for.
    pub(crate) fn joined(&self) -> Joined {
        self.joined.fetch_add(1, Ordering::Relaxed);
        Joined(Arc::clone(&self.joined))
    }
}

impl<H: OnStd> Drop for Owner<H> {
    fn drop(&mut self) {
        let end = End { kernel: Arc::clone(&self.kernel), joined: Arc::clone(&self.joined) };
        if !IS_JOINED.get() && end.run().is_break() {
            return;
        }
        // Where no thread is to be had, `end` is dropped: then nobody waits for anything.
        let _ = thread::Builder::new().name("archipelago-end".into()).spawn(move || end.run());
    }
}

/// What is left to do for a runtime without handles.
struct End<H: OnStd> {
    kernel: Arc<kernel::Runtime<H>>,
    joined: Arc<AtomicUsize>,
}

impl<H: OnStd> End<H> {
    /// Ends the runtime as far as it goes. `Continue`: not on this thread.
    fn run(&self) -> ControlFlow<()> {
        loop {
            // Without a handle nobody starts another one.
            let waits = self.joined.load(Ordering::Acquire) > 0;
            match self.kernel.finalize(Some(PATIENCE)) {
                Err(RuntimeError::StillRunning) if waits => {}
                Err(RuntimeError::AlreadyAttached | RuntimeError::WouldDeadlock | RuntimeError::Stopped) => {
                    return ControlFlow::Continue(());
                }
                _ => return ControlFlow::Break(()),
            }
        }
    }
}

impl<H: OnStd> Drop for End<H> {
    /// The timer has a share in the kernel's runtime.
    fn drop(&mut self) {
        self.kernel.host().std().timer().stop();
    }
}
