//! What the host keeps in an interpreter: values by a unique index (SPEC O4) and by name (SPEC L12), valid until the guest
//! is down.

#![allow(unsafe_code)]

use core::{marker::PhantomData, mem};

use crate::{
    collections::{Map, Text, Vec},
    guest::Family,
    host::Host,
    memory::AllocError,
    object::{AnyEdge, Local, Owned},
    runtime::UniqueIndex,
    thread::Attached,
};

/// Both tables of one interpreter. Touched under its GIL only.
pub(crate) struct HostValues<'i> {
    by_index: Vec<'i, Option<AnyEdge<'i>>>,
    by_name: Map<'i, Text<'i>, AnyEdge<'i>>,
}

impl HostValues<'_> {
    pub(crate) const fn new() -> Self {
        HostValues { by_index: Vec::new(), by_name: Map::new() }
    }

    /// Forgets the tables, whose memory is swept or will be.
    pub(crate) fn abandon(&mut self) {
        mem::forget(mem::replace(self, HostValues::new()));
    }
}

impl<'i, H: Host> Attached<'i, H> {
    fn values(&self) -> &HostValues<'i> {
        // SAFETY: [O1] the tables are this interpreter's, stored at the brand of storage, and changed under `&mut self` only.
        unsafe { &*self.slot().values.get().cast() }
    }

    /// Changes the tables. They are away meanwhile, so `f` runs no code but the kernel's: it drops keys and values, which
    /// defers, and releases none.
    fn with_values<R>(&mut self, f: impl FnOnce(&mut HostValues<'i>, &mut Self) -> R) -> R {
        let place = self.slot().values.get().cast::<HostValues<'i>>();
        // SAFETY: [O1] as above; `&mut self` is unique.
        let mut values = unsafe { mem::replace(&mut *place, HostValues::new()) };
        let answer = f(&mut values, self);
        // SAFETY: as above. What stands there is empty.
        unsafe { place.write(values) };
        answer
    }

    /// Lets go of what the host keeps here. In phase CLEARING, on the last token.
    pub(crate) fn forget_values(&mut self) {
        let HostValues { by_index, by_name } =
            self.with_values(|values, _| mem::replace(values, HostValues::new()));
        by_name.release(self);
        by_index.release(self);
    }

    /// What the host keeps here under a name, if it is of family `F` (`PyInterpreterState_GetDict`; SPEC L12).
    pub fn host_value<F: Family>(&self, name: &str) -> Option<Local<'_, 'i, F>> {
        self.values().by_name.get(self, name)?.local(self)
    }

    /// Keeps an object here under a name, until it is taken away or the guest is down; the one that was there is released.
    ///
    /// # Errors
    /// The reference comes back with the reason; what was there stays.
    pub fn set_host_value<F: Family>(
        &mut self,
        name: &str,
        object: Owned<'i, F>,
    ) -> Result<(), (Owned<'i, F>, AllocError)> {
        self.with_values(|values, cx| {
            if let Some(present) = values.by_name.get_mut(cx, name) {
                *present = object.into();
                return Ok(());
            }
            let key = match Text::of(cx, name) {
                Ok(key) => key,
                Err(error) => return Err((object, error)),
            };
            if let Err(error) = values.by_name.reserve(cx, 1) {
                return Err((object, error));
            }
            // There is room: nothing is refused.
            let _ = values.by_name.insert(cx, key, object.into());
            Ok(())
        })
    }

    /// Takes what the host keeps here under a name, if it is of family `F`.
    pub fn take_host_value<F: Family>(&mut self, name: &str) -> Option<Owned<'i, F>> {
        self.host_value::<F>(name)?;
        self.with_values(|values, cx| values.by_name.remove(cx, name)?.into_owned(cx).ok())
    }
}

/// A value that each interpreter has its own of, found in constant time (SPEC O4). Meant to be a `static`.
pub struct InterpreterLocal<F: Family> {
    index: UniqueIndex,
    exact: PhantomData<fn(F) -> F>,
}

impl<F: Family> InterpreterLocal<F> {
    const_unless_loom! {
        /// One that no interpreter has a value for.
        pub const fn new() -> Self {
            InterpreterLocal { index: UniqueIndex::new(), exact: PhantomData }
        }
    }

    /// This interpreter's value, if it has one.
    pub fn get<'a, 'i, H: Host>(&self, cx: &'a Attached<'i, H>) -> Option<Local<'a, 'i, F>> {
        // The type is checked too, so that memory safety does not depend on the host's `new_index`.
        cx.values().by_index.get(cx, self.index.get(cx.rt()))?.as_ref()?.local(cx)
    }

    /// Gives this interpreter a value, until it is taken away or the guest is down; the one that was there is released.
    ///
    /// # Errors
    /// The reference comes back with the reason; what was there stays.
    pub fn set<'i, H: Host>(
        &self,
        cx: &mut Attached<'i, H>,
        object: Owned<'i, F>,
    ) -> Result<(), (Owned<'i, F>, AllocError)> {
        let index = self.index.get(cx.rt());
        cx.with_values(|values, cx| {
            let len = values.by_index.len(cx);
            // The host may number as it likes: what is too far is refused, and not gone to in steps.
            if let Err(error) = values.by_index.reserve(cx, index.saturating_add(1).saturating_sub(len)) {
                return Err((object, error));
            }
            while values.by_index.len(cx) <= index {
                // There is room: nothing is refused.
                let _ = values.by_index.push(cx, None);
            }
            if let Some(place) = values.by_index.get_mut(cx, index) {
                *place = Some(object.into());
            }
            Ok(())
        })
    }

    /// Takes this interpreter's value.
    pub fn take<'i, H: Host>(&self, cx: &mut Attached<'i, H>) -> Option<Owned<'i, F>> {
        self.get(cx)?;
        let index = self.index.get(cx.rt());
        cx.with_values(|values, cx| values.by_index.get_mut(cx, index)?.take()?.into_owned(cx).ok())
    }
}

impl<F: Family> Default for InterpreterLocal<F> {
    fn default() -> Self {
        Self::new()
    }
}
