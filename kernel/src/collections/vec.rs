//! `Vec`: values in a row in an interpreter's heap.

#![allow(unsafe_code)]

use core::{
    marker::PhantomData,
    mem::{self, ManuallyDrop, needs_drop, offset_of},
    ptr::{self, NonNull},
    slice,
};

use crate::{
    host::Host,
    memory::{AllocCause, AllocError, Domain},
    object::{self, Kind, ObjectHeader, Tailed},
    thread::{Attached, Brand},
};

/// More than an address space has.
pub(super) const TOO_LARGE: AllocError =
    AllocError { domain: Domain::Mem, requested: usize::MAX, cause: AllocCause::TooLarge };

#[repr(C)]
struct Array<T> {
    head: Tailed,
    len: usize,
    capacity: usize,
    items: [T; 0],
}

impl<T> Array<T> {
    const KIND: &'static Kind = &Kind::tailed::<Self>(Domain::Mem, needs_drop::<T>(), drop_items::<T>);

    /// # Safety
    /// The block is live.
    unsafe fn items(this: NonNull<Self>) -> *mut T {
        // SAFETY: passed on; the items stand behind the words, and the pointer reaches the whole block.
        unsafe { this.byte_add(offset_of!(Self, items)).cast().as_ptr() }
    }
}

unsafe fn drop_items<T>(header: *mut ObjectHeader) {
    // SAFETY: the caller passes the header of a live Array<T>, once; the items below the length are live.
    unsafe {
        let array = NonNull::new_unchecked(header.cast::<Array<T>>());
        ptr::drop_in_place(ptr::slice_from_raw_parts_mut(Array::items(array), (*array.as_ptr()).len));
    }
}

/// Values in a row in the heap of interpreter `'i`, with one owner.
///
/// Dropping it defers: the values are dropped at the next safepoint, under the token.
pub struct Vec<'i, T> {
    block: Option<NonNull<Array<T>>>,
    brand: Brand<'i>,
    exact: PhantomData<fn(T) -> T>,
}

// SAFETY: [K1] without a token it can only be dropped, which is an atomic push; the values may be dropped by whichever
// thread holds the GIL then, and are `Send`.
unsafe impl<T: Send> Send for Vec<'_, T> {}

impl<T> Vec<'_, T> {
    /// One without values, and without memory.
    pub const fn new() -> Self {
        Vec { block: None, brand: PhantomData, exact: PhantomData }
    }
}

