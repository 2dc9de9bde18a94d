//! From text to a compiled program, in two passes: where the labels are, then the bytes.

use crate::{
    code::{Code, LINE, LONGEST, MAGIC, NAME},
    op::{Op, Operand},
    source::{Source, Word},
};

/// What is wrong with a program's text, and at which byte of it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxError {
    /// No instruction has this name.
    UnknownOp(usize),
    /// The operand is missing, or out of range.
    BadOperand(usize),
    /// No label has this name.
    UnknownLabel(usize),
    /// There is a label of this name already.
    LabelTwice(usize),
    /// A word too much.
    TrailingWord(usize),
    /// A function's name is longer than eight bytes.
    LongName(usize),
    /// More labels than 32.
    TooManyLabels(usize),
    /// The compiled program would be longer than 512 bytes.
    TooLong(usize),
}

const LABELS: usize = 32;

#[derive(Clone, Copy)]
struct Label {
    name: Word,
    target: u16,
    is_function: bool,
}

struct Labels {
    list: [Label; LABELS],
    len: usize,
}

impl Labels {
    const fn new() -> Self {
        let none = Label { name: Word { start: 0, end: 0 }, target: 0, is_function: false };
        Labels { list: [none; LABELS], len: 0 }
    }

    /// The label that is called `name`, the colon not counted.
    const fn find(&self, source: &Source<'_>, name: Word) -> Option<Label> {
        let mut n = 0;
        while n < self.len {
            if source.same(self.list[n].name, name) {
                return Some(self.list[n]);
            }
            n += 1;
        }
        None
    }

    const fn add(&mut self, source: &Source<'_>, label: Label) -> Result<(), SyntaxError> {
        let at = label.name.start;
        if label.is_function && label.name.end - at > NAME {
            return Err(SyntaxError::LongName(at));
        }
        if self.find(source, label.name).is_some() {
            return Err(SyntaxError::LabelTwice(at));
        }
        if self.len == LABELS {
            return Err(SyntaxError::TooManyLabels(at));
        }
        self.list[self.len] = label;
        self.len += 1;
        Ok(())
    }
}

/// The byte code that grows.
struct Out {
    code: Code,
    /// False in the first pass, which only counts.
    writes: bool,
}

impl Out {
    const fn put(&mut self, at: usize, bytes: &[u8]) -> Result<(), SyntaxError> {
        let mut n = 0;
        while n < bytes.len() {
            if self.code.len == LONGEST {
                return Err(SyntaxError::TooLong(at));
            }
            if self.writes {
                self.code.bytes[self.code.len] = bytes[n];
            }
            self.code.len += 1;
            n += 1;
        }
        Ok(())
    }
}

const fn op_called(source: &Source<'_>, word: Word) -> Result<Op, SyntaxError> {
    let mut n = 0;
    while n < Op::ALL.len() {
        if source.is(word, Op::ALL[n].name()) {
            return Ok(Op::ALL[n]);
        }
        n += 1;
    }
    Err(SyntaxError::UnknownOp(word.start))
}

/// `?` for a const function.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Err(error),
        }
    };
}

impl Code {
    /// Assembles a program's text. In a `const` the compiler does it.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub const fn assemble(text: &str) -> Result<Self, SyntaxError> {
        Self::assemble_bytes(text.as_bytes())
    }

    pub(crate) const fn assemble_bytes(text: &[u8]) -> Result<Self, SyntaxError> {
        let mut labels = Labels::new();
        let mut functions = 0;
        let mut pass = 0;
        loop {
            let mut out = Out { code: Code { bytes: [0; LONGEST], len: 0 }, writes: pass == 1 };
            attempt!(write_head(&mut out, text, &labels, functions));
            let start = out.code.len;
            attempt!(write_body(&mut out, text, &mut labels, start));
            if pass == 1 {
                return Ok(out.code);
            }
            functions = count_functions(&labels);
            pass += 1;
        }
    }
}

const fn count_functions(labels: &Labels) -> u8 {
    let (mut n, mut functions) = (0, 0);
    while n < labels.len {
        functions += labels.list[n].is_function as u8;
        n += 1;
    }
    functions
}

const fn write_head(out: &mut Out, text: &[u8], labels: &Labels, functions: u8) -> Result<(), SyntaxError> {
    attempt!(out.put(0, &[MAGIC, functions]));
    let mut n = 0;
    while n < labels.len {
        let label = labels.list[n];
        n += 1;
        if !label.is_function {
            continue;
        }
        let mut line = [0; LINE];
        let mut at = label.name.start;
        while at < label.name.end {
            line[at - label.name.start] = text[at];
            at += 1;
        }
        [line[NAME], line[NAME + 1]] = label.target.to_le_bytes();
        attempt!(out.put(label.name.start, &line));
    }
    Ok(())
}

const fn write_body(
    out: &mut Out,
    text: &[u8],
    labels: &mut Labels,
    start: usize,
) -> Result<(), SyntaxError> {
    let mut source = Source::new(text);
    loop {
        if let Some(word) = source.word() {
            let is_function = source.is(word, "fn");
            let label = if is_function { source.word() } else { Some(word) };
            match label {
                Some(label) if source.is_label(label) => {
                    let name = Word { start: label.start, end: label.end - 1 };
                    let target = (out.code.len - start) as u16;
                    if !out.writes {
                        attempt!(labels.add(&source, Label { name, target, is_function }));
                    }
                    // More may follow the label on its line.
                    continue;
                }
                _ => attempt!(write_op(out, &mut source, labels, word)),
            }
            if !source.is_at_end() {
                return Err(SyntaxError::TrailingWord(word.end));
            }
        }
        if !source.next() {
            return Ok(());
        }
    }
}

const fn write_op(
    out: &mut Out,
    source: &mut Source<'_>,
    labels: &Labels,
    word: Word,
) -> Result<(), SyntaxError> {
    let op = attempt!(op_called(source, word));
    attempt!(out.put(word.start, &[op as u8]));
    if matches!(op.operand(), Operand::None) {
        return Ok(());
    }
    let Some(operand) = source.word() else { return Err(SyntaxError::BadOperand(word.end)) };
    let bad = Err(SyntaxError::BadOperand(operand.start));
    match op.operand() {
        Operand::None => Ok(()),
        Operand::Int => match source.number(operand) {
            Some(n) if n >= i32::MIN as i64 && n <= i32::MAX as i64 => {
                out.put(operand.start, &(n as i32).to_le_bytes())
            }
            _ => bad,
        },
        Operand::Global => match source.number(operand) {
            Some(n) if n >= 0 && n < crate::state::GLOBALS as i64 => out.put(operand.start, &[n as u8]),
            _ => bad,
        },
        // Labels further down are known in the second pass only.
        Operand::Target => match labels.find(source, operand) {
            Some(label) => out.put(operand.start, &label.target.to_le_bytes()),
            None if !out.writes => out.put(operand.start, &[0, 0]),
            None => Err(SyntaxError::UnknownLabel(operand.start)),
        },
    }
}
