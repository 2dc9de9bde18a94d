//! The exit statuses of the command.

/// How an interpreter, or the whole command, came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Status {
    /// Exit code 0.
    Success = 0,
    /// An exit code of the program's own.
    Exit = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The program's file cannot be read.
    Read = 3,
    /// The file is no program.
    NotAProgram = 4,
    /// The program imports what nobody provides.
    Import = 5,
    /// A trap.
    Trap = 6,
    /// Calls nested too deep.
    StackOverflow = 7,
    /// The memory limit.
    MemoryLimit = 8,
    /// The fuel.
    Fuel = 9,
    /// The deadline.
    TimeOut = 10,
    /// The interpreter could not be set up.
    Start = 11,
    /// Output was lost.
    Output = 12,
    /// The kernel or this command broke a promise.
    Internal = 13,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl Status {
    /// Every status, in the order of the codes, with its line for `--help`.
    pub const ALL: [(Status, &str); 16] = [
        (Status::Success, "every program ended with exit code 0"),
        (Status::Exit, "a program ended with another exit code, which is reported"),
        (Status::Usage, "the command line is wrong"),
        (Status::Read, "a program's file cannot be read"),
        (Status::NotAProgram, "a file is no WebAssembly module, is cut off, invalid, or has no _start"),
        (Status::Import, "a program imports what does not exist, or with another type"),
        (Status::Trap, "a program trapped"),
        (Status::StackOverflow, "a program's calls nested too deep"),
        (
            Status::MemoryLimit,
            "a program did not fit its memory limit, or failed after it was refused memory",
        ),
        (Status::Fuel, "a program used up its fuel"),
        (Status::TimeOut, "a program reached its time-out"),
        (Status::Start, "an interpreter could not be set up: a directory, an argument, a system resource"),
        (
            Status::Output,
            "a program's output, a trace or the timeline could not be written: closed pipe, full disk",
        ),
        (Status::Internal, "an interpreter did not give everything back: a bug of Archipelago"),
        (Status::Interrupted, "interrupted by Ctrl-C (SIGINT)"),
        (Status::Terminated, "terminated by SIGTERM"),
    ];

    /// The number the process exits with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The word that stands for it in reports and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Status::Success => "ok",
            Status::Exit => "exit",
            Status::Usage => "usage",
            Status::Read => "cannot read",
            Status::NotAProgram => "not a program",
            Status::Import => "import",
            Status::Trap => "trap",
            Status::StackOverflow => "stack overflow",
            Status::MemoryLimit => "memory limit",
            Status::Fuel => "out of fuel",
            Status::TimeOut => "time-out",
            Status::Start => "not started",
            Status::Output => "output",
            Status::Internal => "internal",
            Status::Interrupted => "interrupted",
            Status::Terminated => "terminated",
        }
    }
}
