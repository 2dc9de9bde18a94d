//! `Global`: a name for an object that may leave its interpreter, checked at every use (SPEC O3).

#![allow(unsafe_code)]

use core::{alloc::Layout, any::TypeId, marker::PhantomData, ptr, ptr::NonNull};

use crate::{
    error::HandleError,
    guest::Family,
    host::Host,
    interpreter::InterpreterId,
    memory::{AllocError, Domain},
    object::{Local, Owned, header::Object, header::ObjectHeader},
    sync::Cell,
    thread::Attached,
};

/// A name, not a reference: `Copy`, `Send`, without a destructor, since the runtime may be gone. It keeps the
/// object alive until [`release_global`](Attached::release_global), or its interpreter's end.
pub struct Global<F: Family> {
    id: InterpreterId,
    index: u32,
    generation: u32,
    exact: PhantomData<fn(F) -> F>,
}

impl<F: Family> Clone for Global<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Family> Copy for Global<F> {}

struct Entry {
    generation: Cell<u32>,
    object: Cell<*mut ObjectHeader>,
    /// The next free entry; valid while `object` is null.
    next_free: Cell<u32>,
}

const NONE: u32 = u32::MAX;

/// The names of one interpreter, in its mem domain. Touched under its GIL only.
pub(crate) struct GlobalTable {
    entries: Cell<*mut Entry>,
    capacity: Cell<u32>,
    len: Cell<u32>,
    free: Cell<u32>,
    /// The generation of an entry that is used for the first time: above that of every name of before a reset.
    first: Cell<u32>,
}

impl GlobalTable {
    pub(crate) fn new() -> Self {
        GlobalTable {
            entries: Cell::new(ptr::null_mut()),
            capacity: Cell::new(0),
            len: Cell::new(0),
            free: Cell::new(NONE),
            first: Cell::new(1),
        }
    }

    fn entry(&self, index: u32) -> Option<&Entry> {
        // SAFETY: entries below `len` are initialized, and live until `forget` or the next growth, which the
        // caller's borrow of the token excludes.
        (index < self.len.get()).then(|| unsafe { &*self.entries.get().add(index as usize) })
    }

    fn add<H: Host>(
        &self,
        cx: &Attached<'_, H>,
        object: *mut ObjectHeader,
    ) -> Result<(u32, u32), AllocError> {
        if let Some(entry) = self.entry(self.free.get()) {
            let index = self.free.replace(entry.next_free.get());
            entry.object.set(object);
            return Ok((index, entry.generation.get()));
        }
        let index = self.len.get();
        if index == self.capacity.get() {
            self.grow(cx)?;
        }
        let entry = Entry {
            generation: Cell::new(self.first.get()),
            object: Cell::new(object),
            next_free: Cell::new(NONE),
        };
        // SAFETY: the index is below the capacity.
        unsafe { self.entries.get().add(index as usize).write(entry) };
        self.len.set(index + 1);
        Ok((index, self.first.get()))
    }

    fn layout(capacity: u32) -> Option<Layout> {
        Layout::array::<Entry>(capacity as usize).ok()
    }

    fn grow<H: Host>(&self, cx: &Attached<'_, H>) -> Result<(), AllocError> {
        let capacity = self.capacity.get().saturating_mul(2).max(8);
        let too_large = AllocError {
            domain: Domain::Mem,
            requested: usize::MAX,
            cause: crate::memory::AllocCause::TooLarge,
        };
        let layout = Self::layout(capacity).ok_or(too_large)?;
        let entries = cx.allocate(Domain::Mem, layout)?.cast::<Entry>().as_ptr();
        if let Some(old) = NonNull::new(self.entries.get()) {
            // SAFETY: `len` entries are initialized, and the new table is larger.
            unsafe { ptr::copy_nonoverlapping(old.as_ptr(), entries, self.len.get() as usize) };
            self.free_table(cx, old);
        }
        self.entries.set(entries);
        self.capacity.set(capacity);
        Ok(())
    }

