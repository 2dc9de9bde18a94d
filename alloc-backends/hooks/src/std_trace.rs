//! What a book says at a moment, and what changed since another one.

use core::{cmp::Reverse, fmt};
use std::{collections::HashMap, string::String, vec::Vec};

use archipelago_kernel::memory::Asker;

use crate::{Book, Counts, Row, Site, write_folded, write_table};

/// All lines of a book at a moment, those with the most bytes first.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    rows: Vec<Row>,
    rest: Counts,
}

/// What changed between two snapshots at one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Where the blocks were taken.
    pub site: Site,
    /// The domain and the interpreter they were taken for.
    pub asker: Option<Asker>,
    /// How many more bytes are live.
    pub bytes: isize,
    /// How many more blocks are live.
    pub blocks: isize,
}

impl Snapshot {
    /// What the book says now.
    pub fn of(book: &dyn Book) -> Self {
        let mut rows = Vec::new();
        loop {
            // No memory is taken while the book is locked: it might be traced in it.
            let (mut seen, room) = (0, rows.capacity());
            book.each(&mut |row| {
                seen += 1;
                if seen <= room {
                    rows.push(row);
                }
            });
            if seen <= room {
                break;
            }
            rows = Vec::with_capacity(seen + seen / 4);
        }
        rows.sort_by_key(|row| Reverse((row.counts.bytes, row.counts.peak_bytes)));
        Snapshot { rows, rest: book.rest() }
    }

    /// The lines, those with the most bytes first.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What found no line in the book: more than zero means that the book is too small.
    pub fn rest(&self) -> Counts {
        self.rest
    }

    /// What changed since `earlier`, the largest growth first. Sites where nothing changed are left out.
    pub fn since(&self, earlier: &Snapshot) -> Vec<Difference> {
        let mut before: HashMap<_, _> =
            earlier.rows.iter().map(|row| ((row.site, row.asker), row.counts)).collect();
        let line = |site, asker, now: Counts, then: Counts| Difference {
            site,
            asker,
            bytes: now.bytes.wrapping_sub(then.bytes) as isize,
            blocks: now.blocks.wrapping_sub(then.blocks) as isize,
        };
        let mut lines: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let then = before.remove(&(row.site, row.asker)).unwrap_or_default();
                line(row.site, row.asker, row.counts, then)
            })
            .collect();
        lines.extend(
            before.into_iter().map(|((site, asker), then)| line(site, asker, Counts::default(), then)),
        );
        lines.retain(|line| (line.bytes, line.blocks) != (0, 0));
        lines.sort_by_key(|line| Reverse(line.bytes));
        lines
    }

    /// The lines with bytes, as tools for flame graphs read them: `interpreter;domain;frame;frame bytes`.
    pub fn folded(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write_folded(self.rows.iter().copied(), &mut text);
        text
    }
}

/// A table, the lines with the most bytes first.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_table(self.rows.iter().copied(), f)?;
        match self.rest.taken {
            0 => Ok(()),
            taken => writeln!(
                f,
                "{:>12} {:>8} in {taken} more for which the book has no line",
                self.rest.bytes, self.rest.blocks
            ),
        }
    }
}
