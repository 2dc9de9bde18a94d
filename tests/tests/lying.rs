//! Hosts that lie (SPEC V4): no answer of a safe trait, however wrong, may do more than make things wrong or late; of an
//! allocator's answers size, alignment and place are checked. In Miri this is the proof that nothing else happens.
#![allow(unsafe_code)]

use core::{
    alloc::Layout,
    panic::AssertUnwindSafe,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use std::{panic::catch_unwind, sync::Arc};

use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_suite::Lie;
use archipelago_kernel::{
    Attached, Host, InterpreterId, Runtime,
    config::{GilChoice, InterpreterConfig},
    error::{AttachError, CreateError, EndError, HandleError, Interrupt, RuntimeError},
    gil::Blocking,
    host::{Clock, Heap, Park, RawLock, Wake},
    interpreter::Phase,
    memory::{AllocCause, Domain, RawDomain},
    observe::{Event, Observer, ObserverNode, Veto},
    runtime::{Initialized, RuntimePhase},
};
use archipelago_locks::SpinLock;
use archipelago_model::SharedRaw;
use archipelago_tests::{
    CoreSlot, YieldingCore,
    support::{Dice, Gate, Log, forever, until},
};

/// What a clock answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Time {
    Honest,
    Backwards,
    Stuck,
    AlwaysReached,
    NeverReached,
    /// No duration can be told.
    Unknown,
    Random,
    Panics,
}

const TIMES: [Time; 7] = [
    Time::Honest,
    Time::Backwards,
    Time::Stuck,
    Time::AlwaysReached,
    Time::NeverReached,
    Time::Unknown,
    Time::Random,
];

/// The lies of one host, shared with its test.
#[derive(Default)]
struct Lies {
    time: AtomicU8,
    ticks: AtomicU64,
    random: AtomicU64,
    /// Bits of the answers below that are lies.
    flags: AtomicUsize,
}

/// Every thread has one number.
const ONE_THREAD: usize = 1;
/// Every cycle has one number.
const ONE_CYCLE: usize = 2;
/// Sometimes a thread is said to be a handler.
const HANDLERS: usize = 4;
/// `park` returns at once, as if there were nothing to wait for.
const RESTLESS: usize = 8;
/// `park` panics.
const PARK_PANICS: usize = 16;
/// `relax` panics.
const RELAX_PANICS: usize = 32;

impl Lies {
    fn tell(&self, flags: usize) {
        self.flags.store(flags, Ordering::Relaxed);
    }

    fn are(&self, flag: usize) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    fn tell_time(&self, time: Time) {
        self.time.store(time as u8, Ordering::Relaxed);
    }

    fn time(&self) -> Time {
        let time = self.time.load(Ordering::Relaxed);
        TIMES.into_iter().find(|t| *t as u8 == time).unwrap_or(Time::Panics)
    }

    fn honest(&self) {
        self.tell(0);
        self.tell_time(Time::Honest);
    }

    fn random(&self) -> u64 {
        let number = Dice::new(self.random.load(Ordering::Relaxed)).number();
        self.random.store(number, Ordering::Relaxed);
        number
    }
}

struct LyingClock(Arc<Lies>);

impl Clock for LyingClock {
    type Instant = u64;
    const MAX: Duration = Duration::from_secs(1 << 30);

