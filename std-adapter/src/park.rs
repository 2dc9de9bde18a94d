//! Blocking threads in the operating system.
#![allow(unsafe_code)]

use core::time::Duration;
use std::time::Instant;

use archipelago_kernel::host::Park;
use parking_lot_core::{DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN};

/// Parks threads in `parking_lot_core`'s table, which checks the condition after the thread is queued.
#[derive(Debug, Clone, Copy, Default)]
pub struct StdPark;

impl Park for StdPark {
    fn park(&self, key: usize, blocked: &dyn Fn() -> bool, timeout: Option<Duration>) {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // SAFETY: the kernel's keys are addresses of its own words, which nobody else parks on; `blocked` only
        // reads an atomic, and the other callbacks do nothing, so none of them parks, unparks or panics.
        unsafe {
            parking_lot_core::park(key, blocked, || {}, |_, _| {}, DEFAULT_PARK_TOKEN, until);
        }
    }

    fn unpark(&self, key: usize) {
        // SAFETY: as in `park`.
        unsafe {
            parking_lot_core::unpark_all(key, DEFAULT_UNPARK_TOKEN);
        }
    }
}
