//! What the kernel itself takes, known when the program is compiled.

use crate::{host::Host, interpreter::InterpreterSlot, runtime::Runtime, thread::slot::ThreadSlot};

impl<H: Host> Runtime<H> {
    /// Bytes that an interpreter takes of the raw domain before it runs anything, those of its first thread state
    /// among them: the least memory limit. What the raw domain adds to a block is not in it.
    pub const INTERPRETER_BYTES: usize = InterpreterSlot::<H>::FOOTPRINT;

    /// Bytes that each thread state takes of the raw domain.
    pub const THREAD_BYTES: usize = size_of::<ThreadSlot>();
}
