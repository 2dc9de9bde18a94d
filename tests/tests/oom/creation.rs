//! Runtimes and interpreters that are made.

use core::alloc::Layout;

use archipelago_kernel::{
    Attached, Host,
    config::InterpreterConfig,
    error::{AttachError, CreateError, Error, GuestError, ResetError, RuntimeError},
    guest::{Guest, GuestTable, Plain, Step, Value},
    interpreter::Whence,
    memory::Domain,
};
use archipelago_model::manual;
use archipelago_tests::support::Scribe;

use crate::{Failure, H, every_nth, hungry, kinds, live, no_memory, running, see};

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
