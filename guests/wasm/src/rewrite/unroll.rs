//! Small loops do two rounds per turn.
//!
//! ```text
//! loop B end   →   block loop
//!                    block B br 1 end      a branch of B to the loop leaves this block: the second round follows
//!                    B                     here it begins the next turn
//!                  end end
//! ```
//!
//! Two rounds, and of very small loops only: processors foresee where wasmi's next operation goes from the last dozen
//! of them. Where a turn is longer, its first round looks like its second one, and each turn pays for a wrong guess
//! more than many fuel operations cost (measured; see `docs/performance.md`).

use super::{
    body::{BLOCK, BR, BR_IF, Body, EMPTY, I32_EQZ, LOOP, Label, Op},
    effect::is_level,
};

/// Operations of wasmi in a round of the largest loop that is unrolled.
const LARGEST: usize = 6;

/// Operators in such a round, at most.
const MOST_OPERATORS: usize = 32;

/// Unrolls the loops that gain from it; true when there were any.
pub(super) fn unroll(body: &mut Body<'_>) -> bool {
    let loops = loops(&body.ops);
    if loops.is_empty() {
        return false;
    }
    let original = core::mem::take(&mut body.ops);
    let mut done = 0;
    for (begin, end) in loops {
        body.ops.extend_from_slice(&original[done..begin]);
        if let Op::Open { label, .. } = original[begin] {
            turn(body, label, &original[begin + 1..end]);
        }
        done = end + 1;
    }
    body.ops.extend_from_slice(&original[done..]);
    true
}

/// Finds the loops to unroll, first and last position of each, in order.
fn loops(ops: &[Op<'_>]) -> Vec<(usize, usize)> {
    let mut loops = Vec::new();
    let mut open = Vec::new();
    // The innermost open loop, if no other one was in it.
    let mut innermost = None;
    for (position, op) in ops.iter().enumerate() {
        match op {
            Op::Open { opcode, ty, .. } => {
                open.push(position);
                if *opcode == LOOP {
                    innermost = Some(position).filter(|_| *ty == EMPTY);
                }
            }
            Op::End => {
                let begin = open.pop();
                if let Some(begin) = begin.filter(|begin| innermost == Some(*begin)) {
                    innermost = None;
                    if position - begin <= MOST_OPERATORS && operations(&ops[begin + 1..position]) <= LARGEST
                    {
                        loops.push((begin, position));
                    }
                }
            }
            _ => {}
        }
    }
    loops
}

/// About how many operations wasmi makes of these operators.
fn operations(ops: &[Op<'_>]) -> usize {
    let costs = |op: &Op<'_>| match op {
        // Locals and constants are operands of others, and a comparison is one with the branch on it.
        Op::Plain(bytes) => !matches!(bytes[0], 0x01 | 0x1A | 0x20..=0x22 | 0x41..=0x66),
        Op::Open { opcode, .. } => *opcode != BLOCK,
        Op::Else | Op::End => false,
        Op::Branch { .. } | Op::Table(_) => true,
    };
    ops.iter().filter(|op| costs(op)).count()
}

/// Writes one loop.
fn turn<'m>(body: &mut Body<'m>, label: Label, round: &[Op<'m>]) {
    let (exit, next) = (body.label(), body.label());
    body.ops.push(Op::Open { opcode: BLOCK, ty: EMPTY, label: exit });
    body.ops.push(Op::Open { opcode: LOOP, ty: EMPTY, label });
    body.ops.push(Op::Open { opcode: BLOCK, ty: EMPTY, label: next });
    first(body, round, label, next, exit);
    body.ops.push(Op::End);
    body.ops.extend_from_slice(round);
    body.ops.extend([Op::End, Op::End]);
}

/// Writes the first round of the loop `label`, which goes on at its end or at that of `next`, and leaves by `exit`.
fn first<'m>(body: &mut Body<'m>, round: &[Op<'m>], label: Label, next: Label, exit: Label) {
    match round {
        // The loop goes on if the last branch is taken: leaves if its opposite is.
        [rest @ .., Op::Branch { opcode: BR_IF, to }] if *to == label => {
            copy(body, rest, vec![(label, next)]);
            body.ops.push(Op::Plain(I32_EQZ));
            body.ops.push(Op::Branch { opcode: BR_IF, to: exit });
        }
        // All of it is a block whose end goes on, and who leaves the block leaves the loop.
        [
            Op::Open { opcode: BLOCK, ty: EMPTY, label: block },
            rest @ ..,
            Op::Branch { opcode: BR, to },
            Op::End,
        ] if *to == label && is_level(rest) => {
            copy(body, rest, vec![(label, next), (*block, exit)]);
        }
        _ => {
            copy(body, round, vec![(label, next)]);
            if !round.last().is_some_and(Op::diverges) {
                body.ops.push(Op::Branch { opcode: BR, to: exit });
            }
        }
    }
}

/// Writes operators a second time, with other targets for some labels, and new labels for the blocks among them.
fn copy<'m>(body: &mut Body<'m>, ops: &[Op<'m>], mut renamed: Vec<(Label, Label)>) {
    for op in ops {
        let new = |label: Label| renamed.iter().find(|(old, _)| *old == label).map_or(label, |(_, new)| *new);
        let op = match op {
            Op::Open { opcode, ty, label } => {
                let fresh = body.label();
                renamed.push((*label, fresh));
                Op::Open { opcode: *opcode, ty, label: fresh }
            }
            Op::Branch { opcode, to } => Op::Branch { opcode: *opcode, to: new(*to) },
            Op::Table(targets) => Op::Table(targets.iter().map(|label| new(*label)).collect()),
            op => op.clone(),
        };
        body.ops.push(op);
    }
}
