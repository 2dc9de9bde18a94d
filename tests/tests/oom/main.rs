//! Memory that runs out (SPEC L16, M5, V4): every operation is refused at each of its allocations in turn, by name,
//! with everything as before; a second try succeeds, and the failure has cost nothing.
#![allow(unsafe_code)]

mod blocks;
mod collections;
mod creation;
mod endings;
mod pending;
mod raw_layer;
mod threads;
mod values;

use core::alloc::Layout;

use archipelago_kernel::{
    Attached, Host, InterpreterId, Runtime,
    config::InterpreterConfig,
    error::{CreateError, Error, GuestError},
    guest::{Family, Guest, GuestTable, Plain, Step, Value},
    interpreter::Phase,
    memory::{AllocCause, AllocError, Domain},
    object::Edge,
    runtime::RuntimePhase,
};
use archipelago_model::{ManualHost, manual};

type H = ManualHost;
type Rt = Runtime<H>;
type Table = Option<&'static GuestTable<H>>;

/// A guest that takes memory of every kind when it starts.
struct Hungry;

struct HungryState<'i> {
    _objects: [Edge<'i, Plain<[u8; 40]>>; 3],
}

struct HungryFamily;

impl Family for HungryFamily {
    type At<'i> = HungryState<'i>;
}

impl<H: Host> Guest<H> for Hungry {
    type State = HungryFamily;
    type Thread = Plain<[u64; 4]>;

    fn start<'i>(cx: &mut Attached<'i, H>) -> Result<HungryState<'i>, GuestError> {
        let object = || -> Result<_, GuestError> {
            Ok(cx.alloc_plain([0_u8; 40]).map_err(|(_, error)| error)?.into_edge())
        };
        let objects = [object()?, object()?, object()?];
        // Left for the end, as a program may.
        cx.allocate(Domain::Mem, Layout::new::<[u64; 100]>())?;
        cx.charge(1000)?;
        Ok(HungryState { _objects: objects })
    }

    fn start_thread<'i>(_: &mut Attached<'i, H>) -> Result<[u64; 4], GuestError> {
        Ok([0; 4])
    }

    fn exec(_: &mut Attached<'_, H>, _: &[u8]) -> Step {
        Step::Done(Value::None)
    }

    fn resume(_: &mut Attached<'_, H>) -> Step {
        Step::Done(Value::None)
    }

    fn end(cx: &mut Attached<'_, H>) {
        // It may be refused: nothing depends on it.
        let _ = cx.alloc_plain([0_u8; 64]).map(core::mem::forget);
    }
}

fn hungry() -> Table {
    Some(GuestTable::of::<Hungry>())
}

/// Configs with and without a guest.
fn kinds() -> std::vec::Vec<(InterpreterConfig, Table)> {
    use archipelago_kernel::config::GilChoice;
    let isolated = InterpreterConfig::isolated();
    if cfg!(miri) {
        return vec![(isolated, hungry()), (InterpreterConfig::legacy(), hungry())];
    }
    let configs = [isolated, InterpreterConfig::legacy(), isolated.with_gil(GilChoice::Shared)];
    configs.into_iter().flat_map(|config| [(config, None), (config, hungry())]).collect()
}

/// What can be seen of a runtime from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    phase: RuntimePhase,
    count: usize,
    interpreters: std::vec::Vec<(u64, Phase, usize, usize, usize)>,
}

fn see(rt: &Rt) -> Seen {
    let each = |id: InterpreterId| {
        let handle = rt.interpreter(id).expect("it is listed");
        let usage = handle.usage().expect("it is listed");
        let blocks = usage.raw.blocks + usage.mem.blocks + usage.object.blocks;
        let threads = handle.threads().expect("it is listed");
        (id.number(), handle.phase().expect("no handler asks"), usage.bytes(), blocks, threads)
    };
    let newest_first = core::iter::successors(rt.head().ok(), |id| rt.next(*id).expect("it is listed"));
    Seen {
        phase: rt.phase(),
        count: rt.count().expect("no handler asks"),
        interpreters: newest_first.map(each).collect(),
    }
}

