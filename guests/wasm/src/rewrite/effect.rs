//! What operators take from the stack and leave there.

use super::body::{BLOCK, EMPTY, Op};

/// How many operands an operator takes and how many it leaves; `None` for those that cannot be told without the types
/// of the module, or that end a straight line of code.
pub(super) fn effect(op: &Op<'_>) -> Option<(usize, usize)> {
    let Op::Plain(bytes) = op else { return None };
    Some(match bytes[0] {
        // nop
        0x01 => (0, 0),
        // drop, local.set, global.set
        0x1A | 0x21 | 0x24 => (1, 0),
        // select, without and with a type
        0x1B | 0x1C => (3, 1),
        // local.get, global.get, memory.size, constants
        0x20 | 0x23 | 0x3F | 0x41..=0x44 => (0, 1),
        // local.tee, loads, memory.grow
        0x22 | 0x28..=0x35 | 0x40 => (1, 1),
        // stores
        0x36..=0x3E => (2, 0),
        // i32.eqz, i64.eqz
        0x45 | 0x50 => (1, 1),
        // comparisons
        0x46..=0x4F | 0x51..=0x66 => (2, 1),
        // clz, ctz, popcnt; abs to sqrt of both floats; conversions and sign extensions
        0x67..=0x69 | 0x79..=0x7B | 0x8B..=0x91 | 0x99..=0x9F | 0xA7..=0xC4 => (1, 1),
        // arithmetic
        0x6A..=0x78 | 0x7C..=0x8A | 0x92..=0x98 | 0xA0..=0xA6 => (2, 1),
        _ => return None,
    })
}

/// The operands of a straight line of code, each with the position where its expression begins: everything from there
/// on leaves it and nothing else.
#[derive(Default)]
pub(super) struct Operands(Vec<Option<usize>>);

impl Operands {
    /// Follows the operator at `position`.
    pub(super) fn follow(&mut self, position: usize, op: &Op<'_>) {
        let Some((takes, leaves)) = effect(op) else { return self.0.clear() };
        let mut begin = Some(position);
        for _ in 0..takes {
            // An operand from before the straight line has no known beginning, and so has what is made of it.
            begin = self.take();
        }
        if leaves == 1 {
            self.0.push(begin);
        }
    }

    /// Takes the last operand, and tells where it begins.
    pub(super) fn take(&mut self) -> Option<usize> {
        self.0.pop().flatten()
    }
}

/// True when `ops`, which are complete blocks, certainly leave the stack as they found it, and take nothing from below.
pub(super) fn is_level(ops: &[Op<'_>]) -> bool {
    let mut height = 0_usize;
    let mut open = Vec::new();
    for (position, op) in ops.iter().enumerate() {
        let follows = match op {
            // What follows is not reached, and may find any stack, unless the block ends here.
            op if op.diverges() => matches!(ops.get(position + 1), None | Some(Op::End)).then_some(height),
            Op::Open { opcode: BLOCK, ty: EMPTY, .. } => {
                open.push(height);
                Some(height)
            }
            Op::End => open.pop(),
            Op::Branch { .. } => height.checked_sub(1),
            op => effect(op).and_then(|(takes, leaves)| Some(height.checked_sub(takes)? + leaves)),
        };
        match follows {
            Some(follows) => height = follows,
            None => return false,
        }
    }
    height == 0
}
