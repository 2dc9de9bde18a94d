//! Another thread inside an interpreter.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Scope, ScopedJoinHandle},
};

use archipelago_kernel::{
    Host, InterpreterId, Runtime,
    error::{AttachError, Interrupt, ThreadError},
    memory::AllocError,
};

use crate::witness::{Tracked, Witness};

/// How an attempt to get in came out.
pub(crate) type Arrival = Result<Result<(), AttachError>, ThreadError>;

/// What a visitor found when it had the GIL back: its safepoint, and an allocation.
pub(crate) type Departure = (Result<(), Interrupt>, Result<(), AllocError>);

pub(crate) struct Visitor<'scope> {
    pub(crate) interpreter: usize,
    pub(crate) thread: usize,
    go: Sender<()>,
    arrived: Receiver<Arrival>,
    left: Receiver<Departure>,
    running: ScopedJoinHandle<'scope, ()>,
}

impl<'scope> Visitor<'scope> {
    /// Starts a thread that attaches and lets the GIL go. It needs the GIL for a moment.
    pub(crate) fn start<H: Host>(
        scope: &'scope Scope<'scope, '_>,
        rt: &'scope Runtime<H>,
        id: InterpreterId,
        (interpreter, thread): (usize, usize),
        witness: Arc<Witness>,
    ) -> Self {
        let (go, wait) = channel();
        let (arrive, arrived) = channel();
        let (leave, left) = channel();
        let running = scope.spawn(move || {
            let mut state = match rt.thread_state(id) {
                Ok(state) => state,
                Err(error) => {
                    let _ = arrive.send(Err(error));
                    return;
                }
            };
            let answer = state.attach(|cx| {
                cx.detach(|| {
                    let _ = arrive.send(Ok(Ok(())));
                    // A driver that is gone does not send any more.
                    let _ = wait.recv();
                });
                let told = cx.safepoint();
                let value = cx.alloc_plain(Tracked::new(&witness, usize::MAX));
                (told, value.map(drop).map_err(|(_, error)| error))
            });
            drop(state);
            match answer {
                Ok(departure) => {
                    let _ = leave.send(departure);
                }
                Err(error) => {
                    let _ = arrive.send(Ok(Err(error)));
                }
            }
        });
        Visitor { interpreter, thread, go, arrived, left, running }
    }

    /// Waits until it is inside, or was refused.
    pub(crate) fn arrival(&self) -> Arrival {
        self.arrived.recv().expect("the visitor reports")
    }

    /// Lets it go, and waits until it is gone. It needs the GIL for a moment.
    pub(crate) fn depart(self) -> Departure {
        self.go.send(()).expect("the visitor waits");
        let departure = self.left.recv().expect("the visitor reports");
        self.gone();
        departure
    }

    /// Waits until a visitor that was refused is gone.
    pub(crate) fn gone(self) {
        self.running.join().expect("the visitor does not panic");
    }
}
