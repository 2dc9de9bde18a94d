//! Process-wide unique indexes (SPEC R6): keys for interpreter-local values, numbered when first used.

use crate::{
    host::Host,
    runtime::Runtime,
    sync::{AtomicUsize, Ordering},
};

/// A key that gets its number, unique in the program, when it is first asked for; every interpreter of every
/// runtime then finds it under that number. Meant to be a `static`.
///
/// ```text
/// 0 without a number → n + 1 (the first `get` wins; for ever)
/// ```
pub struct UniqueIndex(AtomicUsize);

impl UniqueIndex {
    const_unless_loom! {
        /// A key without a number.
        pub const fn new() -> Self {
            UniqueIndex(AtomicUsize::new(0))
        }
    }

    /// The number, the same at every call.
    pub fn get<H: Host>(&self, runtime: &Runtime<H>) -> usize {
        match self.0.load(Ordering::Relaxed) {
            0 => self.assign(runtime.host().new_index()),
            number => number - 1,
        }
    }

    #[cold]
    fn assign(&self, index: usize) -> usize {
        let number = index.wrapping_add(1).max(1);
        match self.0.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => number - 1,
            // Another thread was faster; this number stays unused.
            Err(number) => number - 1,
        }
    }
}

impl Default for UniqueIndex {
    fn default() -> Self {
        Self::new()
    }
}
