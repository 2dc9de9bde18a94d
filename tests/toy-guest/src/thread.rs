//! The continuation of a thread state.

use archipelago_kernel::{
    guest::{Family, Plain},
    object::Edge,
};

use crate::{Code, Exception};

const VALUES: usize = 32;
const FRAMES: usize = 16;

#[derive(Clone, Copy, Default)]
struct Handler {
    target: u16,
    height: u8,
}

#[derive(Clone, Copy, Default)]
struct Frame {
    return_to: u16,
    handler: Option<Handler>,
}

/// The data of one thread state: everything a run needs to go on.
#[derive(Default)]
pub struct Thread<'i> {
    /// What is run; `None` between runs.
    pub(crate) program: Option<Edge<'i, Plain<Code>>>,
    /// The next instruction.
    pub(crate) at: u16,
    values: [i64; VALUES],
    height: u8,
    frames: [Frame; FRAMES],
    /// Calls that are open, beside the outermost frame.
    depth: u8,
    /// The exception that nothing caught, or one to be raised at the next resumption.
    pub(crate) exception: Option<u32>,
}

/// [`Thread`] at every brand.
pub struct ToyThread;

impl Family for ToyThread {
    type At<'i> = Thread<'i>;
}

impl Thread<'_> {
    /// The current exception: what ended the last run, or waits to be raised.
    pub fn exception(&self) -> Option<u32> {
        self.exception
    }

    /// Has `exception` raised where this thread state goes on, when it is resumed.
    pub fn throw(&mut self, exception: u32) {
        self.exception = Some(exception);
    }

    /// The top of the value stack.
    pub(crate) fn top(&self) -> Option<i64> {
        Some(self.values[usize::from(self.height.checked_sub(1)?)])
    }

    pub(crate) fn push(&mut self, value: i64) -> Result<(), Exception> {
        *self.values.get_mut(usize::from(self.height)).ok_or(Exception::Stack)? = value;
        self.height += 1;
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Result<i64, Exception> {
        self.height = self.height.checked_sub(1).ok_or(Exception::Stack)?;
        Ok(self.values[usize::from(self.height)])
    }

    /// Opens a frame that goes back to `return_to`.
    pub(crate) fn enter(&mut self, target: u16, return_to: u16) -> Result<(), Exception> {
        let depth = self.depth + 1;
        *self.frames.get_mut(usize::from(depth)).ok_or(Exception::Depth)? =
            Frame { return_to, handler: None };
        self.depth = depth;
        self.at = target;
        Ok(())
    }

    /// Leaves the innermost frame. `false`: it is the outermost one, and the run is over.
    #[must_use]
    pub(crate) fn leave(&mut self) -> bool {
        if self.depth == 0 {
            return false;
        }
        self.at = self.frames[usize::from(self.depth)].return_to;
        self.depth -= 1;
        true
    }

    pub(crate) fn set_handler(&mut self, target: Option<u16>) {
        let height = self.height;
        self.frames[usize::from(self.depth)].handler = target.map(|target| Handler { target, height });
    }

    /// Raises an exception: the innermost frame with a handler goes on there, once. `false`: there is none.
    #[must_use]
    pub(crate) fn raise(&mut self, exception: u32) -> bool {
        loop {
            if let Some(handler) = self.frames[usize::from(self.depth)].handler.take() {
                self.height = handler.height;
                self.at = handler.target;
                // A full stack raises again, in a frame that now has no handler.
                match self.push(exception.into()) {
                    Ok(()) => return true,
                    Err(_) => continue,
                }
            }
            if self.depth == 0 {
                self.exception = Some(exception);
                return false;
            }
            self.depth -= 1;
        }
    }
}
