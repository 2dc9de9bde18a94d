//! `Map`: keys and values in an interpreter's heap.

#![allow(unsafe_code)]

use core::{
    marker::PhantomData,
    mem::{self, ManuallyDrop},
    ptr::NonNull,
};

use crate::{
    collections::{
        Lookup,
        hash::FoldHasher,
        table::{Table, slots_for},
    },
    host::Host,
    memory::AllocError,
    object::{self, ObjectHeader},
    thread::{Attached, Brand},
};

type Exact<K, V> = PhantomData<fn((K, V)) -> (K, V)>;

/// A slot of a table with an entry, and the entry.
type Found<K, V> = (NonNull<Table<K, V>>, usize, *mut (K, V));

/// Keys and values in the heap of interpreter `'i`, in no order, with one owner.
///
/// Keys are `Hash` and `Eq`, or [`Text`](crate::collections::Text), or what implements [`Lookup`]. Dropping a map defers:
/// keys and values are dropped at the next safepoint, under the token. Its hash is no defence against keys that are chosen to
/// collide.
pub struct Map<'i, K, V> {
    table: Option<NonNull<Table<K, V>>>,
    brand: Brand<'i>,
    exact: Exact<K, V>,
}

// SAFETY: [K1] without a token it can only be dropped, which is an atomic push; the entries may be dropped by whichever
// thread holds the GIL then, and are `Send`.
unsafe impl<K: Send, V: Send> Send for Map<'_, K, V> {}

impl<K, V> Map<'_, K, V> {
    /// One without entries, and without memory.
    pub const fn new() -> Self {
        Map { table: None, brand: PhantomData, exact: PhantomData }
    }
}

