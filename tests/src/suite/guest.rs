//! Guests: two unlike ones in one runtime, their state and data, their failures.

use core::{cell::Cell, panic::AssertUnwindSafe};
use std::{panic::catch_unwind, thread};

use archipelago_kernel::{
    Attached, Host,
    config::{GilChoice, InterpreterConfig},
    error::{ConfigError, CreateError, GuestError},
    guest::{Family, Fault, Guest, GuestTable, Plain, Step, Value},
    object::Edge,
};
use archipelago_toy_guest::Toy;

use crate::{
    TestHost,
    support::{Drops, Noisy, create, list_all, strategies, throw},
};

/// The other guest: it adds numbers up. Nothing of it resembles the toy: its programs are digits, its state a
/// chain of objects, its thread data a count.
pub struct Tally;

/// A link of the chain.
pub struct Link<'i> {
    value: i64,
    before: Option<Edge<'i, LinkFamily>>,
}

/// [`Link`] at every brand.
pub struct LinkFamily;

impl Family for LinkFamily {
    type At<'i> = Link<'i>;
}

/// The chain's last link, and what the test watches.
pub struct TallyState<'i> {
    last: Option<Edge<'i, LinkFamily>>,
    watched: Option<Noisy>,
}

/// [`TallyState`] at every brand.
pub struct TallyFamily;

impl Family for TallyFamily {
    type At<'i> = TallyState<'i>;
}

/// What a thread state did.
#[derive(Default)]
pub struct TallyThread {
    runs: usize,
    watched: Option<Noisy>,
}

std::thread_local! {
    /// What `start` does on this thread, for the tests that want it to fail.
    static START: Cell<Start> = const { Cell::new(Start::Well) };
    /// How often `end` was called on this thread.
    static ENDS: Cell<usize> = const { Cell::new(0) };
}

#[derive(Clone, Copy, PartialEq)]
enum Start {
    Well,
    Refuse,
    Panic,
    Hungry(usize),
}

impl<H: Host> Guest<H> for Tally {
    type State = TallyFamily;
    type Thread = Plain<TallyThread>;

    fn start<'i>(cx: &mut Attached<'i, H>) -> Result<TallyState<'i>, GuestError> {
        match START.get() {
            Start::Well => {}
            Start::Refuse => return Err(GuestError::StartFailed),
            Start::Panic => throw(),
            Start::Hungry(blocks) => {
                let mut last = None;
                for _ in 0..blocks {
                    let link = cx.alloc::<LinkFamily>(Link { value: 0, before: last });
                    last = Some(link.map_err(|(_, error)| GuestError::Alloc(error))?.into_edge());
                }
                return Ok(TallyState { last, watched: None });
            }
        }
        Ok(TallyState { last: None, watched: None })
    }

    fn start_thread<'i>(_: &mut Attached<'i, H>) -> Result<TallyThread, GuestError> {
        Ok(TallyThread::default())
    }

    fn exec(cx: &mut Attached<'_, H>, source: &[u8]) -> Step {
        match cx.guest::<Tally>() {
            Ok(parts) => parts.thread.runs += 1,
            Err(error) => return Step::Failed(error.into()),
        }
        match source {
            b"panic" => throw(),
            b"spin" => loop {
                if let Err(interrupt) = cx.safepoint() {
                    return Step::Failed(interrupt.into());
                }
                core::hint::spin_loop();
            },
            digits => {
                let mut sum = 0;
                for digit in digits {
                    let value = i64::from(digit - b'0');
                    let before = cx.guest::<Tally>().unwrap().state.last.take();
                    sum = value + before.as_ref().map_or(0, |edge| edge.get(cx).value);
                    match cx.alloc::<LinkFamily>(Link { value: sum, before }) {
                        Ok(link) => cx.guest::<Tally>().unwrap().state.last = Some(link.into_edge()),
                        Err((_, error)) => return Step::Failed(error.into()),
                    }
                }
                Step::Done(Value::Int(sum))
            }
        }
    }

    fn resume(_: &mut Attached<'_, H>) -> Step {
        Step::Failed(Fault::Refused(GuestError::NotRunning))
    }

    fn end(cx: &mut Attached<'_, H>) {
        ENDS.set(ENDS.get() + 1);
        // The token is as good as any.
        assert_eq!(cx.safepoint(), Ok(()));
        assert!(cx.alloc_plain([0u8; 32]).is_ok());
        assert!(cx.guest::<Tally>().is_ok());
        assert!(cx.exec(b"0").is_over());
    }
}

