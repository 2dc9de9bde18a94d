//! One request. Numbers choose among what is live at the moment, by remainder.

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[allow(missing_docs)]
pub enum Request {
    /// The alignment is a power of two up to 4096, by its logarithm.
    Allocate {
        size: u16,
        align: u8,
    },
    Deallocate {
        nth: u8,
    },
    /// In place, or not at all.
    Resize {
        nth: u8,
        size: u16,
    },
    /// In place, or into another block.
    Reallocate {
        nth: u8,
        size: u16,
    },
    /// The heap's value moves.
    Relocate,
    /// What is kept goes back.
    Trim,
    /// A heap takes everything back at once; a raw domain, one by one.
    Sweep,
    Check,
    /// So many requests to the raw domain below are served, and the one after them fails.
    Fail {
        after: Option<u8>,
    },
    /// What the raw domain below has.
    Budget {
        kibibytes: Option<u8>,
    },
}

impl Request {
    /// One request from four bytes. What is frequent in programs is frequent here.
    pub fn decode([kind, a, b, c]: [u8; 4]) -> Self {
        use Request as R;
        let size = match b % 11 {
            0..6 => u16::from(c % 65),
            6..10 => 65 + u16::from(c) * 2,
            _ => 601 + u16::from(c) * 30,
        };
        let some = |on: u8, value: u8| (on & 1 == 1).then_some(value);
        match kind % 64 {
            0..24 => R::Allocate { size, align: if a < 224 { a % 5 } else { a % 13 } },
            24..42 => R::Deallocate { nth: a },
            42..48 => R::Resize { nth: a, size },
            48..54 => R::Reallocate { nth: a, size },
            54 => R::Relocate,
            55 | 56 => R::Trim,
            57 => R::Sweep,
            58 => R::Check,
            59..62 => R::Fail { after: some(b, a % 16) },
            _ => R::Budget { kibibytes: some(b, a) },
        }
    }
}
