//! Threads into interpreters (SPEC H3).

use std::{
    sync::{Arc, mpsc},
    thread,
};

use archipelago_kernel::{self as kernel, Attached, InterpreterId, config::Act, error::AttachError};

use crate::{Error, JoinError, OnStd, Runtime, owner::Joined};

/// A thread that runs in an interpreter.
pub struct JoinHandle<R> {
    thread: thread::JoinHandle<Result<R, AttachError>>,
    interpreter: InterpreterId,
}

impl<R> JoinHandle<R> {
    /// Waits for the thread. Where this thread is attached, do it inside `detach`: a thread that wants the GIL this one holds
    /// is waited for in vain. So is one that others are stopped for.
    ///
    /// # Errors
    /// Its panic, or that the interpreter ended before it could attach.
    pub fn join(self) -> Result<R, JoinError> {
        self.thread.join().map_err(|payload| JoinError::Panicked(payload.into()))?.map_err(JoinError::Attach)
    }

    /// Whether it has returned.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// The interpreter it runs in.
    pub fn interpreter(&self) -> InterpreterId {
        self.interpreter
    }
}

impl<H: OnStd> Runtime<H> {
    /// Starts an operating-system thread that attaches to `interpreter` and runs `f`. The end of the interpreter waits for
    /// it, after the shutdown hooks ran: it is not told to stop.
    ///
    /// # Errors
    /// `allow_threads` is off; the interpreter is finalizing or ended; no thread to be had.
    pub fn spawn<R: Send + 'static>(
        &self,
        interpreter: InterpreterId,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R + Send + 'static,
    ) -> Result<JoinHandle<R>, Error> {
        self.spawn_as(interpreter, Act::Thread, f)
    }

    /// As [`spawn`](Self::spawn), for a thread that nobody waits for when the interpreter ends: it is told at its
    /// next attach or safepoint.
    ///
    /// # Errors
    /// As for [`spawn`](Self::spawn); `allow_daemon_threads` is off.
    pub fn spawn_daemon<R: Send + 'static>(
        &self,
        interpreter: InterpreterId,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R + Send + 'static,
    ) -> Result<JoinHandle<R>, Error> {
        self.spawn_as(interpreter, Act::DaemonThread, f)
    }

    fn spawn_as<R: Send + 'static>(
        &self,
        interpreter: InterpreterId,
        act: Act,
        f: impl for<'i> FnOnce(&mut Attached<'i, H>) -> R + Send + 'static,
    ) -> Result<JoinHandle<R>, Error> {
        self.interpreter(interpreter)?.permit(act)?;
        // Not a handle, which would keep the runtime from ending.
        let runtime = Arc::clone(self.kernel());
        let joined = (act != Act::DaemonThread).then(|| self.owner().joined());
        let (told, waits) = mpsc::sync_channel(1);
        let body = move || {
            // Before the ticket, so that it is gone after it.
            let joined = joined;
            joined.iter().for_each(Joined::begin);
            // Before the caller goes on, so that no end that it begins comes first.
            let ticket = match act {
                Act::DaemonThread => Ok(None),
                _ => runtime
                    .interpreter(interpreter)
                    .map_err(kernel::Error::from)
                    .and_then(|interpreter| interpreter.join_ticket().map(Some).map_err(kernel::Error::from)),
            };
            let _ = told.send(ticket.as_ref().map(drop).map_err(|error| *error));
            let _until_here = ticket.ok().flatten();
            // Made on its own thread: a thread state stays on the thread that made it.
            let mut state = runtime.thread_state(interpreter)?;
            state.attach(f)
        };
        let thread = thread::Builder::new().spawn(body)?;
        // It answers before it does anything that could panic.
        if let Ok(Err(error)) = waits.recv() {
            return Err(error.into());
        }
        Ok(JoinHandle { thread, interpreter })
    }
}