    fn now(&self) -> u64 {
        match self.0.time() {
            Time::Backwards => u64::MAX / 2 - self.0.ticks.fetch_add(1, Ordering::Relaxed),
            Time::Stuck => 7,
            Time::Random => self.0.random(),
            Time::Panics => panic!("a clock that panics"),
            _ => self.0.ticks.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn add(&self, at: u64, by: Duration) -> Option<u64> {
        match self.0.time() {
            Time::Unknown => None,
            Time::Random => Some(self.0.random()),
            _ => at.checked_add(u64::try_from(by.as_micros()).ok()?),
        }
    }

    fn reached(&self, now: u64, at: u64) -> bool {
        match self.0.time() {
            Time::AlwaysReached => true,
            Time::NeverReached => false,
            Time::Random => self.0.random() & 1 == 0,
            _ => now >= at,
        }
    }

    fn between(&self, earlier: u64, later: u64) -> Duration {
        match self.0.time() {
            Time::Random => Duration::new(self.0.random(), 999_999_999),
            Time::NeverReached => Duration::MAX,
            _ => Duration::from_micros(later.saturating_sub(earlier)),
        }
    }
}

struct LyingPark(Arc<Lies>);

impl Park for LyingPark {
    fn park(&self, _: usize, blocked: &dyn Fn() -> bool, timeout: Option<Duration>) {
        assert!(!self.0.are(PARK_PANICS), "a park that panics");
        if self.0.are(RESTLESS) {
            return;
        }
        // Honest, for a host that cannot sleep.
        for _ in 0..100 {
            if !blocked() || timeout == Some(Duration::ZERO) {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn unpark(&self, _: usize) {}
}

struct LyingHost<P> {
    lies: Arc<Lies>,
    clock: LyingClock,
    park: LyingPark,
    heap: core::marker::PhantomData<fn() -> P>,
}

static CYCLES: AtomicU64 = AtomicU64::new(1 << 40);
static THREADS: AtomicUsize = AtomicUsize::new(1);

impl<P: Heap<SharedRaw>> Host for LyingHost<P> {
    type Lock = SpinLock<YieldingCore>;
    type Gil = SpinLock<YieldingCore>;
    type GilPolicy = Blocking;
    type Park = LyingPark;
    type Clock = LyingClock;
    type Raw = SharedRaw;
    type Heap = P;
    type Slot = CoreSlot;

    fn clock(&self) -> &LyingClock {
        &self.clock
    }

    fn park(&self) -> &LyingPark {
        &self.park
    }

    fn new_cycle(&self) -> u64 {
        if self.lies.are(ONE_CYCLE) { 0 } else { CYCLES.fetch_add(1, Ordering::Relaxed) }
    }

    fn thread_id(&self) -> usize {
        std::thread_local!(static ME: usize = THREADS.fetch_add(1, Ordering::Relaxed));
        if self.lies.are(ONE_THREAD) { 0 } else { ME.with(|me| *me) }
    }

    fn in_interrupt(&self) -> bool {
        self.lies.are(HANDLERS) && self.lies.random().is_multiple_of(4)
    }

    fn deadline_armed(&self, _: Duration) {
        // Nobody calls `tick` for it.
    }

    fn relax(&self) {
        assert!(!self.lies.are(RELAX_PANICS), "a relax that panics");
    }
}

type Liar = LyingHost<SmallHeap>;

fn liar<P: Heap<SharedRaw>>() -> (Runtime<LyingHost<P>>, Arc<Lies>) {
    let lies = Arc::new(Lies::default());
    let (clock, park) = (LyingClock(lies.clone()), LyingPark(lies.clone()));
    let host = LyingHost { lies: lies.clone(), clock, park, heap: core::marker::PhantomData };
    (Runtime::new(host, SharedRaw::new(), RawLock::new()), lies)
}

/// The runtime goes, told the truth, and with it all its memory.
fn gone<P: Heap<SharedRaw>>(rt: Runtime<LyingHost<P>>, lies: &Lies) {
    lies.honest();
    let raw = rt.raw().backend().clone();
    drop(rt);
    assert_eq!(raw.0.live(), (0, 0));
}

fn configs() -> [InterpreterConfig; 3] {
    let isolated = InterpreterConfig::isolated();
    [isolated, InterpreterConfig::legacy(), isolated.with_gil(GilChoice::Shared)]
}

/// What a program does in an interpreter, whatever it is answered.
fn work(cx: &mut Attached<'_, Liar>, rt: &Runtime<Liar>, n: usize) {
    let _ = cx.set_deadline(Some(Duration::from_millis(n as u64)));
    let kept = cx.alloc_plain([n; 8]).ok();
    let dropped = cx.alloc_plain(n).ok();
    cx.detach(|| drop(dropped));
    let _ = cx.safepoint();
    if let Some(object) = kept {
        assert_eq!(*object.get(cx), [n; 8]);
        if let Ok(name) = cx.global(object) {
            assert_eq!(cx.local(&name).map(|object| *object.get()), Ok([n; 8]));
            let _ = cx.release_global(&name);
        }
    }
    let id = cx.id();
    cx.call_out(|| {
        let _ = rt.ensure(id, |cx| {
            let _ = cx.alloc_plain(n);
        });
        let _ = rt.create(&InterpreterConfig::isolated(), None);
        let _ = rt.end(id, Some(Duration::ZERO));
    });
    let _ = rt.tick();
    let _ = cx.set_deadline(None);
    let _ = cx.safepoint();
}

/// Whatever a runtime can do, on several threads. Answers may be wrong, but it comes to an end.
fn life(rt: &Runtime<Liar>) {
    const NEVER: InterpreterConfig = InterpreterConfig::legacy();
    let rounds = if cfg!(miri) { 2 } else { 20 };
    let log = Log::new();
    for round in 0..rounds {
        let _ = rt.initialize(None);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                scope.spawn(move || {
                    for (n, config) in configs().iter().enumerate() {
                        let config = config.with_deadline((n == 2).then_some(Duration::from_millis(3)));
                        let Ok(mut state) = rt.create(&config, None) else { continue };
                        let id = state.interpreter();
                        let _ = state.attach(|cx| work(cx, rt, n));
                        let port = rt.interpreter(id).and_then(|handle| handle.port());
                        if let Ok(port) = port {
                            let _ = port.add(log.call(round * 8 + thread * 4 + n));
                        }
                        let _ = rt.interpreter(id).map(|handle| handle.interrupt());
                        let _ = state.attach(|cx| cx.safepoint());
                        let other = rt.main().map(|main| rt.thread_state(main));
                        if let Ok(Ok(mut other)) = other {
                            let _ = state.attach(|cx| {
                                let _ = cx.enter(&mut other, |cx| cx.alloc_plain(n).map(drop));
                                assert_eq!(cx.id(), id);
                            });
                        }
                        if n == 0 {
                            drop(state);
                        }
                        let _ = rt.end(id, Some(Duration::ZERO));
                    }
                });
            }
        });
        let _ = rt.create(&NEVER, None);
        let _ = rt.tick();
        for _ in 0..3 {
            let _ = rt.finalize(Some(Duration::ZERO));
        }
        if let Ok(main) = rt.main() {
            let mut names = [main; 4];
            if let (Ok(listed), Ok(there)) = (rt.list(&mut names), rt.count()) {
                assert!(listed <= there);
            }
        }
    }
}

#[test]
fn clocks() {
    for time in TIMES {
        let (rt, lies) = liar();
        lies.tell_time(time);
        life(&rt);
        gone(rt, &lies);
    }
}

#[test]
fn a_deadline_of_a_clock_that_lies_comes_at_once_or_never() {
    for (time, told) in
        [(Time::AlwaysReached, Err(Interrupt::Deadline)), (Time::NeverReached, Ok(())), (Time::Stuck, Ok(()))]
    {
        let (rt, lies) = liar::<SmallHeap>();
        let _main = rt.initialize(None).expect("memory");
        lies.tell_time(time);
        let mut state = rt.create(&InterpreterConfig::isolated(), None).expect("memory");
        let answer = state.attach(|cx| {
            cx.set_deadline(Some(Duration::from_secs(1))).expect("the clock can tell it");
            assert_eq!(cx.safepoint(), Ok(()), "nobody looked yet, for nobody was told");
            let _ = rt.tick();
            cx.safepoint()
        });
        assert_eq!(answer, Ok(told));
        drop(state);
        gone(rt, &lies);
    }
}

#[test]
fn a_park_that_never_blocks_is_only_busy() {
    let (rt, lies) = liar::<SmallHeap>();
    let _main = rt.initialize(None).expect("memory");
    lies.tell(RESTLESS);
    let state = rt.create(&InterpreterConfig::isolated(), None).expect("memory");
    let id = state.interpreter();
    drop(state);
    let (inside, leave) = (Gate::new(), Gate::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            rt.ensure(id, |cx| {
                cx.detach(|| {
                    inside.open();
                    leave.wait();
                });
                assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing));
            })
            .expect("nothing is attached");
        });
        inside.wait();
        scope.spawn(|| {
            until("the end begins", || {
                rt.interpreter(id).is_ok_and(|handle| handle.phase() == Ok(Phase::Finalizing))
            });
            leave.open();
        });
        assert!(rt.end(id, None).is_ok(), "it waits for the last one out all the same");
    });
    gone(rt, &lies);
}

