//! A GIL with a queue: who comes first is first, keeps its place while it asks, and may be handed the GIL.
#![allow(unsafe_code)]

use core::time::Duration;
use std::collections::VecDeque;

use archipelago_kernel::host::{RawGil, RawGilFair, RawGilTimed};
use shuttle::{
    sync::{Condvar, Mutex},
    thread,
};

use crate::parts::thread_id;

/// A flag and a queue. The interval of who waits with a limit has passed whenever Shuttle lets it run.
#[derive(Default)]
pub struct ShuttleGil {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: bool,
    queue: VecDeque<usize>,
    /// Who was handed the GIL, until they notice; meanwhile it is held.
    served: Option<usize>,
}

impl State {
    fn take(&mut self, me: usize) -> bool {
        let mine = self.served == Some(me);
        if mine {
            self.served = None;
        } else if !core::mem::replace(&mut self.held, true) {
            self.queue.retain(|waiter| *waiter != me);
        } else {
            return false;
        }
        true
    }
}

impl ShuttleGil {
    fn has(&self, me: usize) -> bool {
        self.state.lock().unwrap().take(me)
    }

    fn stand(&self) -> usize {
        let me = thread_id();
        self.state.lock().unwrap().queue.push_back(me);
        me
    }
}

// SAFETY: the flag goes up under the mutex and falls by the holder, or it stays up while the GIL goes to one waiter.
unsafe impl RawGil for ShuttleGil {
    type Held = ();

    fn new() -> Self {
        Self::default()
    }

    fn lock(&self) {
        let me = self.stand();
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| !state.take(me)).unwrap());
    }

    fn try_lock(&self) -> Option<()> {
        let mut state = self.state.lock().unwrap();
        (!core::mem::replace(&mut state.held, true)).then_some(())
    }

    unsafe fn unlock(&self, (): ()) {
        self.state.lock().unwrap().held = false;
        self.changed.notify_all();
    }
}

// SAFETY: `Some` comes from `take`, which answers yes to the holder alone.
unsafe impl RawGilTimed for ShuttleGil {
    fn lock_for(&self, _: Duration) -> Option<()> {
        let me = self.stand();
        thread::yield_now();
        let mut state = self.state.lock().unwrap();
        let has = state.take(me);
        state.queue.retain(|waiter| *waiter != me);
        has.then_some(())
    }

    fn lock_asking(&self, next: &mut dyn FnMut() -> Duration) {
        let me = self.stand();
        while !self.has(me) {
            next();
            thread::yield_now();
        }
    }
}

// SAFETY: where somebody waits the flag stays up, and that thread alone finds the GIL its own.
unsafe impl RawGilFair for ShuttleGil {
    unsafe fn unlock_fair(&self, (): ()) {
        let mut state = self.state.lock().unwrap();
        state.served = state.queue.pop_front();
        state.held = state.served.is_some();
        drop(state);
        self.changed.notify_all();
    }
}
