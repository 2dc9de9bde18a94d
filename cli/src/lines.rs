//! The output of one of several interpreters: whole lines, each with the interpreter's number.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use archipelago_guest_wasm::{Sink, Stopped, WakeFd};

use crate::stream::Stream;

/// A line longer than this is broken, so that a program cannot fill the memory outside its limit.
const LONGEST_LINE: usize = 1 << 20;

/// Collects the line that a program has not ended yet and passes complete ones on.
pub struct Lines {
    to: Arc<Stream>,
    prefix: String,
    partial: Mutex<Vec<u8>>,
}

impl Lines {
    /// Lines of interpreter `number`.
    pub fn new(to: Arc<Stream>, number: usize) -> Self {
        Lines { to, prefix: format!("[{number}] "), partial: Mutex::default() }
    }

    /// Whether the program ended its last line.
    pub fn is_empty(&self) -> bool {
        self.partial().is_empty()
    }

    /// Ends the line that the program did not end, and writes it. If `wake` is set before there is room, it stays.
    ///
    /// # Errors
    /// What the operating system says; the line is gone then.
    pub fn finish(&self, wake: &WakeFd) -> io::Result<()> {
        let mut partial = self.partial();
        if partial.is_empty() {
            return Ok(());
        }
        match self.to.put(self.block(&partial, b"\n"), wake) {
            Err(Stopped::Woken) => Ok(()),
            Err(Stopped::Failed(error)) => {
                partial.clear();
                Err(error)
            }
            Ok(()) => {
                partial.clear();
                Ok(())
            }
        }
    }

    /// Gives up what was not written: so many bytes.
    pub fn discard(&self) -> usize {
        core::mem::take(&mut *self.partial()).len()
    }

    /// The partial line and the complete lines of `more`, each with its prefix.
    fn block(&self, partial: &[u8], more: &[u8]) -> Vec<u8> {
        let lines = more.iter().filter(|byte| **byte == b'\n').count();
        let mut block = Vec::with_capacity(partial.len() + more.len() + lines * self.prefix.len());
        for (index, line) in more.split_inclusive(|byte| *byte == b'\n').enumerate() {
            block.extend_from_slice(self.prefix.as_bytes());
            if index == 0 {
                block.extend_from_slice(partial);
            }
            block.extend_from_slice(line);
        }
        block
    }

    fn partial(&self) -> MutexGuard<'_, Vec<u8>> {
        // The buffer is valid after every statement, so a panic elsewhere does not spoil it.
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Lines {
    fn write(&self, bytes: &[u8], wake: &WakeFd) -> Result<usize, Stopped> {
        let mut partial = self.partial();
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let (lines, open) = bytes.split_at(complete);
        if !lines.is_empty() {
            self.to.put(self.block(&partial, lines), wake)?;
            *partial = open.to_vec();
        } else if partial.len() + open.len() > LONGEST_LINE {
            self.to.put(self.block(&partial, b"\n"), wake)?;
            *partial = open.to_vec();
        } else {
            partial.extend_from_slice(open);
        }
        Ok(bytes.len())
    }
}
