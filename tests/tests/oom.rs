//! Memory that runs out (SPEC L16, M5, V4): every operation is refused at each of its allocations in turn, by name,
//! with everything as before; a second try succeeds, and the failure has cost nothing.
#![allow(unsafe_code)]

use core::alloc::Layout;

use archipelago_kernel::{
    Attached, Host, InterpreterId, Runtime,
    collections::{Box, Map, Rc, Text, Vec, foreign::InHeap},
    config::InterpreterConfig,
    error::{
        AttachError, ConfigError, CreateError, Error, GuestError, ResetError, RuntimeError, ThreadError,
    },
    guest::{Family, Guest, GuestTable, Plain, Step, Value},
    interpreter::{Phase, Whence},
    memory::{AllocCause, AllocError, Domain},
    object::{Edge, InterpreterLocal},
    raw,
    runtime::RuntimePhase,
};
use archipelago_model::{ManualHost, manual};
use archipelago_tests::support::{Scribe, scaled};

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

#[test]
fn initialize_at_every_allocation() {
    for guest in [None, hungry()] {
        every_nth(
            |_| (),
            |rt, failure| {
                failure.arm(rt);
                rt.initialize(guest).map(|_| ()).map_err(Error::from)
            },
            |error| error == RuntimeError::Main(CreateError::NoMemory).into(),
        );
    }
}

#[test]
fn initialize_again_at_every_allocation() {
    every_nth(
        |rt| {
            running(rt);
            rt.finalize(None).expect("nobody is inside");
        },
        |rt, failure| {
            failure.arm(rt);
            rt.initialize(hungry()).map(|_| ()).map_err(Error::from)
        },
        |error| error == RuntimeError::Main(CreateError::NoMemory).into(),
    );
}

#[test]
fn create_at_every_allocation() {
    for (config, guest) in kinds() {
        every_nth(
            running,
            |rt, failure| {
                failure.arm(rt);
                rt.create(&config, guest).map(drop).map_err(Error::from)
            },
            no_memory,
        );
    }
}

/// A reset that cannot begin leaves the interpreter alone; one whose guest cannot start again has ended it, whole.
///
/// SPEC: L14, L16, V4
#[test]
fn reset_at_every_allocation() {
    for (config, guest) in kinds() {
        let (mut untouched, mut ended) = (0, 0);
        for n in 0.. {
            assert!(n < 1000, "an attempt has an end");
            let rt = manual().runtime;
            let raw = rt.raw().backend().clone();
            running(&rt);
            let mut state = rt.create(&config, guest).expect("memory");
            let id = state.interpreter();
            state.attach(|cx| core::mem::forget(cx.alloc_plain([1_u8; 100]))).expect("it is alive");
            let before = see(&rt);
            Failure(Some(n)).arm(&rt);
            let answer = state.reset(None);
            let came = Failure::disarm(&rt);
            match answer {
                Ok(ledger) => assert!(ledger.objects >= 1),
                Err(ResetError::NoMemory) => {
                    untouched += 1;
                    assert_eq!(see(&rt), before, "allocation {n}");
                    assert!(state.reset(None).is_ok(), "allocation {n}: the second try");
                }
                Err(error) => {
                    ended += 1;
                    assert_eq!(error, ResetError::Create(CreateError::NoMemory));
                    assert!(rt.interpreter(id).is_err());
                    assert_eq!(state.attach(|_| ()), Err(AttachError::Ended));
                    assert!(rt.create(&config, guest).is_ok(), "allocation {n}: another one");
                }
            }
            drop(state);
            drop(rt);
            assert_eq!(raw.0.live(), (0, 0), "allocation {n}");
            if answer.is_ok() && !came {
                break;
            }
        }
        assert!(untouched > 0 && (ended > 0 || guest.is_none()), "{untouched} and {ended}");
    }
}

#[test]
fn create_inside_detach_at_every_allocation() {
    for (config, guest) in kinds() {
        every_nth(
            running,
            |rt, failure| {
                let main = rt.main().expect("it is running");
                let mut state = rt.thread_state(main).expect("memory");
                let attempt = |cx: &mut Attached<'_, H>| {
                    let kept = cx.alloc_plain(7_u32).expect("memory");
                    let made = cx.detach(|| {
                        failure.arm(rt);
                        rt.create(&config, guest).map(drop).map_err(Error::from)
                    });
                    // The caller stands where it stood: attached, with what it had.
                    assert_eq!((*kept.get(cx), cx.id()), (7, main));
                    assert_eq!(cx.safepoint(), Ok(()));
                    kept.release(cx);
                    made
                };
                state.attach(|cx| attempt(cx)).expect("nothing is attached")
            },
            no_memory,
        );
    }
}