impl TallyState<'_> {
    /// How long the chain is.
    fn length<H: Host>(cx: &Attached<'_, H>) -> usize {
        let mut at = cx.guest_state::<Tally>().unwrap().last.as_ref();
        let mut length = 0;
        while let Some(edge) = at {
            length += 1;
            at = edge.get(cx).before.as_ref();
        }
        length
    }
}

fn tally<H: Host>() -> Option<&'static GuestTable<H>> {
    Some(GuestTable::of::<Tally>())
}

fn toy<H: Host>() -> Option<&'static GuestTable<H>> {
    Some(GuestTable::of::<Toy>())
}

/// SPEC: P1
pub fn two_unlike_guests_in_one_runtime<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut a = rt.create(&config, tally()).unwrap();
        let mut b = rt.create(&config, toy()).unwrap();
        for round in 1..=3 {
            assert_eq!(a.attach(|cx| cx.exec(b"12")), Ok(Step::Done(Value::Int(3 * round))));
            let step = b.attach(|cx| cx.exec(b"load 0; push 2; add; dup; store 0; halt")).unwrap();
            assert_eq!(step, Step::Done(Value::Int(2 * round)));
        }
        // One inside the other.
        let seen = a.attach(|cx| {
            let inner = cx.enter(&mut b, |cy| cy.exec(b"load 0; halt")).unwrap();
            (inner, cx.exec(b"1"))
        });
        assert_eq!(seen, Ok((Step::Done(Value::Int(6)), Step::Done(Value::Int(10)))));
        assert_eq!(
            a.attach(|cx| (TallyState::length(cx), cx.runs::<Tally>(), cx.runs::<Toy>())),
            Ok((7, true, false))
        );
        for state in [a, b] {
            let id = state.interpreter();
            drop(state);
            assert!(rt.end(id, None).unwrap().leaked.mem.bytes == 0);
        }
    }
}

/// SPEC: P1
pub fn the_wrong_guest_is_named<H: TestHost>() {
    let rt = H::started();
    let mut none = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut some = rt.create(&InterpreterConfig::isolated(), tally()).unwrap();
    none.attach(|cx| {
        assert_eq!(cx.guest::<Tally>().err(), Some(GuestError::NoGuest));
        assert_eq!(cx.guest_state::<Toy>().err(), Some(GuestError::NoGuest));
        let refused = Step::Failed(Fault::Refused(GuestError::NoGuest));
        assert_eq!([cx.exec(b""), cx.call("f", &[]), cx.eval_frame(false)], [refused; 3]);
        assert!(!cx.is_running());
    })
    .unwrap();
    some.attach(|cx| {
        assert_eq!(cx.guest::<Toy>().err(), Some(GuestError::WrongGuest));
        assert_eq!(cx.guest_state::<Toy>().err(), Some(GuestError::WrongGuest));
        assert!(cx.guest::<Tally>().is_ok());
        let unsupported = Step::Failed(Fault::Refused(GuestError::Unsupported));
        assert_eq!(cx.call("f", &[]), unsupported, "what a guest does not offer");
    })
    .unwrap();
}

/// SPEC: P1, T8
pub fn state_and_token_are_lent_together<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), tally()).unwrap();
    let id = state.interpreter();
    let lent = Some(GuestError::Lent);
    state
        .attach(|cx| {
            let sum = cx.with_guest::<Tally, _>(|parts, cx| {
                for value in 1..=3 {
                    let before = parts.state.last.take();
                    let sum = value + before.as_ref().map_or(0, |edge| edge.get(cx).value);
                    let link = cx.alloc::<LinkFamily>(Link { value: sum, before });
                    parts.state.last = Some(link.map_err(|(_, error)| error).unwrap().into_edge());
                }
                parts.thread.runs += 1;
                assert_eq!((cx.guest::<Tally>().err(), cx.guest_state::<Tally>().err()), (lent, lent));
                assert_eq!(cx.with_guest::<Tally, _>(|_, _| ()).err(), lent);
                assert_eq!(cx.guest::<Toy>().err(), Some(GuestError::WrongGuest));
                assert!(cx.runs::<Tally>());
                let elsewhere = cx.detach(|| {
                    thread::scope(|s| {
                        s.spawn(|| rt.ensure(id, |cx| (cx.guest::<Tally>().err(), cx.exec(b"1")))).join()
                    })
                });
                let refused = Step::Failed(Fault::Refused(GuestError::Lent));
                assert_eq!(elsewhere.unwrap(), Ok((lent, refused)));
                parts.state.last.as_ref().map(|edge| edge.get(cx).value)
            });
            assert_eq!(sum, Ok(Some(6)));
            let panicked = catch_unwind(AssertUnwindSafe(|| cx.with_guest::<Tally, ()>(|_, _| throw())));
            assert!(panicked.is_err());
            assert_eq!(
                (TallyState::length(cx), cx.guest::<Tally>().unwrap().thread.runs),
                (3, 1),
                "given back"
            );
        })
        .unwrap();
    drop(state);
    assert!(rt.end(id, None).unwrap().is_clean());
}

