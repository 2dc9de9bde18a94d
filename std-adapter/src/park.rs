//! Blocking threads in the operating system.

use core::time::Duration;
use std::time::Instant;

use archipelago_kernel::host::Park;

use crate::parking::{Queue, Sleeper};

/// Parks threads in a table of this crate, which checks the condition before the thread is queued.
#[derive(Debug, Clone, Copy, Default)]
pub struct StdPark;

impl Park for StdPark {
    fn park(&self, key: usize, blocked: &dyn Fn() -> bool, timeout: Option<Duration>) {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let me = Sleeper::me();
        let mut queue = Queue::lock(key);
        if !blocked() {
            return;
        }
        queue.enter(&me);
        drop(queue);
        while !me.is_served() {
            if until.is_some_and(|until| Instant::now() >= until) {
                return Queue::lock(key).leave(&me);
            }
            Sleeper::sleep(until);
        }
    }

    fn unpark(&self, key: usize) {
        let mut queue = Queue::lock(key);
        let all: Vec<_> = core::iter::from_fn(|| queue.serve()).collect();
        drop(queue);
        all.iter().for_each(|sleeper| sleeper.wake());
    }
}