#[test]
fn threads_that_look_like_one() {
    let (rt, lies) = liar();
    lies.tell(ONE_THREAD);
    life(&rt);
    gone(rt, &lies);
}

/// Opens the first gate and waits for the second, a little longer than that.
struct Slow(Gate, Gate);

impl Wake for Slow {
    fn wake(&self) {
        self.0.open();
        self.1.wait();
        for _ in 0..100 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_thread_that_looks_like_the_one_inside_the_lock_only_waits() {
    let (rt, lies) = liar::<SmallHeap>();
    lies.tell(ONE_THREAD);
    let id = one(&rt);
    let (inside, about) = (Gate::new(), Gate::new());
    let slow = Slow(inside.clone(), about.clone());
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            inside.wait();
            about.open();
            rt.count()
        });
        contended(
            &rt,
            id,
            |cx, begin, _| {
                let waited = cx.wait(&slow, || {
                    begin.open();
                    until("it was woken", || lies.are(RESTLESS));
                });
                assert_eq!(waited, Ok(()));
            },
            || {
                // Its waker is called inside the runtime's lock.
                rt.interpreter(id).expect("it is listed").interrupt().expect("it is listed");
                lies.tell(RESTLESS);
            },
        );
        assert_eq!(asking.join().expect("no lock order was broken"), Ok(2));
    });
    gone(rt, &lies);
}

