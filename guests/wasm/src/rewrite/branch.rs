//! Small `if`s become blocks that are left by a branch.
//!
//! ```text
//! CONDITION if A end          →  block CONDITION i32.eqz br_if 0 A end
//! CONDITION if A else B end   →  block block CONDITION i32.eqz br_if 0 block A end br 1 end B end
//! ```
//!
//! The block is opened before the condition because wasmi makes one operation of a comparison and the branch on it,
//! but not across the start of a block. The block around A is there for validation only, which is stricter about the
//! end of a block than about a branch; wasmi makes nothing of it.

use super::{
    body::{BLOCK, BR, BR_IF, Body, EMPTY, I32_EQZ, IF, Op},
    effect::Operands,
};

/// Operators an `if` may have inside. The arms of a larger one outweigh the fuel operation, and would count even when
/// they are skipped.
const LARGEST: usize = 24;

/// An `if` that becomes a block, by positions in the list of operators.
struct Plan {
    condition: usize,
    test: usize,
    otherwise: Option<usize>,
}

/// What is put in the place of an operator, or before it.
struct Edit<'m> {
    at: usize,
    replaces: bool,
    ops: Vec<Op<'m>>,
}

/// Rewrites what can be; true when something was.
pub(super) fn flatten(body: &mut Body<'_>) -> bool {
    let mut edits = Vec::new();
    for plan in plans(&body.ops) {
        plan.edit(body, &mut edits);
    }
    if edits.is_empty() {
        return false;
    }
    edits.sort_by_key(|edit| edit.at);
    let mut edits = edits.into_iter().peekable();
    let mut ops = Vec::with_capacity(body.ops.len() + 2 * edits.len());
    for (position, op) in body.ops.drain(..).enumerate() {
        match edits.next_if(|edit| edit.at == position) {
            Some(edit) => {
                ops.extend(edit.ops);
                if !edit.replaces {
                    ops.push(op);
                }
            }
            None => ops.push(op),
        }
    }
    body.ops = ops;
    true
}

/// Finds the `if`s that can be rewritten.
fn plans(ops: &[Op<'_>]) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut operands = Operands::default();
    // For each open block its position, where its condition begins if it is an `if`, and its other arm.
    let mut open: Vec<(usize, Option<usize>, Option<usize>)> = Vec::new();
    for (position, op) in ops.iter().enumerate() {
        match op {
            Op::Open { opcode, ty, .. } => {
                // A type of one byte has no parameters.
                let simple = *opcode == IF && ty.len() == 1 && (ty == &EMPTY || ty[0] >= 0x6F);
                let condition = operands.take().filter(|_| simple);
                open.push((position, condition, None));
            }
            Op::Else => {
                if let Some((.., otherwise)) = open.last_mut() {
                    *otherwise = Some(position);
                }
            }
            Op::End => {
                if let Some((test, Some(condition), otherwise)) = open.pop()
                    && position - test <= LARGEST
                    && (otherwise.is_some() || is_empty(&ops[test]))
                {
                    plans.push(Plan { condition, test, otherwise });
                }
            }
            _ => {}
        }
        operands.follow(position, op);
    }
    plans
}

fn is_empty(op: &Op<'_>) -> bool {
    matches!(op, Op::Open { ty, .. } if *ty == EMPTY)
}

impl Plan {
    fn edit<'m>(&self, body: &mut Body<'m>, edits: &mut Vec<Edit<'m>>) {
        let Op::Open { ty, label, .. } = body.ops[self.test] else { return };
        let mut begin = vec![Op::Open { opcode: BLOCK, ty, label }];
        let mut skip = label;
        let mut test = Vec::new();
        // A condition that is negated already only loses that.
        match body.ops[self.test - 1] {
            Op::Plain(I32_EQZ) => {
                edits.push(Edit { at: self.test - 1, replaces: true, ops: Vec::new() });
            }
            _ => test.push(Op::Plain(I32_EQZ)),
        }
        if let Some(otherwise) = self.otherwise {
            skip = body.label();
            begin.push(Op::Open { opcode: BLOCK, ty: EMPTY, label: skip });
            let ops = vec![Op::End, Op::Branch { opcode: BR, to: label }, Op::End];
            edits.push(Edit { at: otherwise, replaces: true, ops });
        }
        test.push(Op::Branch { opcode: BR_IF, to: skip });
        if self.otherwise.is_some() {
            test.push(Op::Open { opcode: BLOCK, ty, label: body.label() });
        }
        edits.push(Edit { at: self.condition, replaces: false, ops: begin });
        edits.push(Edit { at: self.test, replaces: true, ops: test });
    }
}
