//! A book with as many lines as are needed.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    vec::Vec,
};

use archipelago_kernel::memory::Asker;

use crate::{
    Book, Counts, Row, Site,
    trace::{Key, REST},
};

/// A book that grows, in the memory of the process: for as many interpreters as there come to be. Can be a static.
#[derive(Debug)]
pub struct StdBook(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    /// Where in `rows` a line is. Made when the first line is, so that a book can be a static.
    places: Option<HashMap<Key, u32>>,
    rows: Vec<Row>,
    rest: Counts,
}

impl StdBook {
    /// An empty book.
    pub const fn new() -> Self {
        StdBook(Mutex::new(Lines { places: None, rows: Vec::new(), rest: Counts::NONE }))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // The book is valid after every statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for StdBook {
    fn default() -> Self {
        Self::new()
    }
}

impl Lines {
    fn counts(&mut self, line: u32) -> &mut Counts {
        match self.rows.get_mut(line as usize) {
            Some(row) => &mut row.counts,
            None => &mut self.rest,
        }
    }
}

impl Book for StdBook {
    fn add(&self, site: Site, asker: Option<Asker>, bytes: usize) -> u32 {
        let Lines { places, rows, rest } = &mut *self.lines();
        let next = u32::try_from(rows.len()).unwrap_or(REST);
        let line = *places.get_or_insert_default().entry((site, asker)).or_insert(next);
        if line == next && next != REST {
            rows.push(Row { site, asker, counts: Counts::NONE });
        }
        rows.get_mut(line as usize).map_or(rest, |row| &mut row.counts).add(bytes);
        line
    }

    fn sub(&self, line: u32, bytes: usize) {
        self.lines().counts(line).sub(bytes);
    }

    fn resize(&self, line: u32, old: usize, new: usize) {
        self.lines().counts(line).resize(old, new);
    }

    fn each(&self, f: &mut dyn FnMut(Row)) {
        self.lines().rows.iter().copied().for_each(f);
    }

    fn rest(&self) -> Counts {
        self.lines().rest
    }
}