#[test]
fn threads_that_look_like_handlers() {
    for seed in 0..if cfg!(miri) { 2 } else { 8 } {
        let (rt, lies) = liar();
        lies.random.store(seed * 0x9e37_79b9, Ordering::Relaxed);
        lies.tell(HANDLERS);
        life(&rt);
        gone(rt, &lies);
    }
}

#[test]
fn every_lie_at_once() {
    let (rt, lies) = liar();
    lies.tell(ONE_THREAD | ONE_CYCLE | HANDLERS | RESTLESS);
    lies.tell_time(Time::Random);
    life(&rt);
    gone(rt, &lies);
}

#[test]
fn cycles_that_come_back() {
    let (rt, lies) = liar::<SmallHeap>();
    lies.tell(ONE_CYCLE);
    let old = rt.initialize(None).expect("memory").main();
    let mut stale = rt.thread_state(old).expect("memory");
    let name = stale.attach(|cx| cx.global(cx.alloc_plain(1_u8).expect("memory")).ok().expect("memory"));
    let name = name.expect("nothing is attached");
    rt.finalize(None).expect("nobody is inside");
    let main = rt.initialize(None).expect("memory").main();
    // The old name means the new interpreter: wrong, and no more than that.
    assert_eq!(old, main);
    assert_eq!(rt.interpreter(old).and_then(|handle| handle.phase()), Ok(Phase::Running));
    assert_eq!(stale.attach(|_| ()), Err(AttachError::Ended), "a thread state is checked by its slot");
    let mut state = rt.thread_state(main).expect("memory");
    state
        .attach(|cx| {
            assert_eq!(cx.local(&name).map(|_| ()), Err(HandleError::Stale));
            let other = cx.global(cx.alloc_plain("a value of another type").expect("memory"));
            let other = other.ok().expect("memory");
            assert_eq!(cx.local(&name).map(|_| ()), Err(HandleError::Stale), "names check the type too");
            assert_eq!(cx.release_global(&other), Ok(()));
        })
        .expect("nothing is attached");
    drop((stale, state));
    gone(rt, &lies);
}

/// Says no to everything, and calls back into the runtime meanwhile.
struct Meddler {
    rt: &'static Runtime<Liar>,
    depth: AtomicUsize,
    veto: bool,
}

impl Observer for Meddler {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        let rt = self.rt;
        if self.depth.fetch_add(1, Ordering::Relaxed) < 2 {
            let _ = rt.create(&InterpreterConfig::isolated(), None);
            let _ = rt.initialize(None);
            let _ = rt.count();
            if let Event::InterpreterCreated { id }
            | Event::InterpreterClearing { id }
            | Event::InterpreterEnded { id, .. }
            | Event::InterpreterLeftOver { id } = event
            {
                let _ = rt.ensure(*id, |cx| {
                    let _ = cx.alloc_plain(1_u8);
                });
                let _ = rt.end(*id, Some(Duration::ZERO));
                let _ = rt.interpreter(*id).map(|handle| handle.close(Some(Duration::ZERO)));
            }
            let _ = rt.finalize(Some(Duration::ZERO));
        }
        self.depth.fetch_sub(1, Ordering::Relaxed);
        if self.veto { Err(Veto) } else { Ok(()) }
    }
}

#[test]
fn observers_that_meddle() {
    for veto in [false, true] {
        let (rt, lies) = liar::<SmallHeap>();
        let rt: *mut Runtime<Liar> = Box::into_raw(Box::new(rt));
        // SAFETY: the runtime lives until it is taken back below; the observer is not asked afterwards.
        let borrowed: &'static Runtime<Liar> = unsafe { &*rt };
        let meddler = forever(Meddler { rt: borrowed, depth: AtomicUsize::new(0), veto });
        assert!(borrowed.observe(forever(ObserverNode::new(meddler))));
        life(borrowed);
        // No more meddling while the runtime goes.
        meddler.depth.store(2, Ordering::Relaxed);
        // SAFETY: it came from a box, and nobody else uses it any more.
        gone(*unsafe { Box::from_raw(rt) }, &lies);
    }
}

