//! Where a file leaves the request of its program and finds the answer.

use crate::request::{Request, Response, Target};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One per instance, shared with the files in its table. It is never contended: an instance runs on one thread at a
/// time, and files are called by that instance only.
pub(crate) type SharedExchange = Arc<Mutex<Exchange>>;

/// A request on its way out, an answer on its way in.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    request: Option<Request>,
    answer: Option<Response>,
    /// The stream that was asked for its type last; see [`Exchange::introduce`].
    introduced: Option<Target>,
}

impl Exchange {
    /// Leaves a request, which stops the program.
    pub(crate) fn raise(&mut self, request: Request) {
        self.request = Some(request);
    }

    /// True while a request waits to be taken.
    pub(crate) fn is_waiting(&self) -> bool {
        self.request.is_some()
    }

    /// Takes the request, to be served.
    pub(crate) fn take_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    /// Leaves the answer for the second run of the blocked function.
    pub(crate) fn answer(&mut self, response: Response) {
        self.answer = Some(response);
    }

    /// Takes the answer, if this is the second run.
    pub(crate) fn take_answer(&mut self) -> Option<Response> {
        self.answer.take()
    }

    /// A stream says who it is. wasi-common does not let anybody look into its table of files, but it calls the file
    /// when its type is asked for, and that is enough to learn what a number stands for.
    pub(crate) fn introduce(&mut self, target: Target) {
        self.introduced = Some(target);
    }

    /// Takes the stream that introduced itself since the last call.
    pub(crate) fn take_introduced(&mut self) -> Option<Target> {
        self.introduced.take()
    }
}

/// Locks an exchange. A panic elsewhere leaves it consistent: every change is one assignment.
pub(crate) fn lock(exchange: &SharedExchange) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}
