//! Dropping values and freeing memory: under `&mut Attached` only.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::{
    eval::breaker::OWED,
    host::Host,
    interpreter::InterpreterHead,
    memory::{AllocError, Domain, Ledger},
    object::{
        ObjectHeader,
        header::{Tailed, owe_again},
    },
    sync::Ordering,
    thread::Attached,
};

/// Settles every release that is owed; objects without a reference go. If a destructor panics, the rest is owed as before.
pub(crate) fn settle<H: Host>(cx: &mut Attached<'_, H>) {
    struct Rest<'a, 'i, H: Host>(&'a mut Attached<'i, H>, *mut ObjectHeader);
    impl<H: Host> Drop for Rest<'_, '_, H> {
        fn drop(&mut self) {
            if !self.1.is_null() {
                // SAFETY: all of the chain have a release owed.
                unsafe { owe_again(self.1, &self.0.slot().head) };
                self.0.thread().breaker.set(OWED);
            }
        }
    }
    loop {
        let first = cx.slot().head.owed.swap(ptr::null_mut(), Ordering::Acquire);
        if first.is_null() {
            return;
        }
        let mut rest = Rest(cx, first);
        while !rest.1.is_null() {
            // SAFETY: a linked header has a release owed, so it is live. The link is read before the debt is
            // settled: from then on another thread may link it again.
            unsafe {
                let header = rest.1;
                rest.1 = (*header).next_owed.get();
                if (*header).settle() {
                    destroy(rest.0, header);
                }
            }
        }
    }
}

/// Gives up one reference under the token, without the detour by the owed list.
///
/// # Safety
/// `header` is an object of this interpreter, and the reference is counted and given up here.
pub(crate) unsafe fn release<H: Host>(cx: &mut Attached<'_, H>, header: *mut ObjectHeader) {
    // SAFETY: the reference keeps the object alive until here; if it was the last nobody else reaches it.
    unsafe {
        if (*header).release_now() {
            destroy(cx, header);
        }
    }
    // What the value's own references left behind, and what this thread dropped before.
    if cx.thread().breaker.bits() & OWED != 0 {
        cx.settle();
    }
}

unsafe fn unlink(head: &InterpreterHead, header: *mut ObjectHeader) {
    // SAFETY: the list holds exactly the live objects of finalized kinds; the caller holds the GIL.
    unsafe {
        if (*header).kind.domain == Domain::Object {
            head.live_objects.set(head.live_objects.get() - 1);
        }
        if !(*header).kind.is_finalized() {
            return;
        }
        let links = ObjectHeader::links(header);
        match NonNull::new(links.prev.get()) {
            Some(prev) => ObjectHeader::links(prev.as_ptr()).next.set(links.next.get()),
            None => head.finalized.set(links.next.get()),
        }
        if let Some(next) = NonNull::new(links.next.get()) {
            ObjectHeader::links(next.as_ptr()).prev.set(links.prev.get());
        }
    }
}

/// Drops the value, then frees the memory, also if the value's destructor panics.
unsafe fn destroy<H: Host>(cx: &mut Attached<'_, H>, header: *mut ObjectHeader) {
    struct Free<'a, 'i, H: Host>(&'a mut Attached<'i, H>, *mut ObjectHeader);
    impl<H: Host> Drop for Free<'_, '_, H> {
        fn drop(&mut self) {
            // SAFETY: the object is unlinked and its value dropped.
            unsafe { free(self.0, self.1) }
        }
    }
    // SAFETY: no reference is left, so nobody but this call reaches the object.
    unsafe {
        unlink(&cx.slot().head, header);
        let free = Free(cx, header);
        ((*free.1).kind.drop_value)(free.1);
    }
}

unsafe fn free<H: Host>(cx: &Attached<'_, H>, header: *mut ObjectHeader) {
    // SAFETY: the object was allocated with this layout from this interpreter's heap.
    unsafe {
        let (domain, layout) = ((*header).kind.domain, ObjectHeader::layout(header));
        cx.deallocate(domain, ObjectHeader::block(header), layout);
    }
}

/// Frees the memory of an object whose value is gone: moved out, or dropped.
///
/// # Safety
/// `header` is an object of this interpreter without any other reference.
pub(crate) unsafe fn discard<H: Host>(cx: &Attached<'_, H>, header: *mut ObjectHeader) {
    // SAFETY: passed on.
    unsafe {
        unlink(&cx.slot().head, header);
        free(cx, header);
    }
}

/// Gives an object with a tail another size, and with that perhaps another place.
///
/// # Errors
/// It is as it was.
///
/// # Safety
/// `header` is an object of this interpreter with a tail and without any other reference; `new` is of its kind.
pub(crate) unsafe fn resize<H: Host>(
    cx: &Attached<'_, H>,
    header: NonNull<ObjectHeader>,
    new: Layout,
) -> Result<NonNull<ObjectHeader>, AllocError> {
    // SAFETY: passed on. Nobody but the caller and its neighbours in the list refers to the object: with one reference it
    // is not owed.
    unsafe {
        let (kind, old) = (header.as_ref().kind, ObjectHeader::layout(header.as_ptr()));
        let block = cx.reallocate(kind.domain, ObjectHeader::block(header.as_ptr()), old, new)?;
        let moved = block.add(kind.offset).cast::<ObjectHeader>();
        (*moved.cast::<Tailed>().as_ptr()).size = new.size();
        if kind.is_finalized() {
            let links = ObjectHeader::links(moved.as_ptr());
            match NonNull::new(links.prev.get()) {
                Some(prev) => ObjectHeader::links(prev.as_ptr()).next.set(moved.as_ptr()),
                None => cx.slot().head.finalized.set(moved.as_ptr()),
            }
            if let Some(next) = NonNull::new(links.next.get()) {
                ObjectHeader::links(next.as_ptr()).prev.set(moved.as_ptr());
            }
        }
        Ok(moved)
    }
}

/// Drops every value that has a destructor. The sweep of the heap returns the memory, for an edge in one value touches
/// the header of another object. If a destructor panics, those that come after it are skipped.
///
/// # Safety
/// No reference to an object of this interpreter is on any stack, and the sweep follows.
pub(crate) unsafe fn drop_all<H: Host>(cx: &Attached<'_, H>, ledger: &mut Ledger) {
    let head = &cx.slot().head;
    let mut at = head.finalized.replace(ptr::null_mut());
    ledger.destructors_skipped = count(at);
    while !at.is_null() {
        // SAFETY: the object is live, and its value is dropped once.
        unsafe {
            let next = ObjectHeader::links(at).next.get();
            ((*at).kind.drop_value)(at);
            at = next;
        }
        ledger.destructors_skipped -= 1;
    }
}

/// Notes what is left of the objects before the sweep. Values that `drop_all` did not come to are given up.
pub(crate) fn give_up<H: Host>(cx: &Attached<'_, H>, ledger: &mut Ledger) {
    let head = &cx.slot().head;
    ledger.objects = head.live_objects.get();
    // Something panicked before `drop_all` began.
    ledger.destructors_skipped += count(head.finalized.replace(ptr::null_mut()));
    head.owed.store(ptr::null_mut(), Ordering::Relaxed);
}

/// Objects in the list from `at`. Holder only.
fn count(mut at: *mut ObjectHeader) -> usize {
    let mut count = 0;
    while !at.is_null() {
        count += 1;
        // SAFETY: the list holds exactly the live objects of finalized kinds.
        at = unsafe { ObjectHeader::links(at) }.next.get();
    }
    count
}
