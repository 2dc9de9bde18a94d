//! Values that the kernel wants for ever, for as long as a run.
#![allow(unsafe_code)]

use core::ptr::NonNull;

/// A value behind a `'static` reference, that can be freed once nobody has the reference any more.
pub(crate) struct Forever<T>(NonNull<T>);

impl<T> Forever<T> {
    pub(crate) fn new(value: T) -> Self {
        Forever(NonNull::from(Box::leak(Box::new(value))))
    }

    pub(crate) fn get(&self) -> &'static T {
        // SAFETY: the value is live until `free`, whose caller says that nobody has this reference any more.
        unsafe { self.0.as_ref() }
    }

    /// Frees the value. Without this it stays.
    ///
    /// # Safety
    /// No reference from `get` is used any more.
    pub(crate) unsafe fn free(self) {
        // SAFETY: it comes from a box, and nobody refers to it (contract of `free`).
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
