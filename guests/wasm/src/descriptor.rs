//! A descriptor of the host that a program reads or writes without ever blocking where it cannot be woken.

use crate::wake::{WakeFd, retry};
use core::fmt;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open},
    io::{Errno, fcntl_dupfd_cloexec, read, write},
    net::{RecvFlags, SendFlags, recv, send},
};
use std::{
    io::{self, IsTerminal},
    os::fd::AsRawFd,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// After `POLLOUT` a pipe takes this many bytes without blocking (`PIPE_BUF` of Linux).
const PIPE_BUF: usize = 4096;

/// Why a read or a write came to nothing.
#[derive(Debug)]
pub enum Stopped {
    /// The [`WakeFd`] was set before anything was transferred.
    Woken,
    /// The operating system refused; a closed pipe is [`io::ErrorKind::BrokenPipe`].
    Failed(io::Error),
}

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Self {
        Self::Failed(error.into())
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Woken => f.write_str("the wait was ended by its wake descriptor"),
            Self::Failed(error) => write!(f, "the transfer failed: {error}"),
        }
    }
}

impl core::error::Error for Stopped {}

/// How a transfer is kept from blocking.
#[derive(Debug)]
enum Way {
    /// The descriptor has `O_NONBLOCK`, either from the start or because it was opened anew for this purpose.
    NonBlocking,
    /// Each call says that it must not block.
    Socket,
    /// Regular files and block devices do not wait for anybody.
    File,
    /// Descriptors that cannot be opened anew: asked with `poll` first, then used in pieces that fit, one thread at a
    /// time. Another process that shares the descriptor can still come in between.
    Asked(Mutex<()>),
}

/// A descriptor of the host that a program reads or writes.
///
/// A standard stream may be shared with other processes, so `O_NONBLOCK` must not be set on it. Pipes and terminals are
/// opened anew through `/proc/self/fd` instead: that gives a description of our own, which can have the flag.
#[derive(Debug)]
pub struct Descriptor {
    fd: OwnedFd,
    way: Way,
    terminal: bool,
    file_type: FileType,
}