    fn free_table<H: Host>(&self, cx: &Attached<'_, H>, table: NonNull<Entry>) {
        if let Some(layout) = Self::layout(self.capacity.get()) {
            // SAFETY: the table was allocated with this layout from the mem domain.
            unsafe { cx.deallocate(Domain::Mem, table.cast(), layout) };
        }
    }

    fn remove(&self, index: u32, entry: &Entry) -> *mut ObjectHeader {
        let object = entry.object.replace(ptr::null_mut());
        // At its last generation the entry is retired: no name may come back to life.
        if let Some(next) = entry.generation.get().checked_add(1) {
            entry.generation.set(next);
            entry.next_free.set(self.free.replace(index));
        }
        object
    }

    /// Gives the table back; the objects are dropped by the caller.
    ///
    /// # Safety
    /// Phase CLEARING.
    pub(crate) unsafe fn forget<H: Host>(&self, cx: &Attached<'_, H>) {
        let newest =
            (0..self.len.get()).filter_map(|index| self.entry(index)).map(|entry| entry.generation.get());
        self.first.set(newest.max().unwrap_or(0).max(self.first.get()));
        if let Some(table) = NonNull::new(self.entries.replace(ptr::null_mut())) {
            self.free_table(cx, table);
        }
        self.clear();
    }

    /// For the next program of the same interpreter: no name of before is one again. `false`: generations are used up.
    #[must_use]
    pub(crate) fn begin_again(&self) -> bool {
        let next = self.first.get().checked_add(1);
        self.first.set(next.unwrap_or(self.first.get()));
        next.is_some()
    }

    fn clear(&self) {
        self.entries.set(ptr::null_mut());
        self.capacity.set(0);
        self.len.set(0);
        self.free.set(NONE);
    }

    /// Forgets the table, whose memory is given back by the sweep or is already: for the next interpreter.
    pub(crate) fn abandon(&self) {
        self.clear();
        self.first.set(1);
    }
}

impl<'i, H: Host> Attached<'i, H> {
    /// Gives an object a name that may leave this interpreter.
    ///
    /// # Errors
    /// The reference comes back with the reason.
    pub fn global<F: Family>(&self, object: Owned<'i, F>) -> Result<Global<F>, (Owned<'i, F>, AllocError)> {
        let header = object.local(self);
        let named = self.slot().globals.add(self, header.header());
        match named {
            Ok((index, generation)) => {
                object.into_object();
                Ok(Global { id: self.id(), index, generation, exact: PhantomData })
            }
            Err(error) => Err((object, error)),
        }
    }

    fn find<F: Family>(&self, global: &Global<F>) -> Result<(&Entry, NonNull<Object<F>>), HandleError> {
        if global.id.cycle != self.id().cycle {
            return Err(HandleError::WrongRuntime);
        }
        if global.id != self.id() {
            return Err(HandleError::WrongInterpreter);
        }
        let entry = self.slot().globals.entry(global.index).ok_or(HandleError::Stale)?;
        let object = NonNull::new(entry.object.get()).ok_or(HandleError::Stale)?;
        // The type is checked too, so that memory safety does not depend on the host's `new_cycle`.
        // SAFETY: a named object is counted, so it is live.
        let type_id = unsafe { (object.as_ref().kind.type_id)() };
        if entry.generation.get() != global.generation || type_id != TypeId::of::<F>() {
            return Err(HandleError::Stale);
        }
        Ok((entry, object.cast()))
    }

    /// The object behind a name.
    ///
    /// # Errors
    /// `WrongInterpreter`, `WrongRuntime` or `Stale`: never another object.
    pub fn local<F: Family>(&self, global: &Global<F>) -> Result<Local<'_, 'i, F>, HandleError> {
        self.find(global).map(|(_, object)| Local::of(object))
    }

    /// Takes a name back, and with it the reference it kept.
    ///
    /// # Errors
    /// As for [`local`](Self::local).
    pub fn release_global<F: Family>(&mut self, global: &Global<F>) -> Result<(), HandleError> {
        let (entry, _) = self.find(global)?;
        let object = self.slot().globals.remove(global.index, entry);
        // SAFETY: the name counted one reference, which is given up here.
        unsafe { ObjectHeader::release(object) };
        self.settle();
        Ok(())
    }
}