#[test]
fn create_at_every_allocation_when_the_table_of_ids_grows() {
    let config = InterpreterConfig::isolated();
    every_nth(
        |rt| {
            running(rt);
            while rt.count().expect("no handler asks") < 16 {
                drop(rt.create(&config, None).expect("memory"));
            }
        },
        |rt, failure| {
            failure.arm(rt);
            rt.create(&config, None).map(drop).map_err(Error::from)
        },
        no_memory,
    );
}

#[test]
fn raw_create_at_every_allocation_leaves_the_caller_attached() {
    for (config, guest) in kinds() {
        every_nth(
            running,
            |rt, failure| {
                let main = rt.main().expect("it is running");
                // SAFETY: raw states are used on this thread only, as the raw layer's contract wants.
                unsafe {
                    let caller = raw::thread_new(rt, main).expect("memory");
                    raw::attach(rt, caller).expect("nothing is attached");
                    failure.arm(rt);
                    let made = raw::new_interpreter_from_config(rt, &config, guest);
                    if made.is_err() {
                        assert_eq!(raw::current(rt), Some(caller), "attached exactly as before");
                        assert_eq!(raw::with_token(rt, |cx| cx.id()), Ok(main));
                    }
                    raw::detach(rt).expect("one is attached");
                    raw::attach(rt, caller).expect("it is alive");
                    raw::thread_clear(rt, caller).expect("it is attached");
                    raw::thread_delete_current(rt).expect("it is cleared");
                    made.map(|_| ())
                }
            },
            no_memory,
        );
    }
}

#[test]
fn a_thread_state_at_every_allocation() {
    every_nth(
        running,
        |rt, failure| {
            let main = rt.main().expect("it is running");
            let kept = rt.thread_state(main).expect("memory");
            failure.arm(rt);
            rt.thread_state(main).map(|_| drop(kept)).map_err(Error::from)
        },
        |error| error == ThreadError::NoMemory.into(),
    );
}

#[test]
fn ensure_at_every_allocation() {
    every_nth(
        |rt| {
            running(rt);
            // Not the one that initialization left for the next.
            core::mem::forget(rt.thread_state(rt.main().expect("it is running")).expect("memory"));
        },
        |rt, failure| {
            let main = rt.main().expect("it is running");
            failure.arm(rt);
            rt.ensure(main, |cx| assert_eq!(cx.id(), main)).map_err(Error::from)
        },
        |error| error == AttachError::NoMemory.into(),
    );
}

/// Runs `attempt` attached to the newest interpreter.
fn inside(rt: &Rt, attempt: impl FnOnce(&mut Attached<'_, H>) -> Result<(), Error>) -> Result<(), Error> {
    rt.ensure(rt.head().expect("it was created"), |cx| attempt(cx)).expect("nothing is attached")
}

#[test]
fn an_object_at_every_allocation() {
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        every_nth(
            |rt| {
                running(rt);
                drop(rt.create(&config, None).expect("memory"));
            },
            |rt, failure| {
                inside(rt, |cx| {
                    failure.arm(rt);
                    let (value, error) = match cx.alloc_plain([3_u8; 700]) {
                        Ok(object) => {
                            core::mem::forget(object);
                            return Ok(());
                        }
                        Err(refused) => refused,
                    };
                    assert_eq!(value, [3; 700], "the value comes back");
                    assert_eq!(error.domain, Domain::Object);
                    assert!(error.requested >= 700);
                    assert_eq!(cx.safepoint(), Ok(()));
                    Err(error.into())
                })
            },
            exhausted,
        );
    }
}

