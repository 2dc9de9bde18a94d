//! The numbers of exceptions.

/// The exceptions the machine itself raises. A program may raise any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Exception {
    /// A result does not fit an integer.
    Overflow = 1,
    /// A division by zero.
    ZeroDivision = 2,
    /// The value stack is full, or has too few values.
    Stack = 3,
    /// Too many calls are open.
    Depth = 4,
    /// The program is malformed.
    Syntax = 5,
    /// No function has this name.
    Name = 6,
    /// No object is kept.
    Empty = 7,
}

impl From<Exception> for u32 {
    fn from(exception: Exception) -> u32 {
        exception as u32
    }
}
