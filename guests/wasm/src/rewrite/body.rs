//! The body of a function as a list of operators whose branches know their target, however deep they stand.

use crate::leb::put_number;
use wasmparser::{BinaryReader, Operator};

pub(super) const BLOCK: u8 = 0x02;
pub(super) const LOOP: u8 = 0x03;
pub(super) const IF: u8 = 0x04;
const ELSE: u8 = 0x05;
const END: u8 = 0x0B;
pub(super) const BR: u8 = 0x0C;
pub(super) const BR_IF: u8 = 0x0D;
const BR_TABLE: u8 = 0x0E;
/// The whole of `i32.eqz`.
pub(super) const I32_EQZ: &[u8] = &[0x45];
/// The type of a block that takes nothing and leaves nothing.
pub(super) const EMPTY: &[u8] = &[0x40];

/// Names a block of one body, wherever it is moved or copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(u32);

/// One operator.
#[derive(Clone, Debug)]
pub(super) enum Op<'m> {
    /// Neither opens or ends a block nor branches to one.
    Plain(&'m [u8]),
    /// Opens a block, a loop or an if.
    Open { opcode: u8, ty: &'m [u8], label: Label },
    /// Begins the other arm.
    Else,
    /// Ends what was opened last.
    End,
    /// Branches, always or on a condition.
    Branch { opcode: u8, to: Label },
    /// Branches to one of these; the last one is the default.
    Table(Vec<Label>),
}

impl Op<'_> {
    /// True when what follows is not reached.
    pub(super) fn diverges(&self) -> bool {
        match self {
            // `unreachable` and `return`.
            Op::Plain(bytes) => matches!(bytes[0], 0x00 | 0x0F),
            Op::Branch { opcode, .. } => *opcode == BR,
            Op::Table(_) => true,
            _ => false,
        }
    }
}

/// A function: its locals as they were, and its operators without the `end` of the function.
pub(super) struct Body<'m> {
    locals: &'m [u8],
    pub(super) ops: Vec<Op<'m>>,
    labels: u32,
}

impl<'m> Body<'m> {
    /// Reads a function; `None` when it is malformed, or has operators that are not understood.
    pub(super) fn parse(bytes: &'m [u8]) -> Option<Self> {
        let mut reader = BinaryReader::new(bytes, 0);
        for _ in 0..reader.read_var_u32().ok()? {
            reader.read_var_u32().ok()?;
            reader.read::<wasmparser::ValType>().ok()?;
        }
        let mut body = Body { locals: &bytes[..reader.current_position()], ops: Vec::new(), labels: 0 };
        let function = body.label();
        let mut open = vec![function];
        while !open.is_empty() {
            let start = reader.current_position();
            let operator = reader.read_operator().ok()?;
            let bytes = &bytes[start..reader.current_position()];
            let target = |depth: u32| open.iter().rev().nth(depth as usize).copied();
            let op = match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    let label = body.label();
                    open.push(label);
                    Op::Open { opcode: bytes[0], ty: &bytes[1..], label }
                }
                Operator::Else => Op::Else,
                Operator::End => {
                    open.pop();
                    Op::End
                }
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    Op::Branch { opcode: bytes[0], to: target(relative_depth)? }
                }
                Operator::BrTable { targets } => {
                    let depths = targets.targets().chain([Ok(targets.default())]);
                    Op::Table(depths.map(|depth| target(depth.ok()?)).collect::<Option<_>>()?)
                }
                _ if known(bytes[0]) => Op::Plain(bytes),
                _ => return None,
            };
            body.ops.push(op);
        }
        body.ops.pop();
        reader.eof().then_some(body)
    }

    /// A label for one more block.
    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// The function in binary form.
    pub(super) fn emit(&self) -> Vec<u8> {
        let mut bytes = self.locals.to_vec();
        // How deep each label stands; that of the function itself is the first.
        let mut heights = vec![0; self.labels as usize];
        let mut height = 0;
        for op in &self.ops {
            match op {
                Op::Plain(plain) => bytes.extend_from_slice(plain),
                Op::Open { opcode, ty, label } => {
                    bytes.push(*opcode);
                    bytes.extend_from_slice(ty);
                    height += 1;
                    heights[label.0 as usize] = height;
                }
                Op::Else => bytes.push(ELSE),
                Op::End => {
                    bytes.push(END);
                    height -= 1;
                }
                Op::Branch { opcode, to } => {
                    bytes.push(*opcode);
                    put_number(&mut bytes, height - heights[to.0 as usize]);
                }
                Op::Table(targets) => {
                    bytes.push(BR_TABLE);
                    put_number(&mut bytes, targets.len() as u32 - 1);
                    for to in targets {
                        put_number(&mut bytes, height - heights[to.0 as usize]);
                    }
                }
            }
        }
        bytes.push(END);
        bytes
    }
}

/// True for operators that branch nowhere: those of the first version and of the extensions that wasmi has, without
/// exceptions, references to functions and vectors.
fn known(opcode: u8) -> bool {
    matches!(opcode, 0x00 | 0x01 | 0x0F..=0x13 | 0x1A..=0x1C | 0x20..=0x26 | 0x28..=0xC4 | 0xD0..=0xD2 | 0xFC)
}
