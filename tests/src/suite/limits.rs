//! Limits and exact accounts: soft and hard, the reserve, the call when memory is low, and limits that change.
#![allow(unsafe_code)]

use core::{alloc::Layout, cell::Cell, marker::PhantomData};
use std::thread;

use archipelago_kernel::{
    Attached, Host, Runtime,
    config::{ConfigValue, InterpreterConfig},
    error::{ConfigError, CreateError, GuestError},
    eval::PendingFailed,
    guest::{Guest, GuestTable, Plain, Step, Value},
    memory::{AllocCause, AllocError, Domain, LimitError, MemoryLimits},
};

use crate::{
    TestHost,
    support::{Gate, create, forever, strategies},
};

pub(super) fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

pub(super) fn cause<T>(answer: Result<T, AllocError>) -> Option<AllocCause> {
    answer.err().map(|error| error.cause)
}

/// What an interpreter without a guest holds before it runs anything.
pub(super) fn footprint<H: TestHost>() -> usize {
    Runtime::<H>::INTERPRETER_BYTES
}

/// SPEC: M6, C7
pub fn the_reserve_is_for_the_handler<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let base = footprint::<H>();
        let config = preset
            .with_memory_soft_limit(Some(base + 1000))
            .with_memory_reserve(500)
            .with_memory_limit(Some(base + 2000));
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let first = cx.allocate(Domain::Mem, layout(1000)).unwrap();
                assert_eq!(cx.available(), 0);
                assert_eq!(cause(cx.allocate(Domain::Object, layout(1))), Some(AllocCause::SoftLimit));
                assert_eq!(cause(cx.allocate(Domain::Mem, layout(1001))), Some(AllocCause::HardLimit));
                let second = cx.with_reserve(|cx| {
                    let second = cx.allocate(Domain::Object, layout(400)).unwrap();
                    assert_eq!(cx.available(), 100);
                    assert_eq!(cause(cx.allocate(Domain::Mem, layout(101))), Some(AllocCause::SoftLimit));
                    cx.with_reserve(|cx| assert_eq!(cx.available(), 100, "there is one reserve"));
                    second
                });
                assert_eq!(cause(cx.allocate(Domain::Mem, layout(1))), Some(AllocCause::SoftLimit));
                let third = cx.with_reserve(|cx| cx.allocate(Domain::Object, layout(100)).unwrap());
                // SAFETY: live, with this domain and layout.
                unsafe { cx.deallocate(Domain::Object, third, layout(100)) };
                let again = cx.allocate(Domain::Object, layout(50));
                assert_eq!(cause(again), Some(AllocCause::SoftLimit), "nor what the reserve had room for");
                // SAFETY: live, with these domains and layouts.
                unsafe {
                    cx.deallocate(Domain::Object, second, layout(400));
                    cx.deallocate(Domain::Mem, first, layout(1000));
                }
                assert_eq!(cx.available(), 1000, "and it goes on");
                let wide = MemoryLimits::none()
                    .with_soft(Some(base + 100))
                    .with_reserve(usize::MAX)
                    .with_hard(Some(base + 200));
                cx.set_memory_limits(wide).unwrap();
                cx.with_reserve(|cx| {
                    assert_eq!(cx.available(), 200);
                    assert_eq!(cause(cx.allocate(Domain::Mem, layout(201))), Some(AllocCause::HardLimit));
                });
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// Two handlers whose frames overlap and do not nest: the second keeps the reserve when the first is done, and nobody
/// has it when both are.
///
/// SPEC: M6
pub fn the_reserve_stays_until_the_last_handler_is_done<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let base = footprint::<H>();
        let config = preset.with_memory_soft_limit(Some(base + 1000)).with_memory_reserve(500);
        let id = create(&rt, &config);
        let (second_has_it, first_is_done) = (Gate::default(), Gate::default());
        thread::scope(|s| {
            s.spawn(|| {
                rt.ensure(id, |cx| {
                    cx.with_reserve(|cx| cx.detach(|| second_has_it.wait()));
                    assert_eq!(cx.available(), 1500, "the second one is at it");
                    cx.detach(|| first_is_done.open());
                })
                .unwrap();
            });
            s.spawn(|| {
                rt.ensure(id, |cx| {
                    cx.with_reserve(|cx| {
                        cx.detach(|| {
                            second_has_it.open();
                            first_is_done.wait();
                        });
                        assert_eq!(cx.available(), 1500);
                    });
                    assert_eq!(cx.available(), 1000);
                })
                .unwrap();
            });
        });
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// SPEC: C3, C5, C7
pub fn limits_are_settings<H: TestHost>() {
    let rt = H::started();
    let mut config = InterpreterConfig::isolated();
    for (name, bytes) in [("memory_limit", 90_000), ("memory_soft_limit", 80_000), ("memory_reserve", 4_000)]
    {
        config.set(name, ConfigValue::Int(bytes)).unwrap();
    }
    let mut state = rt.create(&config, None).unwrap();
    let limits = MemoryLimits::none().with_hard(Some(90_000)).with_soft(Some(80_000)).with_reserve(4_000);
    assert_eq!(state.attach(|cx| cx.memory_limits()), Ok(limits));
    let refused = |config: InterpreterConfig| rt.create(&config, None).err();
    let crossed = config.with_memory_soft_limit(Some(90_001));
    assert_eq!(refused(crossed), Some(CreateError::Config(ConfigError::SoftLimitAboveHard)));
    let small = config.with_memory_soft_limit(Some(footprint::<H>() - 1));
    assert_eq!(refused(small), Some(CreateError::Config(ConfigError::LimitBelowFootprint)));
    assert_eq!(rt.count(), Ok(2));
}

