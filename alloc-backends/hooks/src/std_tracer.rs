//! Traces by the scopes of a thread, in a book of the process.

use crate::{Book, Site, Snapshot, StdBook, Tracer, std_site};

static BOOK: StdBook = StdBook::new();

/// Writes into one book of the process, which grows. Sites are the thread's scopes ([`scope`](crate::scope)).
#[derive(Debug)]
pub struct StdTracer;

impl StdTracer {
    /// What the book says now.
    pub fn snapshot() -> Snapshot {
        Snapshot::of(&BOOK)
    }
}

impl Tracer for StdTracer {
    fn book() -> &'static dyn Book {
        &BOOK
    }

    fn site() -> Site {
        std_site::site()
    }
}
