//! One stream of the process that several interpreters write to, in blocks that are never mixed.

use core::mem;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use archipelago_guest_wasm::{Descriptor, Stopped, WakeFd};

/// Standard output or standard error, shared.
///
/// Only one block is under way at a time. A writer waits until its own is out; if it is stopped in between, the rest
/// of its block stays here and goes out before anything else, so that no line is torn.
pub struct Stream {
    to: Arc<Descriptor>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The rest of the block that is under way.
    rest: Vec<u8>,
    /// Bytes of `rest` that are out.
    out: usize,
    /// Blocks begun so far.
    begun: u64,
    /// Why the stream cannot be written any more. It stays so: what follows a gap would be torn.
    failed: Option<Cause>,
}

/// An error that can be told more than once.
#[derive(Clone, Copy)]
struct Cause {
    code: Option<i32>,
    kind: io::ErrorKind,
}

impl State {
    fn fail(&mut self, error: &io::Error) -> io::Error {
        self.rest = Vec::new();
        self.out = 0;
        self.failed = Some(Cause { code: error.raw_os_error(), kind: error.kind() });
        self.check().err().unwrap_or_else(|| error.kind().into())
    }

    fn check(&self) -> io::Result<()> {
        match self.failed {
            Some(Cause { code: Some(code), .. }) => Err(io::Error::from_raw_os_error(code)),
            Some(Cause { kind, .. }) => Err(kind.into()),
            None => Ok(()),
        }
    }
}

impl Stream {
    /// A stream onto `to`.
    pub fn new(to: Arc<Descriptor>) -> Self {
        Stream { to, state: Mutex::default() }
    }

    /// Writes `block`, waiting as long as it takes.
    ///
    /// # Errors
    /// [`Stopped::Woken`] if `wake` was set before the first byte of it was taken; it is not written then. Woken later,
    /// the call returns at once, and the rest goes out as soon as anybody writes.
    pub fn put(&self, block: Vec<u8>, wake: &WakeFd) -> Result<(), Stopped> {
        if block.is_empty() {
            return Ok(());
        }
        let mine = loop {
            let mut state = self.state();
            if self.drain(&mut state)? {
                state.rest = block;
                state.begun += 1;
                if self.drain(&mut state)? {
                    return Ok(());
                }
                break state.begun;
            }
            drop(state);
            self.to.await_room(wake)?;
        };
        loop {
            match self.to.await_room(wake) {
                Ok(()) => {}
                Err(Stopped::Woken) => return Ok(()),
                Err(Stopped::Failed(error)) => return Err(Stopped::Failed(self.state().fail(&error))),
            }
            let mut state = self.state();
            if state.begun != mine || self.drain(&mut state)? {
                return Ok(());
            }
        }
    }

    /// Writes what is left of a stopped writer's block, as far as there is room now; how many bytes remain.
    pub fn settle(&self) -> usize {
        let mut state = self.state();
        // An error was told to the writer, or is told to the next one.
        let _failed = self.drain(&mut state);
        state.rest.len() - state.out
    }

    /// Writes the rest as far as there is room; whether nothing is left.
    fn drain(&self, state: &mut State) -> Result<bool, Stopped> {
        state.check().map_err(Stopped::Failed)?;
        while state.out < state.rest.len() {
            match self.to.write_now(&state.rest[state.out..]) {
                Ok(0) => return Ok(false),
                Ok(count) => state.out += count,
                Err(error) => return Err(Stopped::Failed(state.fail(&error))),
            }
        }
        state.out = 0;
        drop(mem::take(&mut state.rest));
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is valid after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