/// Two threads for one GIL: `holder` has it, and `waiter` is told to begin.
fn contended(
    rt: &Runtime<Liar>,
    id: InterpreterId,
    holder: impl FnOnce(&mut Attached<'_, Liar>, &Gate, &dyn Fn()) + Send,
    waiter: impl FnOnce() + Send,
) {
    let begin = Gate::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            begin.wait();
            waiter();
        });
        let waits = || until("the other waits", || rt.interpreter(id).unwrap().gil().unwrap().waiters > 0);
        rt.ensure(id, |cx| holder(cx, &begin, &waits)).expect("nothing is attached");
    });
}

fn one(rt: &Runtime<Liar>) -> InterpreterId {
    let _main = rt.initialize(None).expect("memory");
    rt.create(&InterpreterConfig::isolated(), None).expect("memory").interpreter()
}

#[test]
fn a_clock_that_panics_before_an_attach() {
    let (rt, lies) = liar::<SmallHeap>();
    let id = one(&rt);
    contended(
        &rt,
        id,
        |_, begin, waits| {
            lies.tell_time(Time::Panics);
            begin.open();
            waits();
        },
        || assert!(catch_unwind(AssertUnwindSafe(|| rt.ensure(id, |_| ()))).is_err(), "the clock was asked"),
    );
    lies.honest();
    let handle = rt.interpreter(id).expect("it is listed");
    assert_eq!(handle.stats().map(|stats| stats.activations), Ok(0));
    assert_eq!(handle.gil().map(|gil| (gil.held, gil.waiters)), Ok((false, 0)));
    assert_eq!(rt.ensure(id, |cx| cx.alloc_plain(1_u8).map(drop).is_ok()), Ok(true), "nobody kept the GIL");
    assert!(rt.end(id, Some(Duration::ZERO)).is_ok());
    gone(rt, &lies);
}

#[test]
fn a_clock_that_panics_when_a_detach_returns() {
    let (rt, lies) = liar::<SmallHeap>();
    let id = one(&rt);
    let (taken, inside) = (Gate::new(), AtomicUsize::new(0));
    contended(
        &rt,
        id,
        |cx, begin, _| {
            let kept = cx.alloc_plain(5_u32).expect("memory");
            let answer = catch_unwind(AssertUnwindSafe(|| {
                cx.detach(|| {
                    begin.open();
                    taken.wait();
                    lies.tell_time(Time::Panics);
                });
            }));
            assert!(answer.is_err(), "the clock was asked");
            lies.honest();
            // This thread has the GIL all the same: the frame may rely on it.
            assert_eq!(inside.load(Ordering::Relaxed), 0, "and has it alone");
            assert_eq!(*kept.get(cx), 5);
            assert_eq!(cx.call_out(|| rt.ensure(id, |cx| cx.id())), Ok(id));
            kept.release(cx);
            assert_eq!(cx.safepoint(), Ok(()));
        },
        || {
            rt.ensure(id, |_| {
                inside.store(1, Ordering::Relaxed);
                taken.open();
                until("the other waits", || rt.interpreter(id).unwrap().gil().unwrap().waiters > 0);
                inside.store(0, Ordering::Relaxed);
            })
            .expect("nothing is attached");
        },
    );
    assert!(rt.end(id, Some(Duration::ZERO)).is_ok());
    gone(rt, &lies);
}

#[test]
fn a_relax_that_panics_in_a_safepoint() {
    let (rt, lies) = liar::<SmallHeap>();
    let id = one(&rt);
    contended(
        &rt,
        id,
        |cx, begin, waits| {
            let kept = cx.alloc_plain(5_u32).expect("memory");
            begin.open();
            waits();
            lies.tell(RELAX_PANICS);
            // The waiter may be quicker than this thread's look, and then nothing is asked of the host.
            let _ = catch_unwind(AssertUnwindSafe(|| cx.safepoint()));
            lies.honest();
            assert_eq!(*kept.get(cx), 5);
            kept.release(cx);
            assert_eq!(cx.safepoint(), Ok(()));
        },
        || rt.ensure(id, |cx| drop(cx.alloc_plain(6_u32))).expect("nothing is attached"),
    );
    assert!(rt.end(id, Some(Duration::ZERO)).is_ok());
    gone(rt, &lies);
}

