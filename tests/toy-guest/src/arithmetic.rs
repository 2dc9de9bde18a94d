//! Arithmetic of two values.

use crate::{Exception, Op};

/// What a binary instruction makes of `a` and `b`.
pub(crate) fn combine(op: Op, a: i64, b: i64) -> Result<i64, Exception> {
    let result = match op {
        Op::Add => a.checked_add(b),
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        Op::Div | Op::Rem if b == 0 => return Err(Exception::ZeroDivision),
        Op::Div => a.checked_div(b),
        Op::Rem => a.checked_rem(b),
        Op::Eq => Some((a == b).into()),
        _ => Some((a < b).into()),
    };
    result.ok_or(Exception::Overflow)
}
