//! A counter that an interrupt handler and the thread share.

use core::cell::Cell;

use critical_section::Mutex;

/// Counts in critical sections, so that it works where there is no compare-and-swap.
pub struct Counter(Mutex<Cell<u32>>);

impl Counter {
    /// A counter at zero.
    pub const fn new() -> Self {
        Counter(Mutex::new(Cell::new(0)))
    }

    /// Adds `more` and answers the sum.
    pub fn add(&self, more: u32) -> u32 {
        critical_section::with(|cs| {
            let cell = self.0.borrow(cs);
            cell.set(cell.get() + more);
            cell.get()
        })
    }

    /// The count.
    pub fn get(&self) -> u32 {
        self.add(0)
    }

    /// The count, which starts again at zero.
    pub fn take(&self) -> u32 {
        critical_section::with(|cs| self.0.borrow(cs).take())
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}