/// SPEC: C7, M6
pub fn limits_change_but_never_below_what_is_live<H: TestHost>() {
    /// Runs as a pending call: the way in from elsewhere.
    fn lower<H: Host>(cx: &mut Attached<'_, H>, hard: usize) -> Result<(), PendingFailed> {
        cx.set_memory_limits(MemoryLimits::none().with_hard(Some(hard))).map_err(|_| PendingFailed)
    }
    let rt = H::started();
    for preset in strategies::<H>() {
        let base = footprint::<H>();
        let mut state = rt.create(&preset, None).unwrap();
        let port = rt.interpreter(state.interpreter()).unwrap().port().unwrap();
        state
            .attach(|cx| {
                let block = cx.allocate(Domain::Mem, layout(1000)).unwrap();
                let hard = |bytes| MemoryLimits::none().with_hard(Some(base + bytes));
                assert_eq!(cx.set_memory_limits(hard(999)), Err(LimitError::BelowLive));
                let crossed = hard(2000).with_soft(Some(base + 2001));
                assert_eq!(cx.set_memory_limits(crossed), Err(LimitError::SoftAboveHard));
                assert_eq!(cx.memory_limits(), MemoryLimits::none(), "the old ones stand");
                let call = forever(archipelago_kernel::eval::PendingCall::new(lower::<H>, base + 1500));
                port.add(call).unwrap();
                assert_eq!(cx.safepoint(), Ok(()));
                assert_eq!((cx.memory_limits(), cx.available()), (hard(1500), 500));
                cx.set_memory_limits(hard(1000)).unwrap();
                assert_eq!(cause(cx.allocate(Domain::Mem, layout(1))), Some(AllocCause::HardLimit));
                // SAFETY: live, with this domain and layout.
                unsafe { cx.deallocate(Domain::Mem, block, layout(1000)) };
                cx.set_memory_limits(MemoryLimits::none()).unwrap();
                assert_eq!(cx.memory_limits(), MemoryLimits::none());
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

std::thread_local! {
    static TOLD: Cell<usize> = const { Cell::new(0) };
}

/// What an idle guest does where the kernel calls it.
pub trait Habit: 'static {
    /// When it starts.
    ///
    /// # Errors
    /// Why it does not.
    fn start<H: Host>(_: &mut Attached<'_, H>) -> Result<(), GuestError> {
        Ok(())
    }

    /// When it is told that memory is low.
    fn memory_low<H: Host>(_: &mut Attached<'_, H>) {}

    /// When it ends.
    fn end<H: Host>(_: &mut Attached<'_, H>) {}
}

/// A guest without a program.
pub struct Idle<T>(PhantomData<fn() -> T>);

impl<T: Habit, H: Host> Guest<H> for Idle<T> {
    type State = Plain<()>;
    type Thread = Plain<()>;

    fn start(cx: &mut Attached<'_, H>) -> Result<(), GuestError> {
        T::start(cx)
    }

    fn start_thread(_: &mut Attached<'_, H>) -> Result<(), GuestError> {
        Ok(())
    }

    fn exec(_: &mut Attached<'_, H>, _: &[u8]) -> Step {
        Step::Done(Value::None)
    }

    fn resume(_: &mut Attached<'_, H>) -> Step {
        Step::Done(Value::None)
    }

    fn memory_low(cx: &mut Attached<'_, H>) {
        T::memory_low(cx);
    }

    fn end(cx: &mut Attached<'_, H>) {
        T::end(cx);
    }
}

/// A guest that counts how often it is told that memory is low.
struct Watcher;

impl Habit for Watcher {
    fn memory_low<H: Host>(cx: &mut Attached<'_, H>) {
        TOLD.set(TOLD.get() + 1);
        assert_eq!(cx.safepoint(), Ok(()), "it is not told while it is told");
    }
}

/// SPEC: M6, E1
pub fn near_the_limit_the_guest_is_told<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let mut state = rt.create(&preset, Some(GuestTable::of::<Idle<Watcher>>())).unwrap();
        TOLD.set(0);
        state
            .attach(|cx| {
                let base = cx.usage().bytes();
                // An eighth of the whole is what "near" means.
                let limit = (base + 8000) / 8 * 8;
                cx.set_memory_limits(MemoryLimits::none().with_soft(Some(limit))).unwrap();
                let near = limit - limit / 8 - base;
                let first = cx.allocate(Domain::Mem, layout(near)).unwrap();
                assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 0));
                let second = cx.allocate(Domain::Object, layout(1)).unwrap();
                assert_eq!(TOLD.get(), 0, "at a safepoint");
                assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 1));
                let third = cx.allocate(Domain::Mem, layout(1)).unwrap();
                assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 1), "half of what is left is there still");
                let left = cx.available();
                let fourth = cx.allocate(Domain::Mem, layout(left)).unwrap();
                assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 2));
                for (domain, block, size) in [
                    (Domain::Mem, first, near),
                    (Domain::Object, second, 1),
                    (Domain::Mem, third, 1),
                    (Domain::Mem, fourth, left),
                ] {
                    // SAFETY: live, with this domain and layout.
                    unsafe { cx.deallocate(domain, block, layout(size)) };
                }
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// SPEC: M6, P1
pub fn a_guest_whose_state_is_lent_is_told_afterwards<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let mut state = rt.create(&preset, Some(GuestTable::of::<Idle<Watcher>>())).unwrap();
        TOLD.set(0);
        state
            .attach(|cx| {
                cx.guest::<Idle<Watcher>>().unwrap();
                let limit = cx.usage().bytes() + 8000;
                cx.set_memory_limits(MemoryLimits::none().with_soft(Some(limit))).unwrap();
                let left = cx.available();
                let lent = cx.with_guest::<Idle<Watcher>, _>(|_, cx| {
                    let block = cx.allocate(Domain::Mem, layout(left)).unwrap();
                    for _ in 0..2 {
                        assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 0), "it could free nothing");
                    }
                    block
                });
                assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 1));
                assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 1), "once");
                // SAFETY: live, with this domain and layout.
                unsafe { cx.deallocate(Domain::Mem, lent.unwrap(), layout(left)) };
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// A request that is allowed and then fails elsewhere says nothing of the limit, and leaves the notice to the next.
///
/// SPEC: M6, V4
pub fn a_failed_request_takes_no_notice_away<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let mut state = rt.create(&preset, Some(GuestTable::of::<Idle<Watcher>>())).unwrap();
        TOLD.set(0);
        state
            .attach(|cx| {
                let base = cx.usage().bytes();
                let limit = (base + (1 << 20)) / 8 * 8;
                cx.set_memory_limits(MemoryLimits::none().with_soft(Some(limit))).unwrap();
                let near = limit - limit / 8 - base;
                let block = cx.allocate(Domain::Mem, layout(16)).unwrap();
                // SAFETY: live, with this domain and layout; the alignment stays.
                let grown = unsafe { cx.resize(Domain::Mem, block, layout(16), layout(near + 100)) };
                assert_eq!(cause(grown), Some(AllocCause::Exhausted), "no small block becomes so large");
                assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 0));
                cx.charge(near - 16 + 1).unwrap();
                assert_eq!((cx.safepoint(), TOLD.get()), (Ok(()), 1));
                cx.discharge(near - 16 + 1).unwrap();
                // SAFETY: live, with this domain and layout.
                unsafe { cx.deallocate(Domain::Mem, block, layout(16)) };
            })
            .unwrap();
        assert!(rt.end(state.interpreter(), None).unwrap().is_clean());
    }
}

