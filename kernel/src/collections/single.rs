//! A block with one value: what `Box` and `Rc` point to.

#![allow(unsafe_code)]

use core::{cell::UnsafeCell, mem::needs_drop, ptr, ptr::NonNull};

use crate::{
    host::Host,
    memory::{AllocError, Domain},
    object::{self, Kind, ObjectHeader},
    thread::Attached,
};

#[repr(C)]
pub(super) struct Single<T> {
    head: ObjectHeader,
    value: UnsafeCell<T>,
}

impl<T> Single<T> {
    const KIND: &'static Kind = &Kind::of::<Self>(Domain::Object, needs_drop::<T>(), drop_value::<T>);

    /// Puts a value into the heap.
    pub(super) fn make<H: Host>(cx: &Attached<'_, H>, value: T) -> Result<NonNull<Self>, (T, AllocError)> {
        let block = match cx.allocate(Self::KIND.domain, Self::KIND.layout) {
            Ok(block) => block,
            Err(error) => return Err((value, error)),
        };
        // SAFETY: [T1]; the block is fresh and of the kind.
        unsafe {
            let single = ObjectHeader::install(&cx.slot().head, Self::KIND, block).cast::<Self>();
            (&raw mut (*single.as_ptr()).value).cast::<T>().write(value);
            Ok(single)
        }
    }

    /// Where the value is.
    ///
    /// # Safety
    /// The block is live.
    pub(super) unsafe fn value(this: NonNull<Self>) -> *mut T {
        // SAFETY: passed on.
        unsafe { (*this.as_ptr()).value.get() }
    }

    /// The header.
    ///
    /// # Safety
    /// The block is live while the reference is used.
    pub(super) unsafe fn head<'a>(this: NonNull<Self>) -> &'a ObjectHeader {
        // SAFETY: passed on.
        unsafe { &(*this.as_ptr()).head }
    }

    /// Takes the value out and frees the block.
    ///
    /// # Safety
    /// The block is of this interpreter, and there is one reference to it, given up here.
    pub(super) unsafe fn take<H: Host>(this: NonNull<Self>, cx: &Attached<'_, H>) -> T {
        // SAFETY: passed on; nobody else reaches the value, and it is moved out once.
        unsafe {
            let value = Self::value(this).read();
            object::discard(cx, this.as_ptr().cast());
            value
        }
    }
}

unsafe fn drop_value<T>(header: *mut ObjectHeader) {
    // SAFETY: the caller passes the header of a live Single<T>, once.
    unsafe { ptr::drop_in_place((*header.cast::<Single<T>>()).value.get()) }
}