impl Descriptor {
    /// Takes a descriptor for a program to use.
    ///
    /// # Errors
    ///
    /// When the descriptor is not open, or the process has none left.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let file_type = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        let terminal = file_type == FileType::CharacterDevice && fd.is_terminal();
        let flags = fcntl_getfl(&fd)?;
        let (fd, way) = match file_type {
            FileType::RegularFile | FileType::BlockDevice | FileType::Directory => (fd, Way::File),
            FileType::Socket => (fd, Way::Socket),
            _ if flags.contains(OFlags::NONBLOCK) => (fd, Way::NonBlocking),
            FileType::Fifo => own_description(fd, flags),
            _ if terminal => own_description(fd, flags),
            _ => (fd, Way::Asked(Mutex::new(()))),
        };
        Ok(Self { fd, way, terminal, file_type })
    }

    /// The standard input of the process, shared by all who ask.
    ///
    /// # Errors
    ///
    /// Those of [`Descriptor::new`].
    pub fn stdin() -> io::Result<Arc<Self>> {
        static STDIN: OnceLock<Arc<Descriptor>> = OnceLock::new();
        Self::standard(&STDIN, io::stdin().as_fd())
    }

    /// The standard output of the process, shared by all who ask.
    ///
    /// # Errors
    ///
    /// Those of [`Descriptor::new`].
    pub fn stdout() -> io::Result<Arc<Self>> {
        static STDOUT: OnceLock<Arc<Descriptor>> = OnceLock::new();
        Self::standard(&STDOUT, io::stdout().as_fd())
    }

    /// The standard error of the process, shared by all who ask.
    ///
    /// # Errors
    ///
    /// Those of [`Descriptor::new`].
    pub fn stderr() -> io::Result<Arc<Self>> {
        static STDERR: OnceLock<Arc<Descriptor>> = OnceLock::new();
        Self::standard(&STDERR, io::stderr().as_fd())
    }

    fn standard(slot: &OnceLock<Arc<Self>>, fd: BorrowedFd<'_>) -> io::Result<Arc<Self>> {
        if let Some(descriptor) = slot.get() {
            return Ok(Arc::clone(descriptor));
        }
        let made = Arc::new(Self::new(fcntl_dupfd_cloexec(fd, 3)?)?);
        Ok(Arc::clone(slot.get_or_init(|| made)))
    }

    /// Reads up to `length` bytes, waiting for the first; an empty result is the end of the input.
    ///
    /// # Errors
    ///
    /// [`Stopped::Woken`] while there was nothing to read, or what the operating system says.
    pub fn read(&self, length: usize, wake: &WakeFd) -> Result<Vec<u8>, Stopped> {
        self.transfer(PollFlags::IN, wake, || self.try_read(length))
    }

    /// Writes some of `bytes`, waiting for room, and returns how many were taken.
    ///
    /// # Errors
    ///
    /// [`Stopped::Woken`] while there was no room, or what the operating system says.
    pub fn write(&self, bytes: &[u8], wake: &WakeFd) -> Result<usize, Stopped> {
        self.transfer(PollFlags::OUT, wake, || self.try_write(bytes))
    }

    /// Writes what there is room for now, and returns how many bytes that was.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.try_write(bytes) {
            Err(Errno::AGAIN) => Ok(0),
            // No room is an error of its own, so a device that takes nothing would be asked for ever.
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            result => Ok(result?),
        }
    }

    /// Waits until there may be room for [`write_now`](Self::write_now).
    ///
    /// # Errors
    ///
    /// [`Stopped::Woken`], or what the operating system says.
    pub fn await_room(&self, wake: &WakeFd) -> Result<(), Stopped> {
        self.await_ready(PollFlags::OUT, wake)
    }

    /// Reads without waiting; [`Errno::AGAIN`] when there is nothing.
    pub(crate) fn try_read(&self, length: usize) -> rustix::io::Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let count = match &self.way {
            Way::NonBlocking | Way::File => retry(|| read(&self.fd, &mut buffer[..]))?,
            Way::Socket => retry(|| recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT))?.0,
            Way::Asked(turn) => {
                let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                self.ask(PollFlags::IN)?;
                retry(|| read(&self.fd, &mut buffer[..]))?
            }
        };
        buffer.truncate(count);
        Ok(buffer)
    }

    /// Writes without waiting; [`Errno::AGAIN`] when there is no room.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        match &self.way {
            Way::NonBlocking | Way::File => retry(|| write(&self.fd, bytes)),
            Way::Socket => retry(|| send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)),
            Way::Asked(turn) => {
                let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                self.ask(PollFlags::OUT)?;
                retry(|| write(&self.fd, &bytes[..bytes.len().min(PIPE_BUF)]))
            }
        }
    }

    /// True for a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// What kind of file this is.
    pub(crate) fn file_type(&self) -> FileType {
        self.file_type
    }

    fn ask(&self, interest: PollFlags) -> rustix::io::Result<()> {
        let mut fds = [PollFd::new(&self.fd, interest)];
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        match retry(|| poll(&mut fds, Some(&none)))? {
            0 => Err(Errno::AGAIN),
            _ => Ok(()),
        }
    }

    fn transfer<T>(
        &self,
        interest: PollFlags,
        wake: &WakeFd,
        mut attempt: impl FnMut() -> rustix::io::Result<T>,
    ) -> Result<T, Stopped> {
        loop {
            match attempt() {
                Err(Errno::AGAIN) => {}
                result => return Ok(result?),
            }
            self.await_ready(interest, wake)?;
        }
    }

    fn await_ready(&self, interest: PollFlags, wake: &WakeFd) -> Result<(), Stopped> {
        let mut fds = [PollFd::new(&self.fd, interest), PollFd::new(wake, PollFlags::IN)];
        retry(|| poll(&mut fds, None))?;
        if fds[1].revents().is_empty() { Ok(()) } else { Err(Stopped::Woken) }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens the pipe or terminal behind `fd` a second time, without blocking, leaving the first description as it was.
fn own_description(fd: OwnedFd, flags: OFlags) -> (OwnedFd, Way) {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = (flags & OFlags::RWMODE) | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match open(path, flags, Mode::empty()) {
        Ok(own) => (own, Way::NonBlocking),
        // No /proc, no permission, or a pipe whose other end is gone.
        Err(_) => (fd, Way::Asked(Mutex::new(()))),
    }
}
