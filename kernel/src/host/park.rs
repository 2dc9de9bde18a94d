//! Blocking until woken.

use core::time::Duration;

/// Blocks a thread until another one wakes it: the shape of a futex.
///
/// The kernel re-checks its condition after every return, so returning early is always allowed. For
/// progress, `park` must return once `blocked` has answered `false`, provided that [`unpark`](Park::unpark)
/// with the same key was called after the change.
pub trait Park {
    /// Waits while `blocked()` is true, at most about `timeout`. `blocked` may be called any number of times
    /// and must be checked after the thread is registered as waiting, so that no wake-up is lost.
    fn park(&self, key: usize, blocked: &dyn Fn() -> bool, timeout: Option<Duration>);

    /// Wakes every thread parked with `key`.
    fn unpark(&self, key: usize);
}

/// Waits by spinning: for bare metal without a way to sleep.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPark;

impl Park for NoPark {
    fn park(&self, _: usize, _: &dyn Fn() -> bool, _: Option<Duration>) {
        crate::sync::spin_loop();
    }

    fn unpark(&self, _: usize) {}
}

/// Wakes one blocked thread out of whatever the host lets it wait in: an event descriptor, a flag, an
/// interrupt to another core.
pub trait Wake: Sync {
    /// Makes the blocked thread return soon. Called under the runtime's lock, from any thread: short, and
    /// without calling the kernel. May be called when nothing waits. A panic goes on to whoever asked, when all
    /// others are woken; where another waker panics meanwhile, or where the lock was taken and whoever had it wakes for them, the program ends.
    fn wake(&self);
}
