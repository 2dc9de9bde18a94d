//! One step of a run. Numbers choose among what is there at the moment, by remainder.

/// A kind of config, good or bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Config {
    /// Own heap, own GIL.
    Isolated,
    /// Main's heap and GIL.
    Legacy,
    /// Own heap, main's GIL.
    SharedGil,
    /// Refused: no extension check.
    Empty,
    /// Refused: main's heap without main's GIL.
    Race,
    /// Isolated, with so many times 64 bytes more than the footprint.
    Limited(u8),
    /// Legacy, with so many times 64 bytes more than the footprint.
    LegacyLimited(u8),
    /// Refused: one byte less than the footprint.
    TooSmall,
    /// Isolated, with fuel.
    Fuelled(u8),
    /// Legacy, with a deadline in so many milliseconds, where the clock can be moved.
    Deadline(u8),
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[allow(missing_docs)]
pub enum Operation {
    Initialize {
        guest: bool,
    },
    Finalize,
    Create {
        config: Config,
        guest: bool,
        foreign: bool,
    },
    End {
        interpreter: u8,
    },
    Close {
        interpreter: u8,
    },
    Reset {
        thread: u8,
    },
    NewThread {
        interpreter: u8,
    },
    DropThread {
        thread: u8,
    },
    Attach {
        thread: u8,
    },
    Ensure {
        interpreter: u8,
    },
    Enter {
        thread: u8,
    },
    /// A reference may be dropped meanwhile.
    Detach {
        object: Option<u8>,
    },
    CallOut,
    /// The innermost frame closes, or the innermost lending call returns.
    Leave,
    Alloc,
    Clone {
        object: u8,
    },
    Drop {
        object: u8,
    },
    Release {
        object: u8,
    },
    Forget {
        object: u8,
    },
    Name {
        object: u8,
    },
    Read {
        name: u8,
    },
    Unname {
        name: u8,
    },
    Block {
        domain: u8,
        size: u8,
    },
    FreeBlock {
        block: u8,
    },
    Charge {
        bytes: u8,
    },
    Discharge {
        bytes: u8,
    },
    Safepoint,
    Spend {
        units: u8,
    },
    Fuel {
        units: Option<u8>,
    },
    Interrupt {
        interpreter: u8,
    },
    Pending {
        interpreter: u8,
        node: u8,
    },
    /// What follows, until it is left, has fuel of its own, or a deadline.
    Scope {
        fuel: Option<u8>,
        within: u8,
    },
    /// A call in a slot of the interpreter's.
    Call {
        interpreter: u8,
        call: u8,
    },
    /// A callback, or a shutdown hook.
    Exit {
        is_hook: bool,
        value: u8,
    },
    ForgetExit {
        exit: u8,
    },
    /// A name that outlives the interpreter.
    View {
        interpreter: u8,
    },
    Guard {
        view: u8,
    },
    Unguard {
        guard: u8,
    },
    /// A frame by a view, or by a guard.
    EnsureBy {
        guard: bool,
        number: u8,
    },
    /// A thread that the end joins.
    Ticket {
        interpreter: u8,
    },
    Joined {
        ticket: u8,
    },
    Deadline {
        within: Option<u8>,
    },
    Advance {
        by: u8,
    },
    Tick,
    Exec {
        program: u8,
    },
    Resume,
    Abandon,
    /// The guest's data of this thread state.
    Data,
    /// Another thread attaches, lets the GIL go and stays inside.
    Visit {
        interpreter: u8,
    },
    /// It takes the GIL back, looks round and leaves.
    Depart {
        visitor: u8,
    },
    /// Observers say no from now on, or nothing.
    Veto {
        on: bool,
    },
}

impl Operation {
    /// One step from four bytes. What is frequent in programs is frequent here.
    pub fn decode([kind, a, b, c]: [u8; 4]) -> Self {
        use Operation as O;
        let config = match b % 16 {
            0 => Config::Empty,
            1 => Config::Race,
            2 => Config::TooSmall,
            3 | 4 => Config::Limited(c),
            5 | 6 => Config::LegacyLimited(c),
            7 => Config::Fuelled(c),
            8 => Config::Deadline(c),
            9 | 10 => Config::SharedGil,
            11..=13 => Config::Legacy,
            _ => Config::Isolated,
        };
        let some = |on: u8, value: u8| (on & 1 == 1).then_some(value);
        match kind % 100 {
            0 | 1 => O::Initialize { guest: a & 1 == 1 },
            2 => O::Finalize,
            3..=8 => O::Create { config, guest: a & 3 == 3, foreign: a & 12 == 12 },
            9 => O::End { interpreter: a },
            10 => O::Close { interpreter: a },
            11 | 12 => O::NewThread { interpreter: a },
            13 => O::DropThread { thread: a },
            14 => O::Reset { thread: a },
            15..=20 => O::Attach { thread: a },
            21 | 22 => O::Ensure { interpreter: a },
            23..=26 => O::Enter { thread: a },
            27..=29 => O::Detach { object: some(b, a) },
            30 | 31 => O::CallOut,
            32..=36 => O::Leave,
            37..=41 => O::Alloc,
            42 | 43 => O::Clone { object: a },
            44 | 45 => O::Drop { object: a },
            46 => O::Release { object: a },
            47 => O::Forget { object: a },
            48 | 49 => O::Name { object: a },
            50 | 51 => O::Read { name: a },
            52 => O::Unname { name: a },
            53 | 54 => O::Block { domain: a, size: b },
            55 => O::FreeBlock { block: a },
            56 => O::Charge { bytes: a },
            57 => O::Discharge { bytes: a },
            58..=60 => O::Safepoint,
            61 => O::Spend { units: a },
            62 => O::Fuel { units: some(b, a) },
            63 => O::Interrupt { interpreter: a },
            64 | 65 => O::Pending { interpreter: a, node: b },
            66 => O::Deadline { within: some(b, a) },
            67 => O::Advance { by: a },
            68 => O::Tick,
            69 | 70 => O::Exec { program: a },
            71 => O::Resume,
            72 => O::Abandon,
            73 => O::Data,
            74 | 75 => O::Visit { interpreter: a },
            76 | 77 => O::Depart { visitor: a },
            78 | 79 => O::Veto { on: a & 3 == 3 },
            80 | 81 => O::Call { interpreter: a, call: b },
            82 | 83 => O::Exit { is_hook: b & 1 == 1, value: a },
            84 => O::ForgetExit { exit: a },
            85 | 86 => O::View { interpreter: a },
            87 | 88 => O::Guard { view: a },
            89 | 90 => O::Unguard { guard: a },
            91 | 92 => O::EnsureBy { guard: b & 1 == 1, number: a },
            93 => O::Ticket { interpreter: a },
            94 | 95 => O::Joined { ticket: a },
            _ => O::Scope { fuel: some(b, a), within: c },
        }
    }
}
