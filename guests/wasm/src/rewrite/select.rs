//! Comparisons with zero before a `select`, in a form that wasmi 2.0.0 translates rightly.
//!
//! It leaves out `x == 0` and `x != 0` before a `select`, but then takes for `x` whatever its register holds, also where
//! `x` is a local (`try_fuse_select`). Other comparisons are not left out, and of unsigned numbers `x < 1` and `0 < x`
//! are the same.

use super::body::{Body, I32_EQZ, Op};

const SELECT: u8 = 0x1B;
const TYPED_SELECT: u8 = 0x1C;
const ZERO: &[u8] = &[0x41, 0];
const ONE: &[u8] = &[0x41, 1];
const EQ: &[u8] = &[0x46];
const NE: &[u8] = &[0x47];
const LT_U: &[u8] = &[0x49];
const GT_U: &[u8] = &[0x4B];
const GE_U: &[u8] = &[0x4F];

/// Rewrites such comparisons; true when there were any.
pub(super) fn unfuse(body: &mut Body<'_>) -> bool {
    let mut ops = Vec::with_capacity(body.ops.len());
    let mut changed = false;
    for op in body.ops.drain(..) {
        if matches!(op, Op::Plain([SELECT | TYPED_SELECT, ..])) {
            changed |= condition(&mut ops);
        }
        ops.push(op);
    }
    body.ops = ops;
    changed
}

/// Rewrites the comparison at the end of `ops`, if it is one with zero.
fn condition(ops: &mut Vec<Op<'_>>) -> bool {
    let (replaced, other): (usize, &[&[u8]]) = match ops.as_slice() {
        [.., Op::Plain(I32_EQZ)] => (1, &[ONE, LT_U]),
        [.., Op::Plain(ZERO), Op::Plain(EQ)] => (2, &[ONE, LT_U]),
        [.., Op::Plain(ZERO), Op::Plain(NE)] => (1, &[GT_U]),
        [.., Op::Plain(ZERO), _, Op::Plain(EQ)] => (1, &[GE_U]),
        [.., Op::Plain(ZERO), _, Op::Plain(NE)] => (1, &[LT_U]),
        _ => return false,
    };
    ops.truncate(ops.len() - replaced);
    ops.extend(other.iter().map(|op| Op::Plain(op)));
    true
}
