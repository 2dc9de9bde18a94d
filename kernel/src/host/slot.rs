//! The slot for the current thread state.
#![allow(unsafe_code)]

/// One word per thread (or per core, where threads do not exist) that the kernel owns.
///
/// A thread-local cannot be generic, so every runtime of a host shares one slot. What lies in it does not
/// depend on the host type and names its runtime, so a second runtime is told apart.
///
/// # Safety
/// `get` returns what the same thread last passed to `set`, and null before that. Nothing but the kernel
/// calls `set`.
pub unsafe trait CurrentSlot {
    /// The word of this thread.
    fn get() -> *const ();

    /// Replaces the word of this thread.
    ///
    /// # Safety
    /// Only the kernel calls this: the word is a promise about which GIL this thread holds.
    unsafe fn set(word: *const ());
}
