//! A compiled program.

use crate::{Exception, Op, op::Operand};

/// A compiled program is at most so long.
pub(crate) const LONGEST: usize = 512;
/// The first byte of every compiled program.
pub(crate) const MAGIC: u8 = 0xa7;
/// Magic and number of functions.
pub(crate) const HEAD: usize = 2;
/// A function's name is at most so long.
pub(crate) const NAME: usize = 8;
/// One line of the table of functions: name and target.
pub(crate) const LINE: usize = NAME + 2;

/// A compiled program, with its table of functions. The crate's documentation describes the bytes.
#[derive(Clone)]
pub struct Code {
    pub(crate) bytes: [u8; LONGEST],
    pub(crate) len: usize,
}

/// One instruction, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Instruction {
    pub(crate) op: Op,
    pub(crate) operand: i32,
    pub(crate) next: u16,
}

impl Code {
    /// Takes a compiled program up.
    ///
    /// # Errors
    /// `Syntax` if it is not one, or too long. Instructions are checked when they are run.
    pub fn from_bytes(program: &[u8]) -> Result<Self, Exception> {
        let mut code = Code { bytes: [0; LONGEST], len: program.len() };
        let place = code.bytes.get_mut(..program.len()).ok_or(Exception::Syntax)?;
        place.copy_from_slice(program);
        if program.first() != Some(&MAGIC) || program.len() < HEAD || code.start() > program.len() {
            return Err(Exception::Syntax);
        }
        Ok(code)
    }

    /// The compiled program.
    pub const fn bytes(&self) -> &[u8] {
        self.bytes.split_at(self.len).0
    }

    /// Where the instructions begin.
    const fn start(&self) -> usize {
        HEAD + self.bytes[1] as usize * LINE
    }

    fn at<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes().get(at..at.checked_add(N)?)?.try_into().ok()
    }

    /// Where the function `name` begins.
    pub(crate) fn function(&self, name: &str) -> Option<u16> {
        let mut wanted = [0; NAME];
        wanted.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        let table = self.bytes().get(HEAD..self.start())?;
        let line = table.chunks_exact(LINE).find(|line| line.starts_with(&wanted))?;
        Some(u16::from_le_bytes(line[NAME..].try_into().ok()?))
    }

    /// The instruction at `at`.
    pub(crate) fn instruction(&self, at: u16) -> Result<Instruction, Exception> {
        self.decode(at).ok_or(Exception::Syntax)
    }

    fn decode(&self, at: u16) -> Option<Instruction> {
        let place = self.start() + usize::from(at);
        let op = Op::from_byte(*self.bytes().get(place)?)?;
        let operand = match op.operand() {
            Operand::None => 0,
            Operand::Global => self.at::<1>(place + 1)?[0].into(),
            Operand::Target => u16::from_le_bytes(self.at(place + 1)?).into(),
            Operand::Int => i32::from_le_bytes(self.at(place + 1)?),
        };
        let next = u16::try_from(place + 1 + op.operand().size() - self.start()).ok()?;
        Some(Instruction { op, operand, next })
    }
}
