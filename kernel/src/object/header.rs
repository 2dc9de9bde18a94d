//! The header in front of every object.

#![allow(unsafe_code)]

use core::{alloc::Layout, any::TypeId, cell::UnsafeCell, ptr};

use crate::{
    eval::breaker::OWED,
    guest::Family,
    interpreter::InterpreterHead,
    sync::{AtomicUsize, Cell, Ordering},
    thread::session::Session,
};

/// A count that gets here stays, and the object lives as long as its interpreter: a forgotten handle in a loop
/// must not wrap.
const FOREVER: usize = usize::MAX / 2;

/// What the kernel knows of an object's type.
pub(crate) struct Kind {
    pub(crate) layout: Layout,
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) drop_value: unsafe fn(*mut ObjectHeader),
}

pub(crate) struct ObjectHeader {
    /// GIL.
    count: Cell<usize>,
    /// Releases owed, from anywhere; above zero exactly while linked in the interpreter's owed list.
    pub(super) owed: AtomicUsize,
    pub(super) next_owed: Cell<*mut ObjectHeader>,
    /// GIL: all objects of the interpreter.
    pub(super) prev: Cell<*mut ObjectHeader>,
    pub(super) next: Cell<*mut ObjectHeader>,
    pub(super) interpreter: *const InterpreterHead,
    pub(super) kind: &'static Kind,
}

#[repr(C)]
pub(crate) struct Object<F: Family> {
    pub(super) head: ObjectHeader,
    pub(super) value: UnsafeCell<F::At<'static>>,
}

impl<F: Family> Object<F> {
    pub(super) const KIND: &'static Kind =
        &Kind { layout: Layout::new::<Object<F>>(), type_id: TypeId::of::<F>, drop_value: drop_value::<F> };
}

unsafe fn drop_value<F: Family>(header: *mut ObjectHeader) {
    // SAFETY: the caller passes the header of a live Object<F>, once.
    unsafe { ptr::drop_in_place((*header.cast::<Object<F>>()).value.get()) }
}

impl ObjectHeader {
    pub(super) fn new(interpreter: &InterpreterHead, kind: &'static Kind) -> Self {
        ObjectHeader {
            count: Cell::new(1),
            owed: AtomicUsize::new(0),
            next_owed: Cell::new(ptr::null_mut()),
            prev: Cell::new(ptr::null_mut()),
            next: Cell::new(interpreter.objects.get()),
            interpreter,
            kind,
        }
    }

    /// One reference more. Holder only.
    pub(super) fn retain(&self) {
        self.count.set(self.count.get().saturating_add(1).min(FOREVER));
    }

    /// Takes the releases owed off the count: whether none is left. Holder only.
    #[must_use]
    pub(super) fn settle(&self) -> bool {
        let owed = self.owed.swap(0, Ordering::AcqRel);
        let count = self.count.get();
        if count < FOREVER {
            self.count.set(count.saturating_sub(owed));
        }
        self.count.get() == 0
    }

    /// One reference less, by a handle that is given up with the token: whether it was the last.
    ///
    /// A count of one is this handle's own, and so tells that no release is owed either: each that is owed is still
    /// counted. Holder only.
    #[inline]
    #[must_use]
    pub(super) fn release_now(&self) -> bool {
        let count = self.count.get();
        if count < FOREVER {
            self.count.set(count - 1);
        }
        count == 1
    }

    /// One reference less, by a handle that was dropped without a token. On the thread that holds the GIL the
    /// count falls at once, unless it was the last; everything else is owed until the next safepoint.
    ///
    /// # Safety
    /// `header` is live, and the reference is given up.
    pub(super) unsafe fn release(header: *mut ObjectHeader) {
        // SAFETY: the header is live until the reference is given up below, and the interpreter outlives it.
        let (this, interpreter) = unsafe { (&*header, &*(*header).interpreter) };
        let current = (interpreter.current)().cast::<Session>();
        // SAFETY: [S1] the slot's chain leads to open frames of this thread.
        let frame = unsafe { current.as_ref() };
        let attached = frame.filter(|s| s.attached.get() && ptr::eq(s.interpreter.get(), interpreter));
        // The count is looked at by the holder of the GIL only.
        if let Some(count) = attached.map(|_| this.count.get()).filter(|count| *count > 1) {
            if count < FOREVER {
                this.count.set(count - 1);
            }
            return;
        }
        // SAFETY: passed on.
        unsafe { owe(header, interpreter) };
        tell_frame(frame, interpreter);
    }
}

/// Links the header in the interpreter's owed list, by raw pointer: the object may be freed the moment it is
/// published.
unsafe fn owe(header: *mut ObjectHeader, interpreter: &InterpreterHead) {
    // SAFETY: the reference that is given up keeps the object alive until `owed` is counted.
    unsafe {
        if (*header).owed.fetch_add(1, Ordering::AcqRel) != 0 {
            return;
        }
        let mut first = interpreter.owed.load(Ordering::Relaxed);
        loop {
            (*header).next_owed.set(first);
            match interpreter.owed.compare_exchange_weak(first, header, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }
}

/// The frame of this thread that will settle it looks at its next safepoint.
fn tell_frame(mut frame: Option<&Session>, interpreter: &InterpreterHead) {
    while let Some(session) = frame {
        if ptr::eq(session.interpreter.get(), interpreter) {
            // SAFETY: thread slots are type-stable.
            unsafe { (*session.thread.get()).breaker.set(OWED) };
            return;
        }
        // SAFETY: [S1] the chain leads to open frames of this thread.
        frame = unsafe { session.prev.get().as_ref() };
    }
}
