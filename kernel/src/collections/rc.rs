//! `Rc`: one value in an interpreter's heap, with many owners.

#![allow(unsafe_code)]

use core::{marker::PhantomData, mem::ManuallyDrop, ptr, ptr::NonNull};

use crate::{
    collections::single::Single,
    host::Host,
    memory::AllocError,
    object::{self, ObjectHeader},
    thread::{Attached, Brand},
};

/// One value in the heap of interpreter `'i`, counted without atomics.
///
/// As [`Owned`](crate::object::Owned), for values that are no [`Family`](crate::guest::Family); and it may lie in objects.
/// It is not `Clone`: counting takes the token.
pub struct Rc<'i, T> {
    block: NonNull<Single<T>>,
    brand: Brand<'i>,
    exact: PhantomData<fn(T) -> T>,
}

// SAFETY: [K1] without a token it can only be dropped, which is an atomic push; the value may be dropped by whichever
// thread holds the GIL then, and is `Send`. Its other owners are on threads without a token.
unsafe impl<T: Send> Send for Rc<'_, T> {}

impl<'i, T: Send + 'i> Rc<'i, T> {
    /// Puts a value into the heap.
    ///
    /// # Errors
    /// The value comes back with the reason.
    pub fn new<H: Host>(cx: &Attached<'i, H>, value: T) -> Result<Self, (T, AllocError)> {
        let block = Single::make(cx, value)?;
        Ok(Rc { block, brand: PhantomData, exact: PhantomData })
    }

    /// One more owner of the same value.
    #[must_use]
    pub fn share<H: Host>(&self, _: &Attached<'i, H>) -> Self {
        // SAFETY: [K2] the block is live, and the token says that this thread holds the GIL.
        unsafe { Single::head(self.block) }.retain();
        Rc { block: self.block, brand: PhantomData, exact: PhantomData }
    }

    /// The value. It borrows the token, not this owner: dropping the last one frees nothing before the next
    /// `&mut Attached`.
    pub fn get<'a, H: Host>(&self, _: &'a Attached<'i, H>) -> &'a T {
        // SAFETY: [K2] values with a count die under `&mut Attached` only.
        unsafe { &*Single::value(self.block) }
    }

    /// The value, to be changed. Unique, because the token is.
    pub fn get_mut<'a, H: Host>(&self, _: &'a mut Attached<'i, H>) -> &'a mut T {
        // SAFETY: [K2] every reference to a value borrows the token of its interpreter, and this one uniquely.
        unsafe { &mut *Single::value(self.block) }
    }

    /// Whether both own the same value.
    pub fn is(&self, other: &Rc<'i, T>) -> bool {
        ptr::eq(self.block.as_ptr(), other.block.as_ptr())
    }

    /// Takes the value out and frees the block, if this is the only owner: one that was dropped counts until the next
    /// safepoint.
    ///
    /// # Errors
    /// There are others; this one comes back.
    pub fn into_inner<H: Host>(self, cx: &mut Attached<'i, H>) -> Result<T, Self> {
        // SAFETY: [K2] the block is live; a count of one says that nobody else owns it and that no release is owed.
        unsafe {
            if Single::head(self.block).is_unique() {
                Ok(Single::take(ManuallyDrop::new(self).block, cx))
            } else {
                Err(self)
            }
        }
    }

    /// Gives this owner up now; if it was the last, the value is dropped and the block freed.
    pub fn release<H: Host>(self, cx: &mut Attached<'i, H>) {
        // SAFETY: [K2] this owner is counted, and given up here; the brand says that it is of this interpreter.
        unsafe { object::release(cx, ManuallyDrop::new(self).block.as_ptr().cast()) }
    }
}

impl<T> Drop for Rc<'_, T> {
    fn drop(&mut self) {
        // SAFETY: [K2] this owner is counted, and given up here.
        unsafe { ObjectHeader::release(self.block.as_ptr().cast()) }
    }
}