/// The notice is not lost with the frame it came in, by a reserve that was used, by a limit that comes down, or by a request
/// that is refused.
///
/// SPEC: M6, C7
pub fn a_notice_is_not_lost<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let state = rt.create(&preset, Some(GuestTable::of::<Idle<Watcher>>())).unwrap();
        let id = state.interpreter();
        let told = || TOLD.take();
        let take = |size: usize| rt.ensure(id, |cx| cx.allocate(Domain::Mem, layout(size))).unwrap();
        let look = || {
            rt.ensure(id, |cx| assert_eq!(cx.safepoint(), Ok(()))).unwrap();
            told()
        };
        let base = rt.interpreter(id).unwrap().usage().unwrap().bytes();
        let soft = base + 8000;
        let limits = MemoryLimits::none().with_soft(Some(soft)).with_reserve(4000);
        rt.ensure(id, |cx| cx.set_memory_limits(limits)).unwrap().unwrap();
        told();
        // The thread state that allocated is gone at once.
        let most = take(7900).unwrap();
        assert_eq!(look(), 1);
        assert_eq!(look(), 0, "told once");
        // A refusal tells, whatever is live.
        assert_eq!(cause(take(1000)), Some(AllocCause::SoftLimit));
        assert_eq!(look(), 1);
        // After an overshoot the limit is near as soon as it is again.
        let beyond = rt
            .ensure(id, |cx| cx.with_reserve(|cx| cx.allocate(Domain::Mem, layout(2000))))
            .unwrap()
            .unwrap();
        told();
        rt.ensure(id, |cx| {
            // SAFETY: live, with this domain and layout.
            unsafe { cx.deallocate(Domain::Mem, beyond, layout(2000)) };
        })
        .unwrap();
        let little = take(50).unwrap();
        assert_eq!(look(), 1);
        // A limit that comes down to what is live is near.
        let lower = limits.with_soft(Some(soft - 20));
        rt.ensure(id, |cx| cx.set_memory_limits(lower)).unwrap().unwrap();
        assert_eq!(look(), 1);
        rt.ensure(id, |cx| {
            // SAFETY: live, with this domain and these layouts.
            unsafe {
                cx.deallocate(Domain::Mem, most, layout(7900));
                cx.deallocate(Domain::Mem, little, layout(50));
            }
        })
        .unwrap();
        drop(state);
        assert!(rt.end(id, None).unwrap().is_clean());
    }
}

