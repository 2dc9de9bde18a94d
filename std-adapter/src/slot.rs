//! The current thread state in a thread-local.
#![allow(unsafe_code)]

use core::{cell::Cell, ptr};

use archipelago_kernel::host::CurrentSlot;

std::thread_local! {
    // No destructor, so it can be read until the thread is gone.
    static CURRENT: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// One word per operating-system thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadLocalSlot;

// SAFETY: a thread-local cell answers each thread with what it last stored, null at first; only this
// implementation can write it.
unsafe impl CurrentSlot for ThreadLocalSlot {
    #[inline]
    fn get() -> *const () {
        CURRENT.get()
    }

    #[inline]
    unsafe fn set(word: *const ()) {
        CURRENT.set(word);
    }
}

/// A number that differs between threads alive at the same time.
pub(crate) fn thread_id() -> usize {
    CURRENT.with(|word| ptr::from_ref(word).addr())
}
