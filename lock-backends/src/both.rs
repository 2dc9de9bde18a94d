//! One body for `RawLock` and `RawGil`, whose methods and contracts are the same.

/// Implements both traits. The proof of their contract stands above the invocation.
macro_rules! lock_and_gil {
    ([$($generics:tt)*] $type:ty: $body:tt) => {
        // SAFETY: see above the invocation.
        unsafe impl<$($generics)*> archipelago_kernel::host::RawLock for $type $body

        // SAFETY: see above the invocation.
        unsafe impl<$($generics)*> archipelago_kernel::host::RawGil for $type $body
    };
}
