//! Handles: `Owned` for an evaluation stack, `Local` for a look, `Edge` for references inside objects and state.

#![allow(unsafe_code)]

use core::{any::TypeId, marker::PhantomData, mem, ptr, ptr::NonNull};

use crate::{
    eval::breaker::OWED,
    guest::{Family, Plain},
    host::Host,
    memory::AllocError,
    object::header::{Object, ObjectHeader},
    thread::{Attached, Brand},
};

/// Invariant in the family, `!Send`, `!Sync`.
type Exact<F> = PhantomData<*mut F>;

/// A counted reference that may live across safepoints and detaches: an evaluation stack is made of these. It
/// stays on its thread, and is read through the token only.
///
/// Dropping it without the GIL only notes that a release is owed; nothing is freed outside the token.
pub struct Owned<'i, F: Family> {
    object: NonNull<Object<F>>,
    brand: Brand<'i>,
    exact: Exact<F>,
}

/// A look at an object: borrows the token, so it cannot live where another thread may run.
pub struct Local<'a, 'i, F: Family> {
    object: NonNull<Object<F>>,
    token: PhantomData<&'a ()>,
    brand: Brand<'i>,
    exact: Exact<F>,
}

/// A reference inside an object or a guest's state. `Send`, because its interpreter's threads take turns;
/// dropping it only notes that a release is owed.
pub struct Edge<'i, F: Family> {
    object: NonNull<Object<F>>,
    brand: Brand<'i>,
    exact: PhantomData<fn(F) -> F>,
}

// SAFETY: an edge can be read with a token only, and its drop is an atomic push; the value it leads to is
// `Send` (bound of `Family::At`).
unsafe impl<F: Family> Send for Edge<'_, F> {}

impl<F: Family> Clone for Local<'_, '_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for Local<'_, '_, F> {}

/// The value at the brand of the token.
///
/// # Safety
/// The object is live for `'a`, and no `&mut` to its value exists meanwhile.
unsafe fn value<'a, 'i, F: Family>(object: NonNull<Object<F>>) -> &'a F::At<'i> {
    // SAFETY: passed on; one family type at two lifetimes has one layout.
    unsafe { &*(*object.as_ptr()).value.get().cast() }
}

fn header<F: Family>(object: NonNull<Object<F>>) -> NonNull<ObjectHeader> {
    object.cast()
}

impl<'i, F: Family> Owned<'i, F> {
    /// The value. It borrows the token, not this reference: dropping the last reference frees nothing before
    /// the next `&mut Attached`.
    pub fn get<'a, H: Host>(&self, _: &'a Attached<'i, H>) -> &'a F::At<'i> {
        // SAFETY: [O1] the count is above zero and values die under `&mut Attached` only.
        unsafe { value(self.object) }
    }

    /// The value, to be changed. Unique, because the token is.
    pub fn get_mut<'a, H: Host>(&self, _: &'a mut Attached<'i, H>) -> &'a mut F::At<'i> {
        // SAFETY: [O1]; every reference to a value borrows the token of its interpreter, and this one uniquely.
        unsafe { &mut *(*self.object.as_ptr()).value.get().cast() }
    }

    /// A look at the object.
    pub fn local<'a, H: Host>(&self, _: &'a Attached<'i, H>) -> Local<'a, 'i, F> {
        Local { object: self.object, token: PhantomData, brand: PhantomData, exact: PhantomData }
    }

    /// For storing it inside an object or a guest's state.
    pub fn into_edge(self) -> Edge<'i, F> {
        let object = mem::ManuallyDrop::new(self).object;
        Edge { object, brand: PhantomData, exact: PhantomData }
    }

    pub(super) fn into_object(self) -> NonNull<Object<F>> {
        mem::ManuallyDrop::new(self).object
    }

    /// Gives the reference up now; if it was the last, the value is dropped and the memory freed.
    pub fn release<H: Host>(self, cx: &mut Attached<'i, H>) {
        let header = header(self.into_object()).as_ptr();
        // SAFETY: this reference is counted, and given up here; the brand says that it is of this interpreter.
        unsafe { super::release::release(cx, header) }
    }
}

impl<F: Family> Drop for Owned<'_, F> {
    fn drop(&mut self) {
        // SAFETY: this reference is counted, and given up here.
        unsafe { ObjectHeader::release(header(self.object).as_ptr()) }
    }
}

impl<F: Family> Drop for Edge<'_, F> {
    fn drop(&mut self) {
        // SAFETY: this reference is counted, and given up here.
        unsafe { ObjectHeader::release(header(self.object).as_ptr()) }
    }
}

impl<'i, F: Family> Edge<'i, F> {
    /// For using it on the stack: the inverse of [`Owned::into_edge`].
    pub fn into_owned<H: Host>(self, _: &Attached<'i, H>) -> Owned<'i, F> {
        let object = mem::ManuallyDrop::new(self).object;
        Owned { object, brand: PhantomData, exact: PhantomData }
    }

    /// The value.
    pub fn get<'a, H: Host>(&self, _: &'a Attached<'i, H>) -> &'a F::At<'i> {
        // SAFETY: [O1] as for `Owned::get`.
        unsafe { value(self.object) }
    }