#[test]
fn a_park_that_panics_leaves_the_end_to_the_next() {
    let (rt, lies) = liar::<SmallHeap>();
    let id = one(&rt);
    contended(
        &rt,
        id,
        |cx, begin, _| {
            cx.detach(|| {
                begin.open();
                until("the end was given up", || lies.are(RESTLESS));
            });
            assert_eq!(cx.safepoint(), Err(Interrupt::Finalizing));
        },
        || {
            lies.tell(PARK_PANICS);
            assert!(catch_unwind(AssertUnwindSafe(|| rt.end(id, None))).is_err());
            assert_eq!(rt.end(id, Some(Duration::ZERO)), Err(EndError::StillActive), "and not: in progress");
            lies.tell(RESTLESS);
        },
    );
    assert_eq!(rt.end(id, None), Err(EndError::NotFound), "the last one out completed it");
    gone(rt, &lies);
}

/// Panics at an event.
struct Touchy(AtomicUsize);

fn number(event: &Event<'_>) -> usize {
    match event {
        Event::RuntimeInitialized => 1,
        Event::RuntimeFinalizing => 2,
        Event::InterpreterCreating { .. } => 3,
        Event::InterpreterCreated { .. } => 4,
        Event::InterpreterClearing { .. } => 5,
        Event::InterpreterEnded { .. } => 6,
        Event::InterpreterLeftOver { .. } => 7,
        _ => 8,
    }
}

impl Observer for Touchy {
    fn event(&self, event: &Event<'_>) -> Result<(), Veto> {
        assert_ne!(self.0.load(Ordering::Relaxed), number(event), "an observer that panics");
        Ok(())
    }
}

#[test]
fn observers_that_panic_leave_nothing_half_done() {
    for at in 1..=7 {
        let (rt, lies) = liar::<SmallHeap>();
        let touchy = forever(Touchy(AtomicUsize::new(at)));
        assert!(rt.observe(forever(ObserverNode::new(touchy))));
        let calm = |on: bool| touchy.0.store(if on { 0 } else { at }, Ordering::Relaxed);
        let quietly = |f: &dyn Fn()| catch_unwind(AssertUnwindSafe(f)).is_err();
        let initialize = || {
            let _ = rt.initialize(None).map(Initialized::main);
        };
        if quietly(&initialize) {
            calm(true);
            initialize();
            calm(false);
        }
        assert_eq!(rt.phase(), RuntimePhase::Running, "event {at}");
        let config = InterpreterConfig::legacy();
        let create = || drop(rt.create(&config, None));
        if quietly(&create) {
            calm(true);
            create();
            calm(false);
        }
        let id = rt.head().expect("it was created");
        let end = || {
            let _ = rt.end(id, Some(Duration::ZERO));
        };
        if quietly(&end) {
            calm(true);
            let again = rt.end(id, Some(Duration::ZERO));
            assert!(matches!(again, Ok(_) | Err(EndError::NotFound)), "event {at}: {again:?}");
            calm(false);
        }
        calm(true);
        create();
        calm(false);
        let finalize = || {
            let _ = rt.finalize(Some(Duration::ZERO));
        };
        if quietly(&finalize) {
            calm(true);
        }
        let again = rt.finalize(Some(Duration::ZERO));
        assert!(matches!(again, Ok(_) | Err(RuntimeError::NotRunning)), "event {at}: {again:?}");
        assert_eq!((rt.phase(), rt.count()), (RuntimePhase::Finalized, Ok(0)), "event {at}");
        calm(true);
        gone(rt, &lies);
    }
}

/// Panics when it should wake.
struct Sleepy;

impl Wake for Sleepy {
    fn wake(&self) {
        panic!("a waker that panics");
    }
}

#[test]
fn a_waker_that_panics_does_not_keep_the_lock() {
    let (rt, lies) = liar::<SmallHeap>();
    let id = one(&rt);
    contended(
        &rt,
        id,
        |cx, begin, _| {
            let waited = cx.wait(&Sleepy, || {
                begin.open();
                until("it was woken", || lies.are(RESTLESS));
            });
            assert_eq!(waited, Ok(()));
        },
        || {
            let handle = rt.interpreter(id).expect("it is listed");
            assert!(catch_unwind(AssertUnwindSafe(|| handle.interrupt())).is_err());
            assert_eq!(rt.count(), Ok(2), "the lock is free");
            assert!(catch_unwind(AssertUnwindSafe(|| rt.end(id, Some(Duration::ZERO)))).is_err());
            lies.tell(RESTLESS);
        },
    );
    let ended = rt.end(id, None);
    assert!(matches!(ended, Ok(_) | Err(EndError::NotFound)), "{ended:?}");
    gone(rt, &lies);
}

