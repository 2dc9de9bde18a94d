//! Rewriting a module so that it is metered less often, and means the same.
//!
//! wasmi takes fuel when a function is entered, at each turn of a loop, and at the start of each arm of an `if`; that
//! is an operation of a dozen machine instructions each time, a third of all where loops are tight. Blocks cost none.
//! So small `if`s become blocks that are left by a branch ([`branch`]), and the smallest loops do two rounds per turn
//! ([`unroll`]). Each cycle still takes fuel, so every program can be stopped and sliced as before.
//!
//! Fuel for all that stands between two such places is taken at the first of them. So a small arm counts even when it
//! is skipped, as what a branch skips always did, and so does the second round of a turn that ends with its first.
//!
//! On the way a fault of the engine is avoided ([`select`]).
//!
//! The rewritten module is valid exactly if the original is, and its functions keep their numbers. Whatever is not fully
//! understood stays as it was, function by function.

mod body;
mod branch;
mod effect;
mod select;
#[cfg(test)]
mod tests;
mod unroll;

use crate::leb::{number, put_number, put_sized, sized};
use body::Body;

const MAGIC_AND_VERSION: usize = 8;
const CODE: u8 = 10;

/// The module with its functions rewritten; `None` when there is nothing to gain, or it is not understood.
pub(crate) fn rewrite(module: &[u8]) -> Option<Vec<u8>> {
    let (begin, mut rest) = module.split_at_checked(MAGIC_AND_VERSION)?;
    let mut bytes = begin.to_vec();
    let mut changed = false;
    while let Some((&id, body)) = rest.split_first() {
        let (body, after) = sized(body)?;
        bytes.push(id);
        match (id == CODE).then(|| code(body)).flatten() {
            Some(rewritten) => {
                put_sized(&mut bytes, &rewritten);
                changed = true;
            }
            None => put_sized(&mut bytes, body),
        }
        rest = after;
    }
    changed.then_some(bytes)
}

/// The code section with its functions rewritten.
fn code(section: &[u8]) -> Option<Vec<u8>> {
    let (count, mut rest) = number(section)?;
    let mut bytes = Vec::with_capacity(section.len());
    put_number(&mut bytes, count);
    let mut changed = false;
    for _ in 0..count {
        let (body, after) = sized(rest)?;
        match function(body) {
            Some(rewritten) => {
                put_sized(&mut bytes, &rewritten);
                changed = true;
            }
            None => put_sized(&mut bytes, body),
        }
        rest = after;
    }
    (changed && rest.is_empty()).then_some(bytes)
}

/// One function rewritten.
fn function(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Body::parse(bytes)?;
    let unfused = select::unfuse(&mut body);
    let flat = branch::flatten(&mut body);
    let unrolled = unroll::unroll(&mut body);
    (unfused || flat || unrolled).then(|| body.emit())
}