/// SPEC: P1, L1, L16
pub fn a_guest_that_cannot_start_undoes_the_creation<H: TestHost>() {
    let rt = H::started();
    let before = list_all(&rt);
    let mut in_use = None;
    // The first round leaves slots, and blocks that main's heap keeps, for the next.
    let configs = strategies::<H>();
    for (round, config) in configs.iter().chain(&configs).enumerate() {
        let attempt = |start| {
            START.set(start);
            let made = catch_unwind(AssertUnwindSafe(|| rt.create(config, tally()).err()));
            START.set(Start::Well);
            assert_eq!(list_all(&rt), before);
            assert_eq!(rt.count(), Ok(before.len()));
            assert!(!rt.interpreter(before[0]).unwrap().gil().unwrap().held);
            assert_eq!(crate::support::current::<H>(), None);
            made
        };
        assert_eq!(attempt(Start::Refuse).unwrap(), Some(CreateError::GuestFailed));
        assert!(attempt(Start::Panic).is_err());
        if round >= configs.len() {
            assert_eq!(H::raw_in_use(&rt), in_use, "nothing leaks");
        }
        assert!(rt.create(config, tally()).is_ok_and(|state| rt.end(state.interpreter(), None).is_ok()));
        in_use = H::raw_in_use(&rt);
    }
}

/// SPEC: C3, L1
pub fn a_limit_below_what_the_guest_takes_is_refused<H: TestHost>() {
    let rt = H::started();
    let plain = create(&rt, &InterpreterConfig::isolated());
    let footprint = rt.interpreter(plain).unwrap().usage().unwrap().bytes();
    let tight = InterpreterConfig::isolated().with_memory_limit(Some(footprint + 256));
    START.set(Start::Hungry(100));
    let answer = rt.create(&tight, tally()).err();
    START.set(Start::Well);
    assert_eq!(answer, Some(CreateError::Config(ConfigError::LimitBelowFootprint)));
    assert_eq!(rt.count(), Ok(2));
}

/// SPEC: T8
pub fn each_thread_state_has_its_own_data<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut first = rt.create(&config, tally()).unwrap();
        let id = first.interpreter();
        let mut second = rt.thread_state(id).unwrap();
        let runs = |state: &mut archipelago_kernel::ThreadState<'_, H>, n| {
            state
                .attach(|cx| {
                    for _ in 0..n {
                        assert!(cx.exec(b"1").is_over());
                    }
                    cx.guest::<Tally>().unwrap().thread.runs
                })
                .unwrap()
        };
        assert_eq!((runs(&mut first, 3), runs(&mut second, 1)), (3, 1));
        assert_eq!((runs(&mut first, 0), runs(&mut second, 0)), (3, 1));
        let third = rt.ensure(id, |cx| cx.guest::<Tally>().unwrap().thread.runs);
        assert_eq!(third, Ok(0), "a new thread state begins anew");
    }
}

/// SPEC: T8, T1
pub fn thread_data_goes_with_its_thread_state<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let (watched, drops) = Noisy::new();
        let mut first = rt.create(&config, tally()).unwrap();
        let id = first.interpreter();
        let mut second = rt.thread_state(id).unwrap();
        let before = rt.interpreter(id).unwrap().usage().unwrap().mem.bytes;
        first.attach(|cx| cx.guest::<Tally>().unwrap().thread.watched = Some(watched)).unwrap();
        let another = drops.another();
        second.attach(|cx| cx.guest::<Tally>().unwrap().thread.watched = Some(another)).unwrap();
        drop(first);
        assert_eq!(drops.count(), 1, "with the thread state");
        drop(second);
        assert_eq!(drops.count(), 2);
        assert_eq!(rt.interpreter(id).unwrap().usage().unwrap().mem.bytes, before, "memory and all");
        rt.end(id, None).unwrap();
        assert_eq!(drops.count(), 2);
    }
}

/// SPEC: T8, L3
pub fn thread_data_that_is_left_goes_with_the_interpreter<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let (watched, drops) = Noisy::new();
        let mut state = rt.create(&config, tally()).unwrap();
        let id = state.interpreter();
        let mut other = rt.thread_state(rt.main().unwrap()).unwrap();
        state.attach(|cx| cx.guest::<Tally>().unwrap().thread.watched = Some(watched)).unwrap();
        // Dropped where it cannot attach: what it has stays until the end.
        other.attach(|_| drop(state)).unwrap();
        assert_eq!(drops.count(), 0);
        let ledger = rt.end(id, None).unwrap();
        assert_eq!((drops.count(), ledger.leaked.mem.bytes), (1, 0));
    }
}

