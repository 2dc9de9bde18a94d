//! Large blocks that were freed lately, kept for the next request of about their size.

#![allow(unsafe_code)]

use core::ptr;

use crate::large::{ALIGN, Header};

/// The shortest block that is kept; in steps of an eighth there are two octaves of them.
const SHORTEST: usize = 2048;
const STEPS: usize = 8;
const BINS: usize = 2 * STEPS;

/// Invariant [H5]: a bin's list holds blocks of the raw domain that are in no other list and not live, each at least as
/// long as the bin says, with the layout that they were taken with.
pub(crate) struct Spares {
    bins: [*mut Header; BINS],
    bytes: usize,
}

/// The bin of blocks that are at least as long as `size`, but shorter than the next bin's.
fn bin_below(size: usize) -> Option<usize> {
    let octave = size.checked_ilog2()?.checked_sub(SHORTEST.ilog2())? as usize;
    let step = (size >> (octave + (SHORTEST / STEPS).ilog2() as usize)) - STEPS;
    Some(octave * STEPS + step).filter(|bin| *bin < BINS)
}

impl Spares {
    pub(crate) const fn new() -> Self {
        Spares { bins: [ptr::null_mut(); BINS], bytes: 0 }
    }

    /// Keeps a block, if it is of a size that is kept and all of them do not pass `most` bytes then.
    ///
    /// # Safety
    /// The block is in no list, and nobody uses it.
    #[must_use]
    pub(crate) unsafe fn keep(&mut self, block: *mut Header, most: usize) -> bool {
        // SAFETY: the header is the block's.
        let whole = unsafe { (*block).whole };
        let Some(bin) = bin_below(whole.size()).filter(|_| whole.align() == ALIGN) else { return false };
        if whole.size() > most.saturating_sub(self.bytes) {
            return false;
        }
        // SAFETY: [H5].
        unsafe { (*block).next = self.bins[bin] };
        self.bins[bin] = block;
        self.bytes += whole.size();
        true
    }

    /// A block of so many bytes at least, and not of half as many more.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<*mut Header> {
        let bin = bin_below(bytes)?;
        // SAFETY: [H5].
        let is_enough =
            |first: *mut Header| unsafe { first.as_ref() }.is_some_and(|header| header.whole.size() >= bytes);
        if is_enough(self.bins[bin]) {
            return self.pop(bin);
        }
        (bin + 1..BINS.min(bin + 4)).find_map(|bin| self.pop(bin))
    }

    /// Any block.
    pub(crate) fn take_any(&mut self) -> Option<*mut Header> {
        (0..BINS).find_map(|bin| self.pop(bin))
    }

    fn pop(&mut self, bin: usize) -> Option<*mut Header> {
        let block = self.bins[bin];
        // SAFETY: [H5].
        let header = unsafe { block.as_ref() }?;
        self.bins[bin] = header.next;
        self.bytes -= header.whole.size();
        Some(block)
    }

    /// Whether the lists and the sum agree.
    pub(crate) fn is_sound(&self) -> bool {
        let mut bytes = 0;
        for (bin, first) in self.bins.iter().enumerate() {
            let mut at = *first;
            // SAFETY: [H5].
            while let Some(header) = unsafe { at.as_ref() } {
                if bin_below(header.whole.size()) != Some(bin) {
                    return false;
                }
                bytes += header.whole.size();
                at = header.next;
            }
        }
        bytes == self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_an_eighth_wide() {
        let first = |bin: usize| (2048 << (bin / STEPS)) / STEPS * (STEPS + bin % STEPS);
        for bin in 0..BINS {
            let (size, next) = (first(bin), first(bin + 1));
            assert_eq!((bin_below(size), bin_below(next - 1)), (Some(bin), Some(bin)));
            assert!(next - size <= size / 8);
            // What `take` may answer is not half as long again as what was asked for.
            assert!(first(bin + 4) <= size + size / 2, "{size}");
        }
        assert_eq!((bin_below(2047), bin_below(8192)), (None, None));
    }
}