/// A guest whose end takes all that it gets.
struct Greedy;

std::thread_local! {
    static REFUSED: Cell<Option<(AllocCause, usize)>> = const { Cell::new(None) };
}

impl Habit for Greedy {
    fn end<H: Host>(cx: &mut Attached<'_, H>) {
        let refused = loop {
            if let Err(error) = cx.allocate(Domain::Mem, layout(100)) {
                break error.cause;
            }
        };
        REFUSED.set(Some((refused, cx.usage().bytes())));
    }
}

/// The soft limit does not keep an end from tidying up; the hard one is one to the last.
///
/// SPEC: M6, L10
pub fn the_hard_limit_holds_to_the_end<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let limit = footprint::<H>() + 2000;
        let config = preset.with_memory_limit(Some(limit)).with_memory_soft_limit(Some(limit - 1000));
        let state = rt.create(&config, Some(GuestTable::of::<Idle<Greedy>>())).unwrap();
        let ledger = rt.end(state.interpreter(), None).unwrap();
        let (cause, live) = REFUSED.take().unwrap();
        assert_eq!(cause, AllocCause::HardLimit);
        assert!(live <= limit && live > limit - 100, "{live} of {limit}");
        assert_eq!(ledger.leaked.mem.bytes, ledger.leaked.mem.blocks * 100);
        assert!(ledger.peak <= limit);
    }
}

/// A soft limit that the guest's start passes is one that no interpreter can be made under, as a hard one is.
///
/// SPEC: C3, C7, L16
pub fn a_soft_limit_below_the_start_is_refused<H: TestHost>() {
    let rt = H::started();
    for preset in strategies::<H>() {
        let refused = |config| rt.create(&config, Some(GuestTable::of::<Idle<Starter>>())).err();
        for room in [0, 500, 999] {
            let limit = Some(footprint::<H>() + room);
            let small = Some(CreateError::Config(ConfigError::LimitBelowFootprint));
            assert_eq!(refused(preset.with_memory_soft_limit(limit)), small);
            assert_eq!(refused(preset.with_memory_limit(limit)), small);
        }
        let enough = preset.with_memory_soft_limit(Some(footprint::<H>() + 1000 + STATE));
        assert!(rt.create(&enough, Some(GuestTable::of::<Idle<Starter>>())).is_ok());
    }
    assert!(rt.finalize(None).is_ok());
}

/// What the kernel takes for a state without a word in it, at most.
const STATE: usize = 200;

/// A guest that takes a thousand bytes at its start.
pub struct Starter;

impl Habit for Starter {
    fn start<H: Host>(cx: &mut Attached<'_, H>) -> Result<(), GuestError> {
        cx.allocate(Domain::Mem, layout(1000))?;
        Ok(())
    }
}