/// SPEC: P1, L3
pub fn end_is_called_once_with_a_good_token<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let (watched, drops): (Noisy, Drops) = Noisy::new();
        let mut state = rt.create(&config, tally()).unwrap();
        state
            .attach(|cx| {
                cx.guest::<Tally>().unwrap().state.watched = Some(watched);
                assert_eq!(cx.exec(b"123"), Step::Done(Value::Int(6)));
            })
            .unwrap();
        let before = ENDS.get();
        let ledger = rt.end(state.interpreter(), None).unwrap();
        assert_eq!(ENDS.get(), before + 1);
        assert_eq!(drops.count(), 1, "the state was dropped");
        assert_eq!((ledger.objects, ledger.leaked.mem.bytes, ledger.leaked.object.bytes), (0, 0, 0));
    }
}

/// SPEC: P1
/// CPython: test_embed.test_subinterps_distinct_state
pub fn each_interpreter_has_its_own_state<H: TestHost>() {
    let rt = H::started();
    let shared = InterpreterConfig::isolated().with_gil(GilChoice::Shared);
    let configs = strategies::<H>().into_iter().chain([shared]);
    let mut states: Vec<_> = configs.map(|config| rt.create(&config, tally()).unwrap()).collect();
    for (n, state) in states.iter_mut().enumerate() {
        for _ in 0..=n {
            state.attach(|cx| assert!(cx.exec(b"1").is_over())).unwrap();
        }
    }
    let sums = states.iter_mut().map(|state| state.attach(|cx| cx.exec(b"0")).unwrap());
    for (n, sum) in sums.enumerate() {
        assert_eq!(sum, Step::Done(Value::Int(n as i64 + 1)));
    }
}

fn seventeen<H: Host>(_: &mut Attached<'_, H>, throwing: bool) -> Step {
    Step::Done(Value::Int(if throwing { 18 } else { 17 }))
}

/// SPEC: E7
pub fn the_frame_evaluation_function_is_the_interpreters<H: TestHost>() {
    let rt = H::started();
    let mut a = rt.create(&InterpreterConfig::isolated(), toy()).unwrap();
    let mut b = rt.create(&InterpreterConfig::isolated(), toy()).unwrap();
    let program = b"push 1; halt";
    a.attach(|cx| {
        assert!(cx.frame_eval().is_none(), "the guest's own");
        assert_eq!(cx.exec(program), Step::Done(Value::Int(1)));
        cx.set_frame_eval(Some(seventeen::<H>));
        assert!(cx.frame_eval().is_some());
        assert_eq!(cx.exec(program), Step::Done(Value::Int(17)));
        assert_eq!(cx.eval_frame(true), Step::Done(Value::Int(18)));
    })
    .unwrap();
    let other = rt.ensure(a.interpreter(), |cx| cx.exec(program));
    assert_eq!(other, Ok(Step::Done(Value::Int(17))), "every thread state of it");
    assert_eq!(b.attach(|cx| cx.exec(program)), Ok(Step::Done(Value::Int(1))), "no other interpreter");
    a.attach(|cx| {
        cx.set_frame_eval(None);
        assert_eq!(cx.exec(program), Step::Done(Value::Int(1)));
        cx.set_frame_eval(Some(seventeen::<H>));
    })
    .unwrap();
    rt.end(a.interpreter(), None).unwrap();
    let mut next = rt.create(&InterpreterConfig::isolated(), toy()).unwrap();
    assert!(next.attach(|cx| cx.frame_eval().is_none()).unwrap(), "nor the next one in the same memory");
}

/// SPEC: P1, R7
pub fn main_has_a_guest_too<H: TestHost>() {
    let rt = H::fresh();
    START.set(Start::Refuse);
    let refused = rt.initialize(tally());
    START.set(Start::Well);
    let failed = archipelago_kernel::error::RuntimeError::Main(CreateError::GuestFailed);
    assert_eq!(refused, Err(failed));
    assert_eq!(rt.phase(), archipelago_kernel::runtime::RuntimePhase::Uninitialized, "as it was");
    let main = rt.initialize(tally()).unwrap().main();
    assert_eq!(main.number(), 0);
    assert_eq!(rt.ensure(main, |cx| cx.exec(b"5")), Ok(Step::Done(Value::Int(5))));
    assert!(rt.finalize(None).unwrap().main.leaked.object.bytes == 0);
}
