//! Two interpreters in turn on one native stack, while the timer adds pending calls to both.

use core::num::NonZeroU32;

use archipelago_kernel::{Attached, InterpreterId, ThreadState, config::InterpreterConfig, guest::Step};
use archipelago_toy_guest::{Code, Toy};

use super::{assembled, create, end, port};
use crate::{
    RUNTIME,
    board::Board,
    handler::{self, CALLS, TALLY},
};

/// Each interpreter gets so many slices.
pub const SLICES: u32 = 1000;
/// A slice is so many instructions.
const SLICE: NonZeroU32 = NonZeroU32::new(40).unwrap();

/// Five instructions a turn: eight turns a slice.
static COUNTS: Code = assembled("loop: load 0; push 1; add; store 0; jump loop");
const COUNTED: i64 = 8 * SLICES as i64;
/// Eight instructions a turn, with an object made and given up: five turns a slice.
static ALLOCATES: Code = assembled("loop: load 0; push 1; add; dup; store 0; new; free; jump loop");
const ALLOCATED: i64 = 5 * SLICES as i64;

/// How the two share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each has a GIL and a heap of its own.
    Own,
    /// Main's GIL and heap; attached one after the other.
    Shared,
    /// Main's GIL and heap; entered from main, which stays attached.
    Entered,
}

/// What a phase found.
pub struct Figures {
    /// Switches of main's GIL.
    pub gil: usize,
    /// Switches that each interpreter counted.
    pub each: [usize; 2],
    /// Calls that the handler added, and that ran, for each.
    pub calls: [u32; 2],
    /// Bytes each had in use at most.
    pub peak: [usize; 2],
}

fn switches(id: InterpreterId) -> usize {
    RUNTIME.interpreter(id).and_then(|handle| handle.stats()).expect("it runs").switches
}

fn main_gil() -> usize {
    let main = RUNTIME.main().expect("it runs");
    RUNTIME.interpreter(main).and_then(|handle| handle.gil()).expect("it runs").switches
}

fn run(cx: &mut Attached<'_, Board>, slice: u32, program: &Code) {
    let step = match slice {
        0 => cx.exec(program.bytes()),
        _ => cx.resume(),
    };
    assert_eq!(step, Step::Yielded);
}

/// A thousand slices each, in turn.
pub fn run_in_turn(sharing: Sharing) -> Figures {
    let config = match sharing {
        Sharing::Own => InterpreterConfig::isolated(),
        Sharing::Shared | Sharing::Entered => InterpreterConfig::legacy(),
    };
    let (mut a, mut b) = (create(&config), create(&config));
    let ids = [a.interpreter(), b.interpreter()];
    for state in [&mut a, &mut b] {
        let set = state.attach(|cx| cx.guest::<Toy>().map(|parts| parts.state.slice = Some(SLICE)));
        assert_eq!(set, Ok(Ok(())));
    }
    let handlers_own = RUNTIME.thread_state(ids[0]).expect("it runs");
    let (gil, each) = (main_gil(), ids.map(switches));
    handler::open(ids.map(port), handlers_own);
    match sharing {
        Sharing::Own | Sharing::Shared => attach_in_turn(&mut a, &mut b),
        Sharing::Entered => enter_in_turn(&mut a, &mut b),
    }
    handler::close();
    let after = ids.map(switches);
    let gil = main_gil() - gil;
    let each = [after[0] - each[0], after[1] - each[1]];
    let calls = [settle_calls(&mut a, 0, COUNTED), settle_calls(&mut b, 1, ALLOCATED)];
    let peak = ids.map(|id| RUNTIME.interpreter(id).and_then(|handle| handle.usage()).expect("it runs").peak);
    end(a);
    end(b);
    Figures { gil, each, calls, peak }
}

fn attach_in_turn(a: &mut ThreadState<'static, Board>, b: &mut ThreadState<'static, Board>) {
    for slice in 0..SLICES {
        a.attach(|cx| run(cx, slice, &COUNTS)).expect("it runs");
        if cfg!(feature = "control-missed-slice") && slice == 500 {
            continue;
        }
        b.attach(|cx| run(cx, slice, &ALLOCATES)).expect("it runs");
    }
}

fn enter_in_turn(a: &mut ThreadState<'static, Board>, b: &mut ThreadState<'static, Board>) {
    let mut main = RUNTIME.thread_state(RUNTIME.main().expect("it runs")).expect("it runs");
    let entered = main.attach(|cx| {
        for slice in 0..SLICES {
            cx.enter(a, |cx| run(cx, slice, &COUNTS))?;
            cx.enter(b, |cx| run(cx, slice, &ALLOCATES))?;
        }
        Ok::<_, archipelago_kernel::error::AttachError>(())
    });
    assert_eq!(entered, Ok(Ok(())));
}

/// The calls that still wait run; then each that was added ran once, in the interpreter it was added to.
fn settle_calls(state: &mut ThreadState<'static, Board>, n: usize, turns: i64) -> u32 {
    let counted = state.attach(|cx| {
        assert_eq!(cx.safepoint(), Ok(()));
        let guest = cx.guest_state::<Toy>().expect("it runs the toy guest");
        assert_eq!(guest.executed, u64::from(SLICES * SLICE.get()));
        assert_eq!(guest.global(0), Some(turns));
        guest.global(CALLS)
    });
    let (added, ran) = (TALLY.added[n].take(), TALLY.ran[n].take());
    assert_eq!(ran, added, "calls run as often as they were added");
    assert_eq!(counted, Ok(Some(ran.into())), "in the interpreter they were added to");
    ran
}
