//! A mixed trace: sizes and lifetimes of an interpreter's objects, from a stated distribution.
//!
//! Sizes: 60 % 16 to 64 bytes in steps of 16, 20 % to 128, 14 % to 512, 5 % to 4 KiB, 1 % to 32 KiB. Lifetimes, in
//! requests: 80 % up to 64 (temporaries), 15 % up to 4,096 (frames and containers), 5 % up to the whole trace (modules,
//! classes, caches).

#![allow(unsafe_code)]

use core::ptr;

use super::{Bytes, Memory, WORD};
use crate::Trouble;

/// Numbers that look random and are the same every time.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new() -> Self {
        Random(0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}

enum Request {
    Take { place: u32, size: Bytes },
    Give { place: u32 },
}

/// Requests, and the blocks they are about.
pub struct Trace {
    requests: Vec<Request>,
    blocks: Vec<(*mut u8, Bytes)>,
}

/// Blocks of the whole trace.
const BLOCKS: usize = 200_000;

fn size(random: &mut Random) -> Result<Bytes, Trouble> {
    let bytes = match random.below(100) {
        0..60 => 16 * (1 + random.below(4)),
        60..80 => 65 + random.below(64),
        80..94 => 129 + random.below(384),
        94..99 => 513 + random.below(3584),
        _ => 4097 + random.below(28_672),
    };
    Bytes::new(bytes as u32)
}

fn lifetime(random: &mut Random) -> usize {
    match random.below(100) {
        0..80 => 1 + random.below(64),
        80..95 => 1 + random.below(4096),
        _ => 1 + random.below(BLOCKS),
    }
}

impl Trace {
    /// The trace.
    ///
    /// # Errors
    /// If a size of the distribution is none of [`Bytes`].
    pub fn new() -> Result<Self, Trouble> {
        let mut random = Random::new();
        let mut dying: Vec<Vec<u32>> = vec![Vec::new(); BLOCKS + 1];
        let (mut free, mut places) = (Vec::new(), 0_u32);
        let mut requests = Vec::with_capacity(2 * BLOCKS);
        for at in 0..BLOCKS {
            for place in core::mem::take(&mut dying[at]) {
                requests.push(Request::Give { place });
                free.push(place);
            }
            let place = free.pop().unwrap_or_else(|| {
                places += 1;
                places - 1
            });
            requests.push(Request::Take { place, size: size(&mut random)? });
            dying[(at + lifetime(&mut random)).min(BLOCKS)].push(place);
        }
        requests.extend(core::mem::take(&mut dying[BLOCKS]).into_iter().map(|place| Request::Give { place }));
        let unused = (ptr::null_mut(), Bytes::new(1)?);
        Ok(Trace { requests, blocks: vec![unused; places as usize] })
    }

    /// Requests of one run.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Runs it; afterwards nothing is live. The first and last word of each block are written.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn run(&mut self, memory: &mut impl Memory) -> Result<(), Trouble> {
        for request in &self.requests {
            match *request {
                Request::Take { place, size } => {
                    let block = memory.take(size);
                    if block.is_null() {
                        return Err("no memory".into());
                    }
                    // SAFETY: the block has `size` bytes, sixteen at least.
                    unsafe {
                        block.cast::<u64>().write(1);
                        block.add(size.get() - WORD).cast::<u64>().write_unaligned(2);
                    }
                    self.blocks[place as usize] = (block, size);
                }
                Request::Give { place } => {
                    let (block, size) = self.blocks[place as usize];
                    // SAFETY: taken above for as many bytes, and given back once.
                    unsafe { memory.give(block, size) };
                }
            }
        }
        Ok(())
    }
}
