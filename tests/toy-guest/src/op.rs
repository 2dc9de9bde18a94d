//! The instructions.

/// What follows an instruction's byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operand {
    None,
    Int,
    Global,
    Target,
}

impl Operand {
    pub(crate) const fn size(self) -> usize {
        match self {
            Operand::None => 0,
            Operand::Global => 1,
            Operand::Target => 2,
            Operand::Int => 4,
        }
    }
}

macro_rules! ops {
    ($($op:ident = $byte:literal $name:literal $operand:ident,)+) => {
        /// An instruction. The table in the crate's documentation says what each does.
        #[allow(missing_docs)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Op { $($op = $byte,)+ }

        impl Op {
            /// Every instruction, in the order of the bytes.
            pub const ALL: &'static [Op] = &[$(Op::$op,)+];

            /// The instruction of this byte.
            pub const fn from_byte(byte: u8) -> Option<Op> {
                match byte { $($byte => Some(Op::$op),)+ _ => None }
            }

            /// Its name in a program's text.
            pub const fn name(self) -> &'static str {
                match self { $(Op::$op => $name,)+ }
            }

            pub(crate) const fn operand(self) -> Operand {
                match self { $(Op::$op => Operand::$operand,)+ }
            }
        }
    };
}

ops! {
    Push = 0x01 "push" Int,
    Pop = 0x02 "pop" None,
    Dup = 0x03 "dup" None,
    Swap = 0x04 "swap" None,
    Add = 0x08 "add" None,
    Sub = 0x09 "sub" None,
    Mul = 0x0a "mul" None,
    Div = 0x0b "div" None,
    Rem = 0x0c "rem" None,
    Eq = 0x10 "eq" None,
    Lt = 0x11 "lt" None,
    Load = 0x18 "load" Global,
    Store = 0x19 "store" Global,
    Jump = 0x20 "jump" Target,
    Jz = 0x21 "jz" Target,
    Call = 0x22 "call" Target,
    Ret = 0x23 "ret" None,
    Try = 0x28 "try" Target,
    Untry = 0x29 "untry" None,
    Raise = 0x2a "raise" None,
    New = 0x30 "new" None,
    Peek = 0x31 "peek" None,
    Free = 0x32 "free" None,
    Yield = 0x38 "yield" None,
    Sleep = 0x39 "sleep" None,
    Wait = 0x3a "wait" None,
    Halt = 0x3b "halt" None,
}
