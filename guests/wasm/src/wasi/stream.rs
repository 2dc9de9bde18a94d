//! A file of a program that may have to wait.

use super::{
    errno,
    exchange::{SharedExchange, lock},
};
use crate::{
    descriptor::Descriptor,
    request::{Request, Response, Target},
    sink::Sink,
};
use async_trait::async_trait;
use core::any::Any;
use rustix::fs::FileType as HostType;
use std::{
    io::{IoSlice, IoSliceMut},
    sync::Arc,
};
use wasmi_wasi::wasi_common::{
    Error, ErrorExt, WasiFile,
    file::{FdFlags, FileType},
    snapshots::preview_1::types::Errno,
};

/// Most bytes of one request. It bounds what a request holds outside the program's budget.
const MAX_TRANSFER: usize = 64 << 10;

/// What stands behind a stream.
#[derive(Clone)]
pub(crate) enum End {
    /// A descriptor of the host.
    Descriptor(Arc<Descriptor>),
    /// A sink of the caller.
    Sink(Arc<dyn Sink>),
}

/// A file that hands out its reads and writes as requests.
pub(crate) struct Stream {
    end: End,
    flags: FdFlags,
    exchange: SharedExchange,
}

impl Stream {
    pub(crate) fn new(end: End, exchange: &SharedExchange) -> Self {
        Self { end, flags: FdFlags::empty(), exchange: Arc::clone(exchange) }
    }

    fn waits(&self) -> bool {
        !self.flags.contains(FdFlags::NONBLOCK)
    }

    /// Leaves a request. The errno is never seen: the program is stopped before it could be.
    fn raise<T>(&self, request: Request) -> Result<T, Error> {
        lock(&self.exchange).raise(request);
        Err(Errno::Again.into())
    }
}

#[async_trait]
impl WasiFile for Stream {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn get_filetype(&self) -> Result<FileType, Error> {
        let (target, kind) = match &self.end {
            End::Descriptor(descriptor) => (
                Target::Descriptor(Arc::clone(descriptor)),
                match descriptor.file_type() {
                    HostType::CharacterDevice => FileType::CharacterDevice,
                    HostType::RegularFile => FileType::RegularFile,
                    HostType::BlockDevice => FileType::BlockDevice,
                    HostType::Socket => FileType::SocketStream,
                    _ => FileType::Pipe,
                },
            ),
            End::Sink(_) => (Target::Always, FileType::Pipe),
        };
        lock(&self.exchange).introduce(target);
        Ok(kind)
    }

    fn isatty(&self) -> bool {
        matches!(&self.end, End::Descriptor(descriptor) if descriptor.is_terminal())
    }

    async fn get_fdflags(&self) -> Result<FdFlags, Error> {
        Ok(self.flags)
    }

    async fn set_fdflags(&mut self, flags: FdFlags) -> Result<(), Error> {
        if flags.intersects(FdFlags::DSYNC | FdFlags::SYNC | FdFlags::RSYNC) {
            return Err(Error::not_supported());
        }
        self.flags = flags;
        Ok(())
    }

    async fn read_vectored<'a>(&self, buffers: &mut [IoSliceMut<'a>]) -> Result<u64, Error> {
        let End::Descriptor(from) = &self.end else {
            return Err(Error::badf());
        };
        let answer = lock(&self.exchange).take_answer();
        match answer {
            Some(Response::Read(Ok(bytes))) => {
                let mut rest = &bytes[..];
                for buffer in buffers {
                    let (now, later) = rest.split_at(rest.len().min(buffer.len()));
                    buffer[..now.len()].copy_from_slice(now);
                    rest = later;
                }
                Ok((bytes.len() - rest.len()) as u64)
            }
            Some(Response::Read(Err(error))) => Err(errno(error)),
            _ => {
                let length = buffers.iter().map(|buffer| buffer.len()).sum::<usize>().min(MAX_TRANSFER);
                self.raise(Request::Read { from: Arc::clone(from), length, wait: self.waits() })
            }
        }
    }

    async fn write_vectored<'a>(&self, buffers: &[IoSlice<'a>]) -> Result<u64, Error> {
        let answer = lock(&self.exchange).take_answer();
        match answer {
            Some(Response::Wrote(Ok(count))) => Ok(count as u64),
            Some(Response::Wrote(Err(error))) => Err(errno(error)),
            _ => {
                let mut bytes = Vec::new();
                for buffer in buffers {
                    let room = MAX_TRANSFER - bytes.len();
                    bytes.extend_from_slice(&buffer[..buffer.len().min(room)]);
                }
                self.raise(match &self.end {
                    End::Descriptor(to) => Request::Write { to: Arc::clone(to), bytes, wait: self.waits() },
                    End::Sink(to) => Request::Emit { to: Arc::clone(to), bytes },
                })
            }
        }
    }

    async fn read_vectored_at<'a>(&self, _: &mut [IoSliceMut<'a>], _: u64) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }

    async fn write_vectored_at<'a>(&self, _: &[IoSlice<'a>], _: u64) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }

    async fn seek(&self, _: std::io::SeekFrom) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }

    async fn peek(&self, _: &mut [u8]) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }
}
