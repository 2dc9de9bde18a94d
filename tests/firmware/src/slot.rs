//! The slot for the current thread state: a word of static memory.
#![allow(unsafe_code)]

use core::{
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use archipelago_kernel::host::CurrentSlot;

/// One core has one thread, so one word. A handler that interrupts the thread sees the thread's word: it runs on
/// that thread.
pub struct StaticSlot;

static WORD: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

// SAFETY: the word is this static, which nothing else reaches; there is one thread, and handlers are refused by
// the kernel before they could set it (`Host::in_interrupt`).
unsafe impl CurrentSlot for StaticSlot {
    fn get() -> *const () {
        WORD.load(Ordering::Relaxed)
    }

    unsafe fn set(word: *const ()) {
        WORD.store(word.cast_mut(), Ordering::Relaxed);
    }
}
