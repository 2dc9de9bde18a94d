//! Threads that wait for something of the host's.

use std::sync::Mutex;

use loom::thread::{self, Thread};

/// Who sleeps here, oldest first.
///
/// Not loom's mutex and condition variable: all modelled threads share one thread of the machine, so while one of them
/// unwinds the others count as panicking too, and a mutex that one of them lets go then is poisoned for good, which
/// loom's does not survive. The list orders nothing: no other modelled thread runs while it is touched.
#[derive(Default)]
pub(crate) struct Sleepers(Mutex<Vec<Thread>>);

impl Sleepers {
    /// Sleeps until `done` answers. It is asked after the thread is listed, so that no wake-up is lost, and only reads
    /// and writes atomics: loom wakes a listed thread whatever it blocks on.
    pub(crate) fn sleep_until<T>(&self, mut done: impl FnMut() -> Option<T>) -> T {
        let me = thread::current();
        loop {
            self.0.lock().unwrap().push(me.clone());
            let answer = done();
            if answer.is_none() {
                thread::park();
            }
            self.0.lock().unwrap().retain(|sleeper| sleeper.id() != me.id());
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    /// Wakes whoever sleeps longest.
    pub(crate) fn wake_one(&self) {
        let mut sleepers = self.0.lock().unwrap();
        if !sleepers.is_empty() {
            sleepers.remove(0).unpark();
        }
    }

    /// Wakes them all.
    pub(crate) fn wake_all(&self) {
        self.0.lock().unwrap().drain(..).for_each(|sleeper| sleeper.unpark());
    }
}