#[test]
fn a_name_at_every_allocation() {
    // The first name takes a table, the ninth a larger one; names that were given stay good.
    for given in [0, 8] {
        every_nth(
            |rt| {
                running(rt);
                drop(rt.create(&InterpreterConfig::legacy(), None).expect("memory"));
                let names = inside(rt, |cx| {
                    for n in 0..given {
                        let object = cx.alloc_plain(n).expect("memory");
                        let name = cx.global(object).ok().expect("memory");
                        assert_eq!(cx.local(&name).map(|object| *object.get()), Ok(n));
                    }
                    Ok(())
                });
                assert_eq!(names, Ok(()));
            },
            |rt, failure| {
                inside(rt, |cx| {
                    let object = cx.alloc_plain(given).expect("memory");
                    failure.arm(rt);
                    let (object, error) = match cx.global(object) {
                        Ok(name) => {
                            assert_eq!(cx.local(&name).map(|object| *object.get()), Ok(given));
                            return Ok(());
                        }
                        Err(refused) => refused,
                    };
                    assert_eq!(error.domain, Domain::Mem);
                    assert_eq!(*object.get(cx), given, "the reference comes back");
                    object.release(cx);
                    Err(error.into())
                })
            },
            exhausted,
        );
    }
}

#[test]
fn a_block_of_each_domain_at_every_allocation() {
    for (config, domain) in kinds().into_iter().flat_map(|(config, _)| Domain::ALL.map(|d| (config, d))) {
        every_nth(
            |rt| {
                running(rt);
                drop(rt.create(&config, None).expect("memory"));
            },
            |rt, failure| {
                inside(rt, |cx| {
                    failure.arm(rt);
                    match cx.allocate(domain, Layout::new::<[u64; 100]>()) {
                        Ok(_) => Ok(()),
                        Err(error) => {
                            let expected =
                                AllocError { domain, requested: 800, cause: AllocCause::Exhausted };
                            assert_eq!(error, expected);
                            Err(error.into())
                        }
                    }
                })
            },
            exhausted,
        );
    }
}

