//! The thread that watches deadlines: started with the first one, asleep until the next is due.

use core::time::Duration;
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Instant,
};

use archipelago_kernel as kernel;

use crate::StdHost;

#[derive(Default)]
struct State {
    runtime: Weak<kernel::Runtime<StdHost>>,
    next: Option<Instant>,
    thread: Option<thread::JoinHandle<()>>,
    stop: bool,
}

/// What the host and the timer thread share.
#[derive(Default)]
pub(crate) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Timer {
    pub(crate) const fn new() -> Self {
        let state = State { runtime: Weak::new(), next: None, thread: None, stop: false };
        Timer { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is valid after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the runtime whose deadlines are watched.
    pub(crate) fn watch(&self, runtime: Weak<kernel::Runtime<StdHost>>) {
        self.state().runtime = runtime;
    }

    /// A deadline was armed. Without a runtime to watch, or without a thread to be had, the deadline still
    /// holds, but is seen only when somebody calls `tick`.
    pub(crate) fn arm(&self, within: Duration) {
        let at = Instant::now() + within;
        let mut state = self.state();
        state.next = Some(state.next.map_or(at, |next| next.min(at)));
        if state.thread.is_none() && state.runtime.strong_count() > 0 {
            let runtime = state.runtime.clone();
            let thread = thread::Builder::new().name("archipelago-timer".into());
            state.thread = thread.spawn(move || run(&runtime)).ok();
        }
        self.changed.notify_all();
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

fn run(runtime: &Weak<kernel::Runtime<StdHost>>) {
    // The thread sleeps with a strong count: `stop` comes before the adapter gives its own up.
    let Some(runtime) = runtime.upgrade() else { return };
    let timer = runtime.host().timer();
    while timer.sleep() {
        if let Some(next) = runtime.tick() {
            timer.arm(next);
        }
    }
}