fn live(rt: &Rt) -> (usize, usize) {
    rt.raw().backend().0.live()
}

/// The allocation that is to fail, from the moment an attempt has what it needs.
struct Failure(Option<usize>);

impl Failure {
    fn arm(&self, rt: &Rt) {
        rt.raw().backend().0.fail_after(self.0);
    }

    /// Whether it happened.
    fn disarm(rt: &Rt) -> bool {
        let came = !rt.raw().backend().0.will_fail();
        rt.raw().backend().0.fail_after(None);
        came
    }
}

/// Makes each allocation of `attempt` fail in turn on a runtime that `stage` set up. A failed attempt must be refused
/// with one of `named`, and leave behind what was there before.
fn every_nth(
    stage: impl Fn(&Rt),
    attempt: impl Fn(&Rt, &Failure) -> Result<(), Error>,
    named: impl Fn(Error) -> bool,
) {
    let clean = {
        let rt = manual().runtime;
        stage(&rt);
        assert_eq!(attempt(&rt, &Failure(None)), Ok(()));
        live(&rt)
    };
    let mut refusals = 0;
    for n in 0.. {
        assert!(n < 1000, "an attempt has an end");
        let rt = manual().runtime;
        let raw = rt.raw().backend().clone();
        stage(&rt);
        let before = see(&rt);
        let answer = attempt(&rt, &Failure(Some(n)));
        let came = Failure::disarm(&rt);
        match answer {
            Ok(()) if !came => break,
            // The heap gave back what it kept, and asked again.
            Ok(()) => {}
            Err(error) => {
                refusals += 1;
                assert!(came, "{error:?} without a failure");
                assert!(named(error), "allocation {n}: {error:?}");
                assert_eq!(see(&rt), before, "allocation {n}");
                let kept = raw.0.live();
                assert_eq!(attempt(&rt, &Failure(Some(0))).is_ok(), !Failure::disarm(&rt));
                if see(&rt) == before {
                    assert!(raw.0.live() <= kept, "allocation {n}: each failure costs something");
                    assert_eq!(attempt(&rt, &Failure(None)), Ok(()), "allocation {n}: the second try");
                }
                assert!(raw.0.live() <= clean, "allocation {n}: {:?} instead of {clean:?}", raw.0.live());
            }
        }
        drop(rt);
        assert_eq!(raw.0.live(), (0, 0), "allocation {n}");
    }
    assert!(refusals > 0, "nothing was refused");
}

fn running(rt: &Rt) {
    let _main = rt.initialize(None).expect("memory");
}

fn no_memory(error: Error) -> bool {
    error == Error::Create(CreateError::NoMemory)
}

fn exhausted(error: Error) -> bool {
    matches!(error, Error::Alloc(AllocError { cause: AllocCause::Exhausted, .. }))
}

/// Runs `attempt` attached to the newest interpreter.
fn inside(rt: &Rt, attempt: impl FnOnce(&mut Attached<'_, H>) -> Result<(), Error>) -> Result<(), Error> {
    rt.ensure(rt.head().expect("it was created"), |cx| attempt(cx)).expect("nothing is attached")
}

/// Makes each allocation of an operation in an interpreter fail in turn, on a heap of its own and on main's. The
/// operation says from when on.
fn inside_at_every_nth(attempt: impl Fn(&mut Attached<'_, H>, &dyn Fn()) -> Result<(), AllocError>) {
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        every_nth(
            |rt| {
                running(rt);
                drop(rt.create(&config, None).expect("memory"));
            },
            |rt, failure| {
                inside(rt, |cx| {
                    let answer = attempt(cx, &|| failure.arm(rt));
                    cx.settle();
                    answer.map_err(Error::from)
                })
            },
            exhausted,
        );
    }
}