/// Makes each allocation of an operation on containers fail in turn. It is told the value that it must give back.
fn containers_at_every_nth(attempt: impl Fn(&mut Attached<'_, H>, &dyn Fn()) -> Result<(), AllocError>) {
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

#[test]
fn a_box_and_an_rc_at_every_allocation() {
    containers_at_every_nth(|cx, arm| {
        arm();
        let boxed = Box::new(cx, [3_u8; 300]).map_err(|(value, error)| {
            assert_eq!(value, [3; 300]);
            error
        })?;
        match Rc::new(cx, [4_u8; 300]) {
            Ok(rc) => {
                assert_eq!((boxed.get(cx), rc.get(cx)), (&[3; 300], &[4; 300]));
                Ok(())
            }
            Err((value, error)) => {
                assert_eq!((value, boxed.get(cx)), ([4; 300], &[3; 300]));
                boxed.release(cx);
                Err(error)
            }
        }
    });
}

#[test]
fn a_vec_at_every_allocation() {
    containers_at_every_nth(|cx, arm| {
        arm();
        let mut vec = Vec::new();
        for n in 0..scaled(40, 9) as u64 {
            // Each refusal leaves it as it was, and a second try goes on.
            if let Err((value, error)) = vec.push(cx, n) {
                assert_eq!((value, error.domain), (n, Domain::Mem));
                assert!(vec.as_slice(cx).iter().copied().eq(0..n));
                return Err(error);
            }
        }
        vec.extend_from_slice(cx, &[1; 100])?;
        vec.truncate(cx, 3);
        vec.shrink_to_fit(cx).inspect_err(|_| assert_eq!(vec.as_slice(cx), [0, 1, 2]))?;
        assert_eq!(vec.as_slice(cx), [0, 1, 2]);
        let mut text = Text::of(cx, "a text")?;
        text.push_str(cx, " and more of it").inspect_err(|_| assert_eq!(text.as_str(cx), "a text"))?;
        text.reserve(cx, 500)?;
        text.release(cx);
        Ok(())
    });
}

#[test]
fn a_map_at_every_allocation() {
    containers_at_every_nth(|cx, arm| {
        let mut map = Map::new();
        let entries = scaled(30, 5) as u64;
        arm();
        for n in 0..entries {
            if let Err((entry, error)) = map.insert(cx, n, Box::new(cx, n).map_err(|(_, error)| error)?) {
                assert_eq!((entry.0, *entry.1.get(cx)), (n, n));
                assert_eq!(map.len(cx), n as usize);
                assert!((0..n).all(|n| map.get(cx, &n).is_some_and(|value| *value.get(cx) == n)));
                return Err(error);
            }
        }
        for n in 2..entries {
            assert!(map.remove(cx, &n).is_some());
        }
        map.shrink_to_fit(cx).inspect_err(|_| assert!(map.len(cx) == 2 && map.contains_key(cx, &1)))?;
        assert!(map.contains_key(cx, &0) && map.contains_key(cx, &1));
        map.release(cx);
        Ok(())
    });
}

#[test]
fn a_collection_of_others_at_every_allocation() {
    containers_at_every_nth(|cx, arm| {
        arm();
        let handle = |handle| handle;
        let handle = InHeap::new(cx, handle).map_err(|(_, error)| error)?;
        let mut map = hashbrown::HashMap::new_in(*handle.get(cx));
        for n in 0..scaled(100, 10) as u64 {
            if map.try_reserve(1).is_err() {
                assert!((0..n).all(|n| map.get(&n) == Some(&n)));
                let (domain, requested, cause) = (Domain::Mem, 0, AllocCause::Exhausted);
                return Err(AllocError { domain, requested, cause });
            }
            map.insert(n, n);
        }
        Ok(())
    });
}

static KEPT: InterpreterLocal<Plain<u32>> = InterpreterLocal::new();

#[test]
fn what_the_host_keeps_at_every_allocation() {
    containers_at_every_nth(|cx, arm| {
        let object = cx.alloc_plain(1_u32).expect("memory");
        arm();
        KEPT.set(cx, object).map_err(|(object, error)| {
            assert!(KEPT.get(cx).is_none());
            object.release(cx);
            error
        })
    });
    containers_at_every_nth(|cx, arm| {
        let object = cx.alloc_plain(2_u32).expect("memory");
        arm();
        cx.set_host_value("name", object).map_err(|(object, error)| {
            assert!(cx.host_value::<Plain<u32>>("name").is_none());
            object.release(cx);
            error
        })?;
        assert_eq!(cx.host_value::<Plain<u32>>("name").map(|value| *value.get()), Some(2));
        Ok(())
    });
}

#[test]
fn the_guests_thread_data_at_every_allocation() {
    every_nth(
        |rt| {
            running(rt);
            drop(rt.create(&InterpreterConfig::isolated(), hungry()).expect("memory"));
        },
        |rt, failure| {
            let id = rt.head().expect("it was created");
            rt.ensure(id, |cx| {
                failure.arm(rt);
                cx.guest::<Hungry>().map(|parts| parts.thread[0] = 1).map_err(Error::from)
            })
            .expect("nothing is attached")
        },
        |error| matches!(error, Error::Guest(GuestError::Alloc(e)) if e.cause == AllocCause::Exhausted),
    );
}

#[test]
fn a_vetoed_creation_takes_nothing() {
    for (config, guest) in kinds() {
        let rt = manual().runtime;
        running(&rt);
        let scribe = Scribe::of(&rt);
        let (before, kept) = (see(&rt), live(&rt));
        scribe.veto_creating(true);
        assert_eq!(rt.create(&config, guest).map(drop), Err(CreateError::Vetoed));
        rt.raw().backend().0.fail_after(Some(0));
        assert_eq!(rt.create(&config, guest).map(drop), Err(CreateError::Vetoed));
        assert!(!Failure::disarm(&rt), "it was vetoed before any memory was asked for");
        assert_eq!((see(&rt), live(&rt)), (before, kept));
        scribe.veto_creating(false);
        assert_eq!(rt.create(&config, guest).map(drop), Ok(()));
    }
}

/// A guest that gives up after it allocated.
struct Reluctant;

impl<H: Host> Guest<H> for Reluctant {
    type State = Plain<u64>;
    type Thread = Plain<u64>;

    fn start<'i>(cx: &mut Attached<'i, H>) -> Result<u64, GuestError> {
        core::mem::forget(cx.alloc_plain([1_u8; 99]).map_err(|(_, error)| error)?);
        cx.allocate(Domain::Object, Layout::new::<u64>())?;
        Err(GuestError::StartFailed)
    }

    fn start_thread<'i>(_: &mut Attached<'i, H>) -> Result<u64, GuestError> {
        Ok(0)
    }

    fn exec(_: &mut Attached<'_, H>, _: &[u8]) -> Step {
        Step::Done(Value::None)
    }

    fn resume(_: &mut Attached<'_, H>) -> Step {
        Step::Done(Value::None)
    }
}

