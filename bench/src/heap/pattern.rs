//! Two patterns of one size: taken and given back in turn, and a batch given back in random order.

#![allow(unsafe_code)]

use core::{hint::black_box, ptr};

use super::{Bytes, Memory};
use crate::{Trouble, heap::trace::Random};

/// A size that the optimizer does not know.
fn opaque(size: u32) -> Result<Bytes, Trouble> {
    Bytes::new(black_box(size))
}

/// Takes a block and gives it back, so many times, beside one that stays: an allocator that gives up a page with its last
/// block is not measured doing that.
///
/// # Errors
/// If there is no memory.
pub fn lifo(memory: &mut impl Memory, size: u32, rounds: u64) -> Result<(), Trouble> {
    let bytes = opaque(size)?;
    let beside = memory.take(bytes);
    for _ in 0..rounds {
        let block = black_box(memory.take(bytes));
        if block.is_null() || beside.is_null() {
            return Err("no memory".into());
        }
        // SAFETY: it was taken just now for as many bytes.
        unsafe { memory.give(block, bytes) };
    }
    if !beside.is_null() {
        // SAFETY: it was taken above for as many bytes.
        unsafe { memory.give(beside, bytes) };
    }
    Ok(())
}

/// Blocks of a batch, and the order in which they go.
pub struct Batch {
    blocks: Vec<*mut u8>,
    order: Vec<usize>,
}

impl Batch {
    /// A batch of so many blocks.
    pub fn new(count: usize) -> Self {
        let mut order: Vec<_> = (0..count).collect();
        let mut random = Random::new();
        (1..count).rev().for_each(|last| order.swap(last, random.below(last + 1)));
        Batch { blocks: vec![ptr::null_mut(); count], order }
    }

    /// Takes the batch, writes to each block, and gives all back in random order.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn run(&mut self, memory: &mut impl Memory, size: u32) -> Result<(), Trouble> {
        let bytes = opaque(size)?;
        for place in &mut self.blocks {
            let block = memory.take(bytes);
            if block.is_null() {
                return Err("no memory".into());
            }
            // SAFETY: the block has eight bytes at least.
            unsafe { block.cast::<u64>().write(1) };
            *place = block;
        }
        for at in &self.order {
            // SAFETY: taken above for as many bytes, and each is in the order once.
            unsafe { memory.give(self.blocks[*at], bytes) };
        }
        Ok(())
    }
}
