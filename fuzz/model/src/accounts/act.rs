//! One step of an interpreter with its account. Numbers choose among what is live at the moment, by remainder.

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[allow(missing_docs)]
pub enum Act {
    /// The alignment is a power of two up to 4096, by its logarithm.
    Allocate {
        domain: u8,
        size: u16,
        align: u8,
    },
    Deallocate {
        nth: u8,
    },
    /// In place, or into another block.
    Reallocate {
        nth: u8,
        size: u16,
    },
    /// In place, or not at all.
    Resize {
        nth: u8,
        size: u16,
    },
    /// For memory that was taken elsewhere.
    Charge {
        size: u16,
    },
    Recharge {
        nth: u8,
        size: u16,
    },
    Discharge {
        nth: u8,
    },
    /// So many of the acts that follow may use the reserve.
    Reserve {
        acts: u8,
    },
    /// In steps of 32 bytes, from a little below what is live.
    Limits {
        soft: Option<u8>,
        hard: Option<u8>,
        reserve: u8,
    },
    Trim,
    Safepoint,
    /// So many requests to the raw domain below are served, and the one after them fails.
    Fail {
        after: Option<u8>,
    },
}

impl Act {
    /// One step from four bytes. What is frequent in programs is frequent here.
    pub fn decode([kind, a, b, c]: [u8; 4]) -> Self {
        let size = match b % 11 {
            0..6 => u16::from(c % 65),
            6..10 => 65 + u16::from(c) * 2,
            _ => 601 + u16::from(c) * 12,
        };
        let some = |on: u8, value: u8| (on & 1 == 1).then_some(value);
        match kind % 64 {
            0..20 => Act::Allocate { domain: a / 16, size, align: if a % 16 < 14 { a % 5 } else { b % 13 } },
            20..34 => Act::Deallocate { nth: a },
            34..40 => Act::Reallocate { nth: a, size },
            40..44 => Act::Resize { nth: a, size },
            44..46 => Act::Charge { size },
            46 | 47 => Act::Recharge { nth: a, size },
            48 | 49 => Act::Discharge { nth: a },
            50..53 => Act::Reserve { acts: a },
            53..59 => Act::Limits { soft: some(c, a), hard: some(c >> 1, b), reserve: c >> 2 },
            59 => Act::Trim,
            60 => Act::Safepoint,
            _ => Act::Fail { after: some(b, a % 8) },
        }
    }
}
