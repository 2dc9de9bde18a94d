//! The events of one thread.

use core::time::Duration;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
};

use archipelago_kernel::observe::GilEvent;

/// The last events of a thread of the operating system. It takes memory as it fills.
pub(super) struct Ring {
    thread: Option<String>,
    state: Mutex<Events>,
}

#[derive(Clone, Default)]
struct Events {
    last: VecDeque<(Duration, GilEvent)>,
    lost: u64,
}

/// What a ring has at a time.
pub(super) struct Look {
    pub(super) thread: Option<String>,
    pub(super) events: VecDeque<(Duration, GilEvent)>,
    pub(super) lost: u64,
}

impl Ring {
    pub(super) fn of_this_thread() -> Self {
        Ring { thread: thread::current().name().map(str::to_owned), state: Mutex::default() }
    }

    /// One event more; beyond `most` the oldest is lost.
    pub(super) fn push(&self, at: Duration, event: GilEvent, most: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.len() >= most {
            state.lost += 1;
            if state.last.pop_front().is_none() {
                return;
            }
        }
        state.last.push_back((at, event));
    }

    pub(super) fn look(&self) -> Look {
        let Events { last, lost } = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Look { thread: self.thread.clone(), events: last, lost }
    }
}