    /// A look at the object.
    pub fn local<'a, H: Host>(&self, _: &'a Attached<'i, H>) -> Local<'a, 'i, F> {
        Local { object: self.object, token: PhantomData, brand: PhantomData, exact: PhantomData }
    }
}

/// An [`Edge`] to an object of whatever family.
pub struct AnyEdge<'i> {
    header: NonNull<ObjectHeader>,
    brand: Brand<'i>,
}

// SAFETY: as for `Edge`: the value it leads to is `Send`, of whatever family.
unsafe impl Send for AnyEdge<'_> {}

impl Drop for AnyEdge<'_> {
    fn drop(&mut self) {
        // SAFETY: this reference is counted, and given up here.
        unsafe { ObjectHeader::release(self.header.as_ptr()) }
    }
}

impl<'i, F: Family> From<Owned<'i, F>> for AnyEdge<'i> {
    fn from(owned: Owned<'i, F>) -> Self {
        AnyEdge { header: header(owned.into_object()), brand: PhantomData }
    }
}

impl<'i> AnyEdge<'i> {
    fn is<F: Family>(&self) -> bool {
        // SAFETY: the object is live; a kind never changes.
        unsafe { (self.header.as_ref().kind.type_id)() == TypeId::of::<F>() }
    }

    /// A look at the object, if it is of family `F`.
    pub fn local<'a, F: Family, H: Host>(&self, _: &'a Attached<'i, H>) -> Option<Local<'a, 'i, F>> {
        self.is::<F>().then(|| Local::of(self.header.cast()))
    }

    /// For using it on the stack, if the object is of family `F`.
    ///
    /// # Errors
    /// It is of another; the reference comes back.
    pub fn into_owned<F: Family, H: Host>(self, _: &Attached<'i, H>) -> Result<Owned<'i, F>, Self> {
        if !self.is::<F>() {
            return Err(self);
        }
        let object = mem::ManuallyDrop::new(self).header.cast();
        Ok(Owned { object, brand: PhantomData, exact: PhantomData })
    }
}

impl<'a, 'i, F: Family> Local<'a, 'i, F> {
    pub(super) fn of(object: NonNull<Object<F>>) -> Self {
        Local { object, token: PhantomData, brand: PhantomData, exact: PhantomData }
    }

    /// The value.
    pub fn get(self) -> &'a F::At<'i> {
        // SAFETY: [O1] the look borrows the token for `'a`.
        unsafe { value(self.object) }
    }

    /// A counted reference to the same object.
    pub fn to_owned(self) -> Owned<'i, F> {
        // SAFETY: the object is live, and the look borrows the token, so this thread holds the GIL.
        unsafe { header(self.object).as_ref() }.retain();
        Owned { object: self.object, brand: PhantomData, exact: PhantomData }
    }

    pub(super) fn header(self) -> *mut ObjectHeader {
        header(self.object).as_ptr()
    }

    /// Whether both are the same object.
    pub fn is(self, other: Local<'_, 'i, F>) -> bool {
        ptr::eq(self.object.as_ptr(), other.object.as_ptr())
    }
}

impl<'i, H: Host> Attached<'i, H> {
    /// Puts a value into this interpreter's object domain (SPEC O1).
    ///
    /// # Errors
    /// The value comes back with the reason: `(value, AllocError)`. `?` turns the two into the reason alone, in functions
    /// that answer an [`AllocError`] or an [`Error`](crate::error::Error).
    pub fn alloc<F: Family>(&self, value: F::At<'i>) -> Result<Owned<'i, F>, (F::At<'i>, AllocError)> {
        let kind = Object::<F>::KIND;
        let block = match self.allocate(kind.domain, kind.layout) {
            Ok(block) => block,
            Err(error) => return Err((value, error)),
        };
        // SAFETY: [T1]; the block is fresh and has the kind's layout; a value may be stored at the brand of storage (one
        // layout).
        unsafe {
            let object = ObjectHeader::install(&self.slot().head, kind, block).cast::<Object<F>>();
            (&raw mut (*object.as_ptr()).value).cast::<F::At<'i>>().write(value);
            Ok(Owned { object, brand: PhantomData, exact: PhantomData })
        }
    }

    /// Puts a value without references into this interpreter's object domain.
    ///
    /// # Errors
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_plain<T: Send + 'static>(&self, value: T) -> Result<Owned<'i, Plain<T>>, (T, AllocError)> {
        self.alloc::<Plain<T>>(value)
    }

    /// Releases everything that is owed. A safepoint does so too.
    pub fn settle(&mut self) {
        self.thread().breaker.take(OWED);
        super::settle(self);
    }
}