impl<K, V> Default for Map<'_, K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'i, K: Send + 'i, V: Send + 'i> Map<'i, K, V> {
    /// How many entries there are.
    pub fn len<H: Host>(&self, _: &Attached<'i, H>) -> usize {
        // SAFETY: [K1] the block is live.
        self.table.map_or(0, |table| unsafe { (*table.as_ptr()).len })
    }

    /// Whether there are none.
    pub fn is_empty<H: Host>(&self, cx: &Attached<'i, H>) -> bool {
        self.len(cx) == 0
    }

    fn find<H: Host, Q: Lookup<'i, K> + ?Sized>(&self, cx: &Attached<'i, H>, key: &Q) -> Option<Found<K, V>> {
        let table = self.table?;
        let hash = hash(cx, table, key);
        // SAFETY: [K1] the block is live; this map is borrowed, so the keys' code does not change it.
        let found = unsafe { Table::find(table, hash, |found| key.is(cx, found)) };
        found.map(|(index, entry)| (table, index, entry))
    }

    /// The value of a key.
    pub fn get<'a, H: Host, Q: Lookup<'i, K> + ?Sized>(
        &'a self,
        cx: &'a Attached<'i, H>,
        key: &Q,
    ) -> Option<&'a V> {
        // SAFETY: [K1] the entry is live, and what changes it needs `&mut self`.
        self.find(cx, key).map(|(_, _, entry)| unsafe { &(*entry).1 })
    }

    /// The value of a key, to be changed.
    pub fn get_mut<'a, H: Host, Q: Lookup<'i, K> + ?Sized>(
        &'a mut self,
        cx: &'a Attached<'i, H>,
        key: &Q,
    ) -> Option<&'a mut V> {
        // SAFETY: [K1] the entry is live, and `&mut self` is its only owner.
        self.find(cx, key).map(|(_, _, entry)| unsafe { &mut (*entry).1 })
    }

    /// Whether there is such a key.
    pub fn contains_key<H: Host, Q: Lookup<'i, K> + ?Sized>(&self, cx: &Attached<'i, H>, key: &Q) -> bool {
        self.find(cx, key).is_some()
    }

    /// Makes a table of so many slots, enough for the entries, the present one.
    fn resize<H: Host>(&mut self, cx: &Attached<'i, H>, slots: Option<usize>) -> Result<(), AllocError> {
        // SAFETY: [K1] the block is live.
        let seed = self.table.map(|table| unsafe { (*table.as_ptr()).seed });
        let fresh = Table::make(cx, slots, seed)?;
        if let Some(old) = self.table.replace(fresh) {
            // SAFETY: [K1] this map alone has the old table, which is given up here without an entry.
            unsafe {
                Table::pour(old, fresh);
                object::discard(cx, old.as_ptr().cast());
            }
        }
        Ok(())
    }

    /// Makes room for so many entries more.
    ///
    /// # Errors
    /// The reason; everything is as it was.
    pub fn reserve<H: Host>(&mut self, cx: &Attached<'i, H>, more: usize) -> Result<(), AllocError> {
        // SAFETY: [K1] the block is live.
        if more <= self.table.map_or(0, |table| unsafe { Table::room(table) }) {
            return Ok(());
        }
        self.resize(cx, self.len(cx).checked_add(more).and_then(slots_for))
    }

    /// Gives memory back that no entry is in.
    ///
    /// # Errors
    /// The smaller table takes a new block, which may be refused: everything is as it was.
    pub fn shrink_to_fit<H: Host>(&mut self, cx: &Attached<'i, H>) -> Result<(), AllocError> {
        let Some(table) = self.table else { return Ok(()) };
        let len = self.len(cx);
        if len == 0 {
            self.table = None;
            // SAFETY: [K1] the only owner is given up here, and there are no entries.
            unsafe { object::discard(cx, table.as_ptr().cast()) };
            return Ok(());
        }
        let slots = slots_for(len);
        // SAFETY: [K1] the block is live.
        if slots.is_some_and(|slots| slots < unsafe { Table::slots(table) }) {
            self.resize(cx, slots)?;
        }
        Ok(())
    }

    /// Gives a key a value, and answers the one that it had; the key that is there stays.
    ///
    /// # Errors
    /// `((key, value), reason)`: they come back.
    pub fn insert<H: Host>(
        &mut self,
        cx: &Attached<'i, H>,
        key: K,
        value: V,
    ) -> Result<Option<V>, ((K, V), AllocError)>
    where
        K: Lookup<'i, K>,
    {
        if let Some(present) = self.get_mut(cx, &key) {
            return Ok(Some(mem::replace(present, value)));
        }
        if let Err(error) = self.reserve(cx, 1) {
            return Err(((key, value), error));
        }
        if let Some(table) = self.table {
            let hash = hash(cx, table, &key);
            // SAFETY: [K1] the block is live, this map alone has it, and it has room.
            unsafe { Table::add(table, hash, (key, value)) };
        }
        Ok(None)
    }

    /// Takes a key and its value out.
    pub fn remove_entry<H: Host, Q: Lookup<'i, K> + ?Sized>(
        &mut self,
        cx: &Attached<'i, H>,
        key: &Q,
    ) -> Option<(K, V)> {
        // SAFETY: [K1] the block is live, this map alone has it, and the slot has the entry.
        self.find(cx, key).map(|(table, index, _)| unsafe { Table::remove(table, index) })
    }

    /// Takes the value of a key out, and drops the key.
    pub fn remove<H: Host, Q: Lookup<'i, K> + ?Sized>(&mut self, cx: &Attached<'i, H>, key: &Q) -> Option<V> {
        self.remove_entry(cx, key).map(|(_, value)| value)
    }

    /// Drops the entries, and keeps the memory.
    pub fn clear<H: Host>(&mut self, _: &Attached<'i, H>) {
        if let Some(table) = self.table {
            // SAFETY: [K1] the block is live, and this map alone has it.
            unsafe { Table::drop_entries(table) }
        }
    }

    /// The entries, in no order.
    pub fn iter<'a, H: Host>(&'a self, _: &'a Attached<'i, H>) -> Iter<'a, K, V> {
        Iter { table: self.table, index: 0, map: PhantomData }
    }

    /// Drops the entries and frees the memory, now.
    pub fn release<H: Host>(self, cx: &mut Attached<'i, H>) {
        if let Some(table) = ManuallyDrop::new(self).table {
            // SAFETY: [K1] the owner is given up here; the brand says that it is of this interpreter.
            unsafe { object::release(cx, table.as_ptr().cast()) }
        }
    }

    /// Takes the entries out as they are, and leaves none.
    #[must_use]
    pub fn take(&mut self) -> Self {
        mem::take(self)
    }
}

fn hash<'i, H: Host, K, V, Q: Lookup<'i, K> + ?Sized>(
    cx: &Attached<'i, H>,
    table: NonNull<Table<K, V>>,
    key: &Q,
) -> u32 {
    // SAFETY: [K1] the caller's map has the block, so it is live.
    let mut hasher = FoldHasher::new(unsafe { (*table.as_ptr()).seed });
    key.feed(cx, &mut hasher);
    hasher.hash()
}

impl<K, V> Drop for Map<'_, K, V> {
    fn drop(&mut self) {
        if let Some(table) = self.table {
            // SAFETY: [K1] the owner is given up here.
            unsafe { ObjectHeader::release(table.as_ptr().cast()) }
        }
    }
}

/// The entries of a map, in no order.
pub struct Iter<'a, K, V> {
    table: Option<NonNull<Table<K, V>>>,
    index: usize,
    map: PhantomData<&'a (K, V)>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: [K1] the iterator borrows map and token, so the block is live and nothing changes it.
        unsafe {
            let (entry, behind) = Table::next(self.table?, self.index)?;
            self.index = behind;
            Some((&(*entry).0, &(*entry).1))
        }
    }
}
