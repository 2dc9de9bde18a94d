//! The header in front of every object.

#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    any::TypeId,
    cell::UnsafeCell,
    mem::{needs_drop, offset_of},
    ptr,
    ptr::NonNull,
};

use crate::{
    eval::breaker::OWED,
    guest::Family,
    interpreter::InterpreterHead,
    memory::Domain,
    sync::{AtomicUsize, Cell, Ordering},
    thread::session::{Hold, Session},
};

/// A count that gets here stays, and the object lives as long as its interpreter: a forgotten handle in a loop
/// must not wrap.
const FOREVER: usize = usize::MAX / 2;

/// What the kernel knows of an object's type.
pub(crate) struct Kind {
    /// Of the whole block; where it has a tail, of what stands before it.
    pub(crate) layout: Layout,
    /// Where the header lies in the block: behind the links of an object that is to be finalized, which are at the start.
    pub(crate) offset: usize,
    pub(crate) domain: Domain,
    /// The block is as large as its [`Tailed`] says.
    pub(crate) has_tail: bool,
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) drop_value: unsafe fn(*mut ObjectHeader),
}

pub(crate) struct ObjectHeader {
    /// GIL.
    count: Cell<usize>,
    /// Releases owed, from anywhere; above zero exactly while linked in the interpreter's owed list.
    pub(super) owed: AtomicUsize,
    pub(super) next_owed: Cell<*mut ObjectHeader>,
    pub(super) interpreter: *const InterpreterHead,
    pub(super) kind: &'static Kind,
}

/// GIL: the interpreter's objects whose values have destructors, newest first. The end walks this list; the memory of
/// all others goes back without a look at them.
pub(super) struct Links {
    pub(super) prev: Cell<*mut ObjectHeader>,
    pub(super) next: Cell<*mut ObjectHeader>,
}

/// A block with links.
#[repr(C)]
struct Linked<B> {
    links: Links,
    body: B,
}

#[repr(C)]
pub(crate) struct Object<F: Family> {
    pub(super) head: ObjectHeader,
    pub(super) value: UnsafeCell<F::At<'static>>,
}

/// The header of a block whose size is its own.
#[repr(C)]
pub(crate) struct Tailed {
    pub(crate) head: ObjectHeader,
    /// Of the whole block.
    pub(crate) size: usize,
}

impl<F: Family> Object<F> {
    pub(super) const KIND: &'static Kind = &Kind {
        type_id: TypeId::of::<F>,
        ..Kind::of::<Self>(Domain::Object, needs_drop::<F::At<'static>>(), drop_value::<F>)
    };
}

/// What no name is given to: it stands for the types of containers, which need not be `'static`.
struct Unnamed;

impl Kind {
    /// Of blocks with the body `B`, which begins with the header.
    pub(crate) const fn of<B>(
        domain: Domain,
        finalized: bool,
        drop_value: unsafe fn(*mut ObjectHeader),
    ) -> Kind {
        let (layout, offset) = if finalized {
            (Layout::new::<Linked<B>>(), offset_of!(Linked<B>, body))
        } else {
            (Layout::new::<B>(), 0)
        };
        Kind { layout, offset, domain, has_tail: false, type_id: TypeId::of::<Unnamed>, drop_value }
    }

    /// Of blocks with the body `B`, which begins with [`Tailed`], and a tail behind it.
    pub(crate) const fn tailed<B>(
        domain: Domain,
        finalized: bool,
        drop_value: unsafe fn(*mut ObjectHeader),
    ) -> Kind {
        Kind { has_tail: true, ..Kind::of::<B>(domain, finalized, drop_value) }
    }

    /// Whether objects of this kind are linked.
    pub(super) const fn is_finalized(&self) -> bool {
        self.offset != 0
    }

    /// The layout of a block with a tail of so many bytes.
    pub(crate) fn with_tail(&self, bytes: usize) -> Option<Layout> {
        let size = self.layout.size().checked_add(bytes)?;
        Layout::from_size_align(size, self.layout.align()).ok()
    }
}

unsafe fn drop_value<F: Family>(header: *mut ObjectHeader) {
    // SAFETY: the caller passes the header of a live Object<F>, once.
    unsafe { ptr::drop_in_place((*header.cast::<Object<F>>()).value.get()) }
}

