//! The thread that watches deadlines: started with the first one, asleep until the next is due.

use core::time::Duration;
use std::{
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Instant,
};

use archipelago_kernel as kernel;

use crate::OnStd;

/// A runtime whose deadlines are watched: the thread is the same one for hosts with any heap.
pub(crate) trait Watched: Send + Sync {
    /// What watches them.
    fn timer(&self) -> &Timer;

    /// Lets pass what is due; how long until the next one is.
    fn tick(&self) -> Option<Duration>;
}

impl<H: OnStd> Watched for kernel::Runtime<H> {
    fn timer(&self) -> &Timer {
        self.host().std().timer()
    }

    fn tick(&self) -> Option<Duration> {
        kernel::Runtime::tick(self)
    }
}

#[derive(Default)]
struct State {
    runtime: Option<Weak<dyn Watched>>,
    next: Option<Instant>,
    thread: Option<thread::JoinHandle<()>>,
    failed: Option<io::ErrorKind>,
    stop: bool,
}

impl State {
    /// Starts the thread, if it is not there, and notes whether it could.
    fn start(&mut self, builder: thread::Builder) -> io::Result<()> {
        if self.thread.is_some() || self.stop {
            return Ok(());
        }
        let runtime = self.runtime.clone();
        let started = builder.name("archipelago-timer".into()).spawn(move || run(runtime.as_ref()));
        self.failed = started.as_ref().err().map(io::Error::kind);
        self.thread = Some(started?);
        Ok(())
    }
}

/// What the host and the timer thread share.
#[derive(Default)]
pub(crate) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Timer {
    pub(crate) const fn new() -> Self {
        let state = State { runtime: None, next: None, thread: None, failed: None, stop: false };
        Timer { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is valid after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the runtime whose deadlines are watched.
    pub(crate) fn watch(&self, runtime: Weak<dyn Watched>) {
        self.state().runtime = Some(runtime);
    }

    /// Starts the thread before there is a deadline.
    pub(crate) fn start(&self) -> io::Result<()> {
        self.state().start(thread::Builder::new())
    }

    /// Why the thread could not be started when it was tried last.
    pub(crate) fn failed(&self) -> Option<io::ErrorKind> {
        self.state().failed
    }

    /// A deadline was armed. Without a runtime to watch, or without a thread to be had, the deadline still
    /// holds, but is seen only when somebody calls `tick`. The next deadline tries again.
    pub(crate) fn arm(&self, within: Duration) {
        let at = Instant::now() + within;
        let mut state = self.state();
        let is_sooner = state.next.is_none_or(|next| at < next);
        if is_sooner {
            state.next = Some(at);
        }
        if state.runtime.as_ref().is_some_and(|runtime| runtime.strong_count() > 0) {
            // Who armed it cannot be told by the kernel; `failed` keeps it.
            let _kept = state.start(thread::Builder::new());
        }
        if is_sooner {
            self.changed.notify_all();
        }
    }

    /// Waits for the thread to go, for the runtime is about to.
    pub(crate) fn stop(&self) {
        let thread = {
            let mut state = self.state();
            state.stop = true;
            state.thread.take()
        };
        self.changed.notify_all();
        if let Some(thread) = thread {
            // It cannot have panicked: it runs nothing but the kernel's tick.
            let _ = thread.join();
        }
    }

    /// Sleeps until a deadline is due: whether to look.
    fn sleep(&self) -> bool {
        let mut state = self.state();
        loop {
            if state.stop {
                return false;
            }
            let now = Instant::now();
            state = match state.next {
                Some(next) if next <= now => {
                    state.next = None;
                    return true;
                }
                Some(next) => {
                    let woken = self.changed.wait_timeout(state, next - now);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

fn run(runtime: Option<&Weak<dyn Watched>>) {
    // The thread sleeps with a strong count: `stop` comes before the adapter gives its own up.
    let Some(runtime) = runtime.and_then(Weak::upgrade) else { return };
    let timer = runtime.timer();
    while timer.sleep() {
        if let Some(next) = runtime.tick() {
            timer.arm(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InterpreterConfig, Runtime};
    use archipelago_kernel::error::Interrupt;

    /// SPEC: E5
    #[test]
    fn a_timer_that_cannot_start_says_so_and_is_tried_again() {
        let runtime = Runtime::new().unwrap();
        assert_eq!(runtime.unwatched_deadlines(), None);
        // No address space has room for such a stack.
        let impossible = thread::Builder::new().stack_size(1 << (usize::BITS - 4));
        let refused = runtime.host().timer().state().start(impossible).unwrap_err();
        assert_eq!(runtime.unwatched_deadlines(), Some(refused.kind()));
        let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
        state
            .attach(|cx| {
                cx.set_deadline(Some(Duration::from_millis(1))).unwrap();
                assert_eq!(runtime.unwatched_deadlines(), None, "it was tried again");
                while cx.safepoint() != Err(Interrupt::Deadline) {
                    thread::yield_now();
                }
            })
            .unwrap();
        runtime.watch_deadlines().unwrap();
    }
}
