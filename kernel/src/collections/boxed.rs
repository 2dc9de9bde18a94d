//! `Box`: one value in an interpreter's heap, with one owner.

#![allow(unsafe_code)]

use core::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use crate::{
    collections::single::Single,
    host::Host,
    memory::AllocError,
    object::{self, ObjectHeader},
    thread::{Attached, Brand},
};

/// One value in the heap of interpreter `'i`, with one owner.
///
/// Dropping it defers: the value is dropped at the next safepoint, under the token.
pub struct Box<'i, T> {
    block: NonNull<Single<T>>,
    brand: Brand<'i>,
    exact: PhantomData<fn(T) -> T>,
}

// SAFETY: [K1] without a token it can only be dropped, which is an atomic push; the value may be dropped by whichever
// thread holds the GIL then, and is `Send`.
unsafe impl<T: Send> Send for Box<'_, T> {}

impl<'i, T: Send + 'i> Box<'i, T> {
    /// Puts a value into the heap.
    ///
    /// # Errors
    /// The value comes back with the reason.
    pub fn new<H: Host>(cx: &Attached<'i, H>, value: T) -> Result<Self, (T, AllocError)> {
        let block = Single::make(cx, value)?;
        Ok(Box { block, brand: PhantomData, exact: PhantomData })
    }

    /// The value.
    pub fn get<'a, H: Host>(&'a self, _: &'a Attached<'i, H>) -> &'a T {
        // SAFETY: [K1] the block is live, and what changes it needs `&mut self`.
        unsafe { &*Single::value(self.block) }
    }

    /// The value, to be changed.
    pub fn get_mut<'a, H: Host>(&'a mut self, _: &'a Attached<'i, H>) -> &'a mut T {
        // SAFETY: [K1] the block is live, and `&mut self` is its only owner.
        unsafe { &mut *Single::value(self.block) }
    }

    /// Takes the value out and frees the block.
    pub fn into_inner<H: Host>(self, cx: &Attached<'i, H>) -> T {
        // SAFETY: [K1] the owner is given up here; the brand says that it is of this interpreter.
        unsafe { Single::take(ManuallyDrop::new(self).block, cx) }
    }

    /// Drops the value and frees the block, now.
    pub fn release<H: Host>(self, cx: &mut Attached<'i, H>) {
        // SAFETY: as in `into_inner`.
        unsafe { object::release(cx, ManuallyDrop::new(self).block.as_ptr().cast()) }
    }
}

impl<T> Drop for Box<'_, T> {
    fn drop(&mut self) {
        // SAFETY: [K1] the owner is given up here.
        unsafe { ObjectHeader::release(self.block.as_ptr().cast()) }
    }
}
