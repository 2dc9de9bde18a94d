//! How deep the stack went.
#![allow(unsafe_code)]

use core::ptr;

unsafe extern "C" {
    static mut _stack_start: u32;
    static mut _stack_end: u32;
}

/// What `cortex-m-rt` writes over the stack before `main`.
const PAINT: u32 = 0xcccc_cccc;

/// The bytes of the stack that were ever written.
pub fn used() -> usize {
    let (top, mut at) = (&raw const _stack_start, &raw const _stack_end);
    // SAFETY: from its end up to its start the stack is memory that can be read; words that were never pushed
    // hold the paint, written by the start-up code.
    while at < top && unsafe { ptr::read_volatile(at) } == PAINT {
        at = at.wrapping_add(1);
    }
    top.addr() - at.addr()
}
