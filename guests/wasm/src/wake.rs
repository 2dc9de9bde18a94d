//! Ending a wait from another thread.

use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::{Errno, read, write},
};
use std::io;

/// A descriptor that ends the waits of [`serve`](crate::serve()): an eventfd.
///
/// It stays set until it is drained, so a wake that arrives before the wait begins is not lost.
#[derive(Debug)]
pub struct WakeFd(OwnedFd);

impl WakeFd {
    /// A descriptor that is not set.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Sets it: the wait in progress, or else the next one, ends. From any thread, any number of times.
    pub fn wake(&self) {
        // The only failure of an open eventfd is a full counter, and a full counter is set.
        let _full = retry(|| write(&self.0, &1_u64.to_ne_bytes()));
    }

    /// Unsets it. Call it before looking at what the wake was about, so that a later wake is seen.
    pub fn drain(&self) {
        // The only failure is that it was not set.
        let _unset = retry(|| read(&self.0, &mut [0_u8; 8]));
    }
}

impl AsFd for WakeFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Repeats a system call that a signal interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