#[test]
fn a_guest_that_gives_up_leaves_nothing() {
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        let rt = manual().runtime;
        running(&rt);
        let create = || rt.create_as(&config, Some(GuestTable::of::<Reluctant>()), Whence::Stdlib).map(drop);
        let before = see(&rt);
        assert_eq!(create(), Err(CreateError::GuestFailed));
        let kept = live(&rt);
        for n in 0..8 {
            rt.raw().backend().0.fail_after(Some(n));
            let answer = create();
            // Refused before it could give up, or not.
            let came = Failure::disarm(&rt);
            assert_eq!(answer, Err(if came { CreateError::NoMemory } else { CreateError::GuestFailed }));
            assert_eq!(see(&rt), before);
            assert!(live(&rt) <= kept);
        }
        let raw = rt.raw().backend().clone();
        drop(rt);
        assert_eq!(raw.0.live(), (0, 0));
    }
}

#[test]
fn ends_need_no_memory() {
    let rt = manual().runtime;
    let raw = rt.raw().backend().clone();
    let _main = rt.initialize(hungry()).expect("memory");
    let mut states = std::vec::Vec::new();
    for (config, guest) in kinds() {
        let mut state = rt.create(&config, guest).expect("memory");
        let made = state.attach(|cx| {
            for n in 0..20_u64 {
                let object = cx.alloc_plain(n).expect("memory");
                let _name = cx.global(object).ok().expect("memory");
            }
            guest.map(|_| cx.guest::<Hungry>().map(|_| ()))
        });
        assert!(made.expect("nothing is attached").is_none_or(|data| data.is_ok()));
        states.push(state);
    }
    raw.0.set_budget(Some(0));
    assert_eq!(rt.create(&InterpreterConfig::isolated(), None).map(drop), Err(CreateError::NoMemory));
    let mut left = 0;
    for (nth, state) in states.into_iter().enumerate() {
        let id = state.interpreter();
        match nth % 3 {
            // Its own thread state first, or after the end, or the runtime ends it.
            0 => {
                drop(state);
                rt.end(id, None).expect("nobody is inside");
            }
            1 => {
                rt.end(id, None).expect("nobody is inside");
                drop(state);
            }
            _ => {
                drop(state);
                left += 1;
            }
        }
    }
    let ledger = rt.finalize(None).expect("nobody is inside");
    assert_eq!(ledger.left_over, left);
    drop(rt);
    assert_eq!(raw.0.live(), (0, 0));
}

/// From less than an interpreter takes to plenty (lupa issue 211, quickjs-ng issue 1181).
#[test]
fn every_limit_works_or_is_refused() {
    let step = if cfg!(miri) { 8192 } else { 128 };
    const LARGE: usize = if cfg!(miri) { 4000 } else { 200 };
    let rt = manual().runtime;
    running(&rt);
    for (config, guest) in kinds() {
        let mut worked = false;
        for limit in (512..=64 * 1024).step_by(step) {
            let before = see(&rt);
            let config = config.with_memory_limit(Some(limit));
            let mut state = match rt.create(&config, guest) {
                Ok(state) => state,
                Err(error) => {
                    assert_eq!(error, CreateError::Config(ConfigError::LimitBelowFootprint), "{limit}");
                    assert!(!worked, "{limit}: refused where less was enough");
                    assert_eq!(see(&rt), before);
                    continue;
                }
            };
            worked = true;
            let id = state.interpreter();
            let full = state.attach(|cx| {
                assert_eq!(cx.memory_limits().hard, Some(limit));
                loop {
                    assert!(cx.usage().bytes() <= limit);
                    match cx.alloc_plain([0_u8; LARGE]) {
                        Ok(object) => core::mem::forget(object),
                        Err((_, error)) => return error,
                    }
                }
            });
            assert_eq!(full.expect("nothing is attached").cause, AllocCause::HardLimit);
            drop(state);
            let ledger = rt.end(id, None).expect("nobody is inside");
            assert!(ledger.peak <= limit || guest.is_some(), "{ledger:?}");
            assert_eq!(see(&rt), before);
        }
        assert!(worked, "64 KiB are enough");
    }
    let raw = rt.raw().backend().clone();
    drop(rt);
    assert_eq!(raw.0.live(), (0, 0));
}