/// Wakes by asking the runtime something, which is not allowed.
struct Asking(&'static (dyn Fn() + Sync));

impl Wake for Asking {
    fn wake(&self) {
        (self.0)();
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_waker_that_calls_the_kernel_is_told_in_a_debug_build() {
    let (rt, lies) = liar::<SmallHeap>();
    lies.tell(ONE_THREAD);
    let id = one(&rt);
    let shared = AtomicPtr::new((&raw const rt).cast_mut());
    let ask = forever(move || {
        // SAFETY: the runtime outlives the wait below, in which this is called.
        let rt = unsafe { &*shared.load(Ordering::Relaxed) };
        let _ = rt.count();
    });
    let asking = Asking(ask);
    contended(
        &rt,
        id,
        |cx, begin, _| {
            let waited = cx.wait(&asking, || {
                begin.open();
                until("it was woken", || lies.are(RESTLESS));
            });
            assert_eq!(waited, Ok(()));
        },
        || {
            let handle = rt.interpreter(id).expect("it is listed");
            assert!(
                catch_unwind(AssertUnwindSafe(|| handle.interrupt())).is_err(),
                "the lock order is asserted"
            );
            lies.tell(RESTLESS);
        },
    );
    gone(rt, &lies);
}

#[test]
fn a_raw_domain_that_lies_is_not_used() {
    for lie in [Lie::Short, Lie::Misaligned, Lie::Outside] {
        let (rt, lies) = liar::<SmallHeap>();
        let raw = rt.raw().backend().0.clone();
        raw.lie(Some(lie));
        assert_eq!(rt.initialize(None), Err(RuntimeError::Main(CreateError::NoMemory)), "{lie:?}");
        assert_eq!(rt.phase(), RuntimePhase::Uninitialized);
        raw.lie(None);
        let main = rt.initialize(None).expect("memory").main();
        let mut state = rt.thread_state(main).expect("memory");
        raw.lie(Some(lie));
        for config in configs() {
            assert_eq!(rt.create(&config, None).map(drop), Err(CreateError::NoMemory), "{lie:?}");
        }
        state
            .attach(|cx| {
                let before = cx.usage();
                let (_, error) = cx.alloc_plain([1_u64; 100]).map(drop).expect_err("a lie");
                let cause = match lie {
                    Lie::Short => AllocCause::BackendShort,
                    Lie::Misaligned => AllocCause::BackendMisaligned,
                    Lie::Outside => AllocCause::BackendOutside,
                };
                assert_eq!((error.domain, error.cause), (Domain::Object, cause));
                assert_eq!(cx.usage(), before);
            })
            .expect("nothing is attached");
        drop(state);
        lies.honest();
        drop(rt);
        assert_eq!(raw.live(), (0, 0), "what was answered wrongly was given back");
    }
}

/// What a heap answers instead of the truth.
static HEAP_LIE: AtomicU8 = AtomicU8::new(0);
const AT_HAND_MISALIGNED: u8 = 5;

/// A heap that hands the raw domain's blocks out as they are, or lies about them.
struct LyingHeap {
    live: Vec<(NonNull<u8>, Layout)>,
}

// SAFETY: the blocks belong to this value alone.
unsafe impl Send for LyingHeap {}

// SAFETY: the blocks are the raw domain's. While it lies it breaks the contract on purpose: whoever re-checks the
// answer does not touch it.
unsafe impl Heap<SharedRaw> for LyingHeap {
    fn new() -> Self {
        LyingHeap { live: Vec::new() }
    }

    fn allocate_at_hand(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let lies = HEAP_LIE.load(Ordering::Relaxed) == AT_HAND_MISALIGNED;
        NonNull::new(ptr::without_provenance_mut(layout.align() + 1)).filter(|_| lies)
    }

    fn allocate(
        &mut self,
        raw: RawDomain<'_, SharedRaw>,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        let slice = |start: *mut u8, len| {
            NonNull::new(ptr::slice_from_raw_parts_mut(start, len)).ok_or(AllocCause::Exhausted)
        };
        match HEAP_LIE.load(Ordering::Relaxed) {
            // As good as null.
            1 => slice(ptr::without_provenance_mut(layout.align()), 0),
            2 => slice(ptr::without_provenance_mut(layout.align()), layout.size() - 1),
            3 => slice(ptr::without_provenance_mut(usize::MAX - layout.size() / 2), layout.size()),
            4 if layout.align() > 1 => slice(ptr::without_provenance_mut(layout.align() + 1), layout.size()),
            _ => {
                let block = raw.take(layout)?;
                self.live.push((block, layout));
                Ok(NonNull::slice_from_raw_parts(block, layout.size()))
            }
        }
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, SharedRaw>, block: NonNull<u8>, layout: Layout) {
        let at = self.live.iter().position(|(start, _)| *start == block).expect("it is live");
        self.live.swap_remove(at);
        // SAFETY: passed on from the caller.
        unsafe { raw.deallocate(block, layout) }
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, SharedRaw>) {
        for (block, layout) in self.live.drain(..) {
            // SAFETY: it was served by the raw domain for this layout, and nobody uses it.
            unsafe { raw.deallocate(block, layout) };
        }
    }
}

#[test]
fn a_heap_that_lies_is_told_by_name() {
    let (rt, lies) = liar::<LyingHeap>();
    let main = rt.initialize(None).expect("memory").main();
    for config in configs() {
        let mut state = rt.create(&config, None).expect("memory");
        let id = state.interpreter();
        let causes = [
            (1, AllocCause::BackendShort),
            (2, AllocCause::BackendShort),
            (3, AllocCause::BackendOutside),
            (4, AllocCause::BackendMisaligned),
        ];
        for (lie, cause) in causes {
            let told = state.attach(|cx| {
                let before = cx.usage();
                HEAP_LIE.store(lie, Ordering::Relaxed);
                let object = cx.alloc_plain([0_u64; 4]).map(drop).map_err(|(_, error)| error.cause);
                let block = cx.allocate(Domain::Mem, Layout::new::<u64>()).map_err(|error| error.cause);
                HEAP_LIE.store(0, Ordering::Relaxed);
                assert_eq!(cx.usage(), before, "nothing is charged");
                (object, block.map(|_| ()))
            });
            assert_eq!(told, Ok((Err(cause), Err(cause))), "lie {lie}");
        }
        // On main's heap nobody asks for what is at hand.
        if !config.use_main_obmalloc() {
            let told = state.attach(|cx| {
                // What went makes room, below the peak.
                let gone = cx.alloc_plain([0_u64; 400]).expect("memory");
                gone.release(cx);
                let before = cx.usage();
                HEAP_LIE.store(AT_HAND_MISALIGNED, Ordering::Relaxed);
                let block = cx.allocate(Domain::Object, Layout::new::<u64>());
                HEAP_LIE.store(0, Ordering::Relaxed);
                assert_eq!(cx.usage(), before, "nothing is charged");
                block.map(drop).map_err(|error| (error.domain, error.requested, error.cause))
            });
            assert_eq!(told, Ok(Err((Domain::Object, 8, AllocCause::BackendMisaligned))));
        }
        let raw = rt.raw().backend().0.clone();
        for (lie, cause) in [
            (Lie::Short, AllocCause::BackendShort),
            (Lie::Misaligned, AllocCause::BackendMisaligned),
            (Lie::Outside, AllocCause::BackendOutside),
        ] {
            let told = state.attach(|cx| {
                raw.lie(Some(lie));
                let block = cx.allocate(Domain::Raw, Layout::new::<u64>()).map_err(|error| error.cause);
                raw.lie(None);
                block.map(|_| ())
            });
            assert_eq!(told, Ok(Err(cause)), "{lie:?}");
        }
        state.attach(|cx| core::mem::forget(cx.alloc_plain(1_u8))).expect("nothing is attached");
        drop(state);
        let ledger = rt.end(id, None).expect("nobody is inside");
        assert_eq!(ledger.objects, 1);
    }
    let mut state = rt.thread_state(main).expect("memory");
    assert!(state.attach(|cx| cx.alloc_plain(1_u8).map(drop).is_ok()).expect("nothing is attached"));
    drop(state);
    gone(rt, &lies);
}

#[test]
fn charges_that_were_never_made() {
    let (rt, lies) = liar::<SmallHeap>();
    let id = one(&rt);
    rt.ensure(id, |cx| {
        let kept = cx.alloc_plain([1_u8; 64]).expect("memory");
        let object = cx.usage().object;
        assert!(cx.discharge(usize::MAX).is_err());
        assert!(cx.discharge(1).is_err());
        let _ = cx.recharge(usize::MAX, 1);
        let _ = cx.recharge(1, usize::MAX);
        let _ = cx.charge(usize::MAX - 100_000);
        let _ = cx.charge(usize::MAX);
        let usage = cx.usage();
        assert_eq!(usage.object, object, "other domains are not touched");
        let _ = usage.bytes();
        let _ = cx.available();
        assert_eq!(*kept.get(cx), [1; 64]);
    })
    .expect("nothing is attached");
    assert!(rt.end(id, Some(Duration::ZERO)).is_ok());
    gone(rt, &lies);
}
