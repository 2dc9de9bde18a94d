//! Where the output of a program may go besides a descriptor.

use crate::{
    descriptor::{Descriptor, Stopped},
    wake::WakeFd,
};
use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

/// Takes the output of a program. It is called outside the engine, while the interpreter is detached.
pub trait Sink: Send + Sync {
    /// Takes some of `bytes` and returns how many. A sink that waits ends its wait when `wake` is set.
    ///
    /// # Errors
    ///
    /// [`Stopped::Woken`] when nothing was taken before the wake; [`Stopped::Failed`] is what the program sees as the
    /// error of its write, for example a closed pipe.
    fn write(&self, bytes: &[u8], wake: &WakeFd) -> Result<usize, Stopped>;
}

impl Sink for Descriptor {
    fn write(&self, bytes: &[u8], wake: &WakeFd) -> Result<usize, Stopped> {
        Self::write(self, bytes, wake)
    }
}

/// A sink on a writer that does not block, such as a `Vec<u8>` or a file.
#[derive(Debug, Default)]
pub struct WriterSink<W>(Mutex<W>);

impl<W> WriterSink<W> {
    /// A sink that passes everything to `writer`.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }

    /// Looks at the writer, for example at what was collected so far.
    pub fn with<R>(&self, look: impl FnOnce(&mut W) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<W: Write + Send> Sink for WriterSink<W> {
    fn write(&self, bytes: &[u8], _: &WakeFd) -> Result<usize, Stopped> {
        self.with(|writer| writer.write(bytes)).map_err(Stopped::Failed)
    }
}