impl ObjectHeader {
    /// Makes a fresh block an object: everything but the value and what else stands behind the header.
    ///
    /// # Safety
    /// `block` is of this interpreter and of the kind; this thread holds the GIL.
    #[inline]
    pub(crate) unsafe fn install(
        interpreter: &InterpreterHead,
        kind: &'static Kind,
        block: NonNull<u8>,
    ) -> NonNull<ObjectHeader> {
        if kind.domain == Domain::Object {
            interpreter.live_objects.set(interpreter.live_objects.get() + 1);
        }
        // SAFETY: the block is fresh and has the kind's layout; the list is touched under the GIL only.
        unsafe {
            let header = block.add(kind.offset).cast::<ObjectHeader>();
            header.write(ObjectHeader {
                count: Cell::new(1),
                owed: AtomicUsize::new(0),
                next_owed: Cell::new(ptr::null_mut()),
                interpreter,
                kind,
            });
            if kind.is_finalized() {
                let next = Cell::new(interpreter.finalized.get());
                block.cast::<Links>().write(Links { prev: Cell::new(ptr::null_mut()), next });
                if let Some(next) = NonNull::new(interpreter.finalized.get()) {
                    ObjectHeader::links(next.as_ptr()).prev.set(header.as_ptr());
                }
                interpreter.finalized.set(header.as_ptr());
            }
            header
        }
    }

    /// The layout of the block.
    ///
    /// # Safety
    /// `header` is the header of a block of its kind.
    pub(super) unsafe fn layout(header: *mut ObjectHeader) -> Layout {
        // SAFETY: passed on; a tail's layout was valid when the block was made, and the kind's alignment is.
        unsafe {
            let kind = (*header).kind;
            if !kind.has_tail {
                return kind.layout;
            }
            Layout::from_size_align_unchecked((*header.cast::<Tailed>()).size, kind.layout.align())
        }
    }

    /// The start of the block.
    ///
    /// # Safety
    /// `header` is the header of a block of its kind.
    pub(super) unsafe fn block(header: *mut ObjectHeader) -> NonNull<u8> {
        // SAFETY: passed on; the header lies that far into its block.
        unsafe { NonNull::new_unchecked(header.byte_sub((*header).kind.offset).cast()) }
    }

    /// The links.
    ///
    /// # Safety
    /// `header` is live, and its kind is finalized.
    pub(super) unsafe fn links<'a>(header: *mut ObjectHeader) -> &'a Links {
        // SAFETY: such a block begins with its links.
        unsafe { Self::block(header).cast().as_ref() }
    }

    /// Whether there is one reference, and none that is owed. Holder only.
    pub(crate) fn is_unique(&self) -> bool {
        self.count.get() == 1
    }

    /// One reference more. Holder only.
    pub(crate) fn retain(&self) {
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
    pub(crate) unsafe fn release(header: *mut ObjectHeader) {
        // SAFETY: the header is live until the reference is given up below, and the interpreter outlives it.
        let (this, interpreter) = unsafe { (&*header, &*(*header).interpreter) };
        let current = (interpreter.current)().cast::<Session>();
        // SAFETY: [S1] the slot's chain leads to open frames of this thread.
        let frame = unsafe { current.as_ref() };
        let attached =
            frame.filter(|s| s.hold.get() == Hold::Gil && ptr::eq(s.interpreter.get(), interpreter));
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
    // SAFETY: the reference that is given up keeps the object alive until `owed` is counted. Whoever counts the first
    // debt links it.
    unsafe {
        if (*header).owed.fetch_add(1, Ordering::AcqRel) == 0 {
            publish(header, header, interpreter);
        }
    }
}

/// Puts a chain back that was taken out of the owed list.
///
/// # Safety
/// This thread took the chain out and holds the GIL; no debt of the chain is settled yet.
pub(super) unsafe fn owe_again(first: *mut ObjectHeader, interpreter: &InterpreterHead) {
    let mut last = first;
    // SAFETY: what has a release owed is live, and is linked by nobody else meanwhile.
    unsafe {
        while let Some(next) = NonNull::new((*last).next_owed.get()) {
            last = next.as_ptr();
        }
        publish(first, last, interpreter);
    }
}

/// Puts a chain in front of the owed list.
///
/// # Safety
/// This thread alone links these headers; each has a release owed.
unsafe fn publish(first: *mut ObjectHeader, last: *mut ObjectHeader, interpreter: &InterpreterHead) {
    let mut next = interpreter.owed.load(Ordering::Relaxed);
    loop {
        // SAFETY: passed on.
        unsafe { (*last).next_owed.set(next) };
        match interpreter.owed.compare_exchange_weak(next, first, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => next = now,
        }
    }
}

/// The frame of this thread that will settle it looks at its next safepoint; without one, whoever comes back next.
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
    interpreter.leave_untold();
}