impl<T> Default for Vec<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'i, T: Send + 'i> Vec<'i, T> {
    /// One without values, and with room for so many.
    ///
    /// # Errors
    /// The reason.
    pub fn with_capacity<H: Host>(cx: &Attached<'i, H>, capacity: usize) -> Result<Self, AllocError> {
        let mut vec = Self::new();
        vec.resize(cx, capacity)?;
        Ok(vec)
    }

    /// How many values there are.
    pub fn len<H: Host>(&self, _: &Attached<'i, H>) -> usize {
        // SAFETY: [K1] the block is live.
        self.block.map_or(0, |block| unsafe { (*block.as_ptr()).len })
    }

    /// Whether there are none.
    pub fn is_empty<H: Host>(&self, cx: &Attached<'i, H>) -> bool {
        self.len(cx) == 0
    }

    /// How many values there is room for.
    pub fn capacity<H: Host>(&self, _: &Attached<'i, H>) -> usize {
        // SAFETY: [K1] the block is live.
        self.block.map_or(0, |block| unsafe { (*block.as_ptr()).capacity })
    }

    /// The values.
    pub fn as_slice<'a, H: Host>(&'a self, _: &'a Attached<'i, H>) -> &'a [T] {
        // SAFETY: [K1] the items below the length are live, and what changes them needs `&mut self`.
        self.block
            .map_or(&[], |block| unsafe { slice::from_raw_parts(Array::items(block), (*block.as_ptr()).len) })
    }

    /// The values, to be changed.
    pub fn as_mut_slice<'a, H: Host>(&'a mut self, _: &'a Attached<'i, H>) -> &'a mut [T] {
        // SAFETY: [K1] the items below the length are live, and `&mut self` is their only owner.
        self.block.map_or(&mut [], |block| unsafe {
            slice::from_raw_parts_mut(Array::items(block), (*block.as_ptr()).len)
        })
    }

    /// The value at an index.
    pub fn get<'a, H: Host>(&'a self, cx: &'a Attached<'i, H>, index: usize) -> Option<&'a T> {
        self.as_slice(cx).get(index)
    }

    /// The value at an index, to be changed.
    pub fn get_mut<'a, H: Host>(&'a mut self, cx: &'a Attached<'i, H>, index: usize) -> Option<&'a mut T> {
        self.as_mut_slice(cx).get_mut(index)
    }

    /// Gives the block room for exactly so many values, no fewer than there are.
    fn resize<H: Host>(&mut self, cx: &Attached<'i, H>, capacity: usize) -> Result<(), AllocError> {
        let kind = Array::<T>::KIND;
        let layout = size_of::<T>().checked_mul(capacity).and_then(|bytes| kind.with_tail(bytes));
        let layout = layout.ok_or(TOO_LARGE)?;
        // SAFETY: [K1] the block is of this interpreter and has one owner; a fresh one is of the kind.
        let block = unsafe {
            match self.block {
                Some(block) => object::resize(cx, block.cast(), layout)?.cast::<Array<T>>(),
                None => {
                    let block = cx.allocate(kind.domain, layout)?;
                    let block = ObjectHeader::install(&cx.slot().head, kind, block).cast::<Array<T>>();
                    (&raw mut (*block.as_ptr()).head.size).write(layout.size());
                    (&raw mut (*block.as_ptr()).len).write(0);
                    block
                }
            }
        };
        // SAFETY: the block is live and as large as that.
        unsafe { (&raw mut (*block.as_ptr()).capacity).write(capacity) };
        self.block = Some(block);
        Ok(())
    }

    /// Makes room for so many values more, and for as many again as there is room for now: adding one after the other
    /// moves each a few times at most.
    ///
    /// # Errors
    /// The reason; everything is as it was. [`reserve_exact`](Self::reserve_exact) asks for less.
    pub fn reserve<H: Host>(&mut self, cx: &Attached<'i, H>, more: usize) -> Result<(), AllocError> {
        let (len, capacity) = (self.len(cx), self.capacity(cx));
        if more <= capacity - len {
            return Ok(());
        }
        let needed = len.checked_add(more).ok_or(TOO_LARGE)?;
        self.resize(cx, capacity.saturating_mul(2).max(4).max(needed))
    }

    /// Makes room for so many values more, and no others.
    ///
    /// # Errors
    /// The reason; everything is as it was.
    pub fn reserve_exact<H: Host>(&mut self, cx: &Attached<'i, H>, more: usize) -> Result<(), AllocError> {
        let (len, capacity) = (self.len(cx), self.capacity(cx));
        if more <= capacity - len {
            return Ok(());
        }
        self.resize(cx, len.checked_add(more).ok_or(TOO_LARGE)?)
    }

    /// Gives memory back that no value is in.
    ///
    /// # Errors
    /// Where a smaller block takes a new one: the reason; everything is as it was.
    pub fn shrink_to_fit<H: Host>(&mut self, cx: &Attached<'i, H>) -> Result<(), AllocError> {
        match (self.block, self.len(cx)) {
            (Some(block), 0) => {
                self.block = None;
                // SAFETY: [K1] the only owner is given up here, and there are no items.
                unsafe { object::discard(cx, block.as_ptr().cast()) };
                Ok(())
            }
            (_, len) if len < self.capacity(cx) => self.resize(cx, len),
            _ => Ok(()),
        }
    }

    /// # Safety
    /// There are so many live items in the block, or zero and no block.
    unsafe fn set_len(&mut self, len: usize) {
        if let Some(block) = self.block {
            // SAFETY: [K1] the block is live.
            unsafe { (*block.as_ptr()).len = len }
        }
    }

    /// The items; dangling without a block.
    fn items(&mut self) -> *mut T {
        // SAFETY: [K1] the block is live.
        self.block.map_or(NonNull::dangling().as_ptr(), |block| unsafe { Array::items(block) })
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// The value comes back with the reason.
    pub fn push<H: Host>(&mut self, cx: &Attached<'i, H>, value: T) -> Result<(), (T, AllocError)> {
        self.insert(cx, usize::MAX, value)
    }

    /// Adds a value before the one at an index, or else at the end.
    ///
    /// # Errors
    /// The value comes back with the reason.
    pub fn insert<H: Host>(
        &mut self,
        cx: &Attached<'i, H>,
        index: usize,
        value: T,
    ) -> Result<(), (T, AllocError)> {
        if let Err(error) = self.reserve(cx, 1) {
            return Err((value, error));
        }
        let len = self.len(cx);
        let index = index.min(len);
        // SAFETY: there is room for one more behind the `len` live items.
        unsafe {
            let place = self.items().add(index);
            ptr::copy(place, place.add(1), len - index);
            place.write(value);
            self.set_len(len + 1);
        }
        Ok(())
    }

    /// Adds copies of values at the end.
    ///
    /// # Errors
    /// The reason; everything is as it was.
    pub fn extend_from_slice<H: Host>(&mut self, cx: &Attached<'i, H>, values: &[T]) -> Result<(), AllocError>
    where
        T: Copy,
    {
        self.reserve(cx, values.len())?;
        let len = self.len(cx);
        // SAFETY: there is room behind the `len` live items; the values are elsewhere, for `&mut self` has these.
        unsafe {
            ptr::copy_nonoverlapping(values.as_ptr(), self.items().add(len), values.len());
            self.set_len(len + values.len());
        }
        Ok(())
    }

    /// Takes the last value out.
    pub fn pop<H: Host>(&mut self, cx: &Attached<'i, H>) -> Option<T> {
        let last = self.len(cx).checked_sub(1)?;
        self.remove(cx, last)
    }

    /// Takes the value at an index out; those behind it move up.
    pub fn remove<H: Host>(&mut self, cx: &Attached<'i, H>, index: usize) -> Option<T> {
        let len = self.len(cx);
        if index >= len {
            return None;
        }
        // SAFETY: the item at the index is live, and moved out once.
        unsafe {
            let place = self.items().add(index);
            let value = place.read();
            ptr::copy(place.add(1), place, len - index - 1);
            self.set_len(len - 1);
            Some(value)
        }
    }

    /// Takes the value at an index out; the last one takes its place.
    pub fn swap_remove<H: Host>(&mut self, cx: &Attached<'i, H>, index: usize) -> Option<T> {
        let values = self.as_mut_slice(cx);
        let last = values.len().checked_sub(1).filter(|last| index <= *last)?;
        values.swap(index, last);
        self.remove(cx, last)
    }

    /// Drops the values from an index on.
    pub fn truncate<H: Host>(&mut self, cx: &Attached<'i, H>, len: usize) {
        let all = self.len(cx);
        if let Some(more) = all.checked_sub(len) {
            // SAFETY: the items are live, and out of the row before they are dropped, also if one panics.
            unsafe {
                self.set_len(len);
                ptr::drop_in_place(ptr::slice_from_raw_parts_mut(self.items().add(len), more));
            }
        }
    }

    /// Drops the values.
    pub fn clear<H: Host>(&mut self, cx: &Attached<'i, H>) {
        self.truncate(cx, 0);
    }

    /// Drops the values and frees the block, now.
    pub fn release<H: Host>(self, cx: &mut Attached<'i, H>) {
        if let Some(block) = ManuallyDrop::new(self).block {
            // SAFETY: [K1] the owner is given up here; the brand says that it is of this interpreter.
            unsafe { object::release(cx, block.as_ptr().cast()) }
        }
    }

    /// Takes the values out as they are, and leaves none.
    #[must_use]
    pub fn take(&mut self) -> Self {
        mem::take(self)
    }
}

impl<T> Drop for Vec<'_, T> {
    fn drop(&mut self) {
        if let Some(block) = self.block {
            // SAFETY: [K1] the owner is given up here.
            unsafe { ObjectHeader::release(block.as_ptr().cast()) }
        }
    }
}
