//! Dropping values and freeing memory: under `&mut Attached` only.

#![allow(unsafe_code)]

use core::{ptr, ptr::NonNull};

use crate::{
    eval::breaker::OWED,
    host::Host,
    interpreter::InterpreterHead,
    memory::{Domain, Ledger},
    object::ObjectHeader,
    sync::Ordering,
    thread::Attached,
};

/// Settles every release that is owed; objects without a reference go.
pub(crate) fn settle<H: Host>(cx: &mut Attached<'_, H>) {
    loop {
        let mut header = cx.slot().head.owed.swap(ptr::null_mut(), Ordering::Acquire);
        if header.is_null() {
            return;
        }
        while !header.is_null() {
            // SAFETY: a linked header has a release owed, so it is live. The link is read before the debt is
            // settled: from then on another thread may link it again.
            unsafe {
                let next = (*header).next_owed.get();
                if (*header).settle() {
                    destroy(cx, header);
                }
                header = next;
            }
        }
    }
}

/// Gives up one reference under the token, without the detour by the owed list.
///
/// # Safety
/// `header` is an object of this interpreter, and the reference is counted and given up here.
pub(super) unsafe fn release<H: Host>(cx: &mut Attached<'_, H>, header: *mut ObjectHeader) {
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
    // SAFETY: the list holds exactly the live objects; the caller holds the GIL.
    unsafe {
        match (*header).prev.get().as_ref() {
            Some(prev) => prev.next.set((*header).next.get()),
            None => head.objects.set((*header).next.get()),
        }
        if let Some(next) = (*header).next.get().as_ref() {
            next.prev.set((*header).prev.get());
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
    // SAFETY: the object was allocated with this layout from this interpreter's object domain.
    unsafe {
        let layout = (*header).kind.layout;
        cx.deallocate(Domain::Object, NonNull::new_unchecked(header.cast()), layout);
    }
}

/// Drops every value; the memory is freed by [`free_all`], for an edge in one value touches the header of another
/// object. If a destructor panics, those that come after it are skipped.
///
/// # Safety
/// No reference to an object of this interpreter is on any stack, and `free_all` follows.
pub(crate) unsafe fn drop_all<H: Host>(cx: &Attached<'_, H>, ledger: &mut Ledger) {
    let left = count(&cx.slot().head);
    ledger.objects = left;
    ledger.destructors_skipped = left;
    let mut at = cx.slot().head.objects.get();
    while !at.is_null() {
        // SAFETY: the object is live, and its value is dropped once.
        unsafe {
            let next = (*at).next.get();
            ((*at).kind.drop_value)(at);
            at = next;
        }
        ledger.destructors_skipped -= 1;
    }
}

/// Frees the memory of every object. Values that `drop_all` did not come to are given up.
///
/// # Safety
/// As for [`drop_all`], and nothing looks at an object again.
pub(crate) unsafe fn free_all<H: Host>(cx: &Attached<'_, H>, ledger: &mut Ledger) {
    let head = &cx.slot().head;
    let left = count(head);
    if ledger.objects != left {
        // Something panicked before `drop_all` began.
        ledger.objects = left;
        ledger.destructors_skipped = left;
    }
    head.owed.store(ptr::null_mut(), Ordering::Relaxed);
    let mut at = head.objects.replace(ptr::null_mut());
    while !at.is_null() {
        // SAFETY: the list holds the live objects, whose values are dropped or given up.
        unsafe {
            let next = (*at).next.get();
            free(cx, at);
            at = next;
        }
    }
}

/// Objects there are. Holder only.
fn count(head: &InterpreterHead) -> usize {
    let (mut at, mut count) = (head.objects.get(), 0);
    // SAFETY: the list holds exactly the live objects.
    while let Some(object) = unsafe { at.as_ref() } {
        count += 1;
        at = object.next.get();
    }
    count
}
