//! What a blocked program waits for, and the answer.

use crate::{descriptor::Descriptor, sink::Sink};
use core::fmt;
use std::{
    io,
    sync::Arc,
    time::{Instant, SystemTime},
};

/// What a program asked for and could not be given inside the engine. It owns all it needs.
///
/// Serve it with [`serve`](crate::serve()), or by other means, and give the answer to
/// [`Instance::complete`](crate::Instance::complete).
#[non_exhaustive]
pub enum Request {
    /// Read from a descriptor.
    Read {
        /// Where from.
        from: Arc<Descriptor>,
        /// Most bytes wanted.
        length: usize,
        /// False where the program asked not to wait.
        wait: bool,
    },
    /// Write to a descriptor.
    Write {
        /// Where to.
        to: Arc<Descriptor>,
        /// What; some of it may be taken.
        bytes: Vec<u8>,
        /// False where the program asked not to wait.
        wait: bool,
    },
    /// Write to a sink of the caller.
    Emit {
        /// Where to.
        to: Arc<dyn Sink>,
        /// What; some of it may be taken.
        bytes: Vec<u8>,
    },
    /// Wait until one of these is due.
    Poll(Vec<Subscription>),
    /// Let others run.
    Yield,
}

/// One thing a `poll_oneoff` waits for.
#[derive(Clone, Debug)]
pub enum Subscription {
    /// The monotonic clock reaches this; `None` is further away than the clock counts.
    Monotonic(Option<Instant>),
    /// The wall clock reaches this, also when it is set.
    Realtime(SystemTime),
    /// A file is ready.
    Ready(Target, Interest),
}

/// What is to become ready.
#[derive(Clone, Debug)]
pub enum Target {
    /// A descriptor that may have to wait.
    Descriptor(Arc<Descriptor>),
    /// A regular file, or a sink: always ready.
    Always,
    /// No file of the program: ready at once, with an error.
    Unknown,
}

/// Which way a file is to become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// For reading.
    Read,
    /// For writing.
    Write,
}

/// The answer to one [`Subscription`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Bytes that can be read without waiting, where known.
    pub bytes: u64,
    /// The other end is closed.
    pub hangup: bool,
    /// The file does not exist.
    pub unknown: bool,
    /// The file is in an error state.
    pub failed: bool,
}

/// The answer to a [`Request`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Response {
    /// To [`Request::Read`]: the bytes; none is the end of the input.
    Read(io::Result<Vec<u8>>),
    /// To [`Request::Write`] and [`Request::Emit`]: how many bytes were taken.
    Wrote(io::Result<usize>),
    /// To [`Request::Poll`]: one entry per subscription, `Some` where it is due; at least one must be.
    Polled(Vec<Option<Event>>),
    /// To [`Request::Yield`].
    Yielded,
}

impl Response {
    /// The error the program is about to see, if any.
    pub fn error(&self) -> Option<&io::Error> {
        match self {
            Self::Read(Err(error)) | Self::Wrote(Err(error)) => Some(error),
            _ => None,
        }
    }

    /// True when this is an answer to that kind of request.
    pub(crate) fn answers(&self, request: &Request) -> bool {
        match (request, self) {
            (Request::Read { .. }, Self::Read(_))
            | (Request::Write { .. } | Request::Emit { .. }, Self::Wrote(_))
            | (Request::Yield, Self::Yielded) => true,
            (Request::Poll(asked), Self::Polled(events)) => {
                asked.len() == events.len() && events.iter().any(Option::is_some)
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { length, wait, .. } => write!(f, "Read {{ length: {length}, wait: {wait} }}"),
            Self::Write { bytes, wait, .. } => write!(f, "Write {{ bytes: {}, wait: {wait} }}", bytes.len()),
            Self::Emit { bytes, .. } => write!(f, "Emit {{ bytes: {} }}", bytes.len()),
            Self::Poll(subscriptions) => f.debug_tuple("Poll").field(subscriptions).finish(),
            Self::Yield => f.write_str("Yield"),
        }
    }
}
