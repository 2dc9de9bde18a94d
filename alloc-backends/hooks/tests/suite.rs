//! The suite on every wrapper, over the heap of size classes, over one that takes each block from the raw domain, and
//! over a raw domain; and on wrappers of wrappers.
#![allow(unsafe_code)]

use archipelago_alloc_hooks::{
    Book, Choice, Countdown, Debug, DebugRaw, Debugging, DynamicHeap, DynamicRaw, FailNth, FailNthRaw,
    Failing, HeapChoice, Misuse, Plan, Quarantine, QuarantineRaw, Quarantining, Trace, TraceBook, TraceRaw,
    Tracer, Tracing, Watch,
};
use archipelago_alloc_slab::SmallHeap;
use archipelago_alloc_suite::{Checked, DirectHeap, OnRaw, heap_suite, raw, served};
use archipelago_alloc_system::SystemRaw;
use archipelago_locks::SpinLock;

/// Nothing is wrong in these tests.
struct Strict;

impl Watch for Strict {
    fn report(misuse: &Misuse) {
        panic!("{misuse}");
    }
}

struct Traced;

static BOOK: TraceBook<SpinLock, 16> = TraceBook::new(SpinLock::new_const());

impl Tracer for Traced {
    fn book() -> &'static dyn Book {
        &BOOK
    }
}

#[derive(Default)]
struct Never;

static NEVER: Countdown = Countdown::new();

impl Plan for Never {
    fn with<T>(&self, f: impl FnOnce(&Countdown) -> T) -> T {
        f(&NEVER)
    }
}

struct Chosen<T>(core::marker::PhantomData<T>);

macro_rules! chosen {
    ($name:ident: $heap:ty) => {
        impl Choice<Checked<SystemRaw>> for Chosen<$heap> {
            type Lock = SpinLock;

            fn choice() -> &'static HeapChoice<SpinLock, Checked<SystemRaw>> {
                static $name: HeapChoice<SpinLock, Checked<SystemRaw>> =
                    HeapChoice::new::<$heap>(SpinLock::new_const());
                &$name
            }
        }
    };
}

chosen!(SMALL: SmallHeap);
chosen!(DIRECT: DirectHeap);
chosen!(WRAPPED: AllOfThem);

type AllOfThem = Debug<Quarantine<Trace<FailNth<SmallHeap, Never>, Traced>, 1000>, Strict, 2000>;
type TheOtherWay = FailNth<Trace<Quarantine<Debug<SmallHeap, Strict, 0>, 500>, Traced>, Never>;

heap_suite! { few on SystemRaw;
    debug_slab: Debug<SmallHeap, Strict>, 40_000;
    debug_direct: Debug<DirectHeap, Strict, 4000>, 40_000;
    trace_slab: Trace<SmallHeap, Traced>, 20_000;
    trace_direct: Trace<DirectHeap, Traced>, 20_000;
    fail_slab: FailNth<SmallHeap, Never>, 20_000;
    fail_direct: FailNth<DirectHeap, Never>, 20_000;
    quarantine_slab: Quarantine<SmallHeap, 10_000>, 40_000;
    quarantine_direct: Quarantine<DirectHeap, 10_000>, 40_000;
    dynamic_slab: DynamicHeap<Checked<SystemRaw>, Chosen<SmallHeap>>, 20_000;
    dynamic_direct: DynamicHeap<Checked<SystemRaw>, Chosen<DirectHeap>>, 20_000;
    all_of_them: AllOfThem, 60_000;
    the_other_way: TheOtherWay, 60_000;
    all_of_them_dynamic: DynamicHeap<Checked<SystemRaw>, Chosen<AllOfThem>>, 60_000;
}

type Raw = Checked<SystemRaw>;
type AllRaw =
    DebugRaw<QuarantineRaw<TraceRaw<Raw, SpinLock, Traced>, SpinLock, 1000>, SpinLock, Strict, 1000>;

fn spin() -> SpinLock {
    SpinLock::new_const()
}

/// The suite on a raw domain: how it is made on one that counts, and what is live there at the end.
macro_rules! on_raws {
    ($($module:ident: $tested:ty, |$checked:ident| $make:expr, |$done:ident| $live:expr;)+) => { $(
        mod $module {
            use super::*;

            fn on_raw(budget: Option<usize>, test: impl FnOnce(&$tested)) {
                let $checked = Checked::new(SystemRaw);
                $checked.set_budget(budget);
                let $done: $tested = $make;
                test(&$done);
                assert_eq!($live, (0, 0), "everything is back");
            }

            #[test]
            fn serves() {
                on_raw(None, |raw| served::every_alignment(OnRaw(raw)));
                on_raw(None, |raw| served::contents_are_kept(OnRaw(raw)));
                on_raw(None, |raw| served::resizing_keeps_contents(OnRaw(raw)));
                on_raw(None, |raw| served::few_random_sequences(|| OnRaw(raw)));
            }

            #[cfg_attr(miri, ignore)]
            #[test]
            fn every_size_and_the_impossible() {
                on_raw(None, |raw| served::every_size(OnRaw(raw)));
                on_raw(None, |raw| served::the_impossible_is_refused(OnRaw(raw)));
            }

            #[test]
            fn exhaustion_is_an_error_and_recovers() {
                on_raw(Some(30_000), |raw| served::exhaustion_is_an_error_and_recovers(OnRaw(raw)));
            }

            #[test]
            fn four_threads() {
                on_raw(None, raw::four_threads);
            }
        }
    )+ };
}

on_raws! {
    debug_raw: DebugRaw<Raw, SpinLock, Strict>,
        |checked| DebugRaw::new(checked, spin(), Debugging::new()),
        |raw| { raw.trim(); raw.inner().live() };
    trace_raw: TraceRaw<Raw, SpinLock, Traced>,
        |checked| TraceRaw::new(checked, spin(), Tracing::new()),
        |raw| raw.inner().live();
    fail_raw: FailNthRaw<Raw, SpinLock, Countdown>,
        |checked| FailNthRaw::new(checked, spin(), Failing::new(Countdown::new())),
        |raw| raw.inner().live();
    quarantine_raw: QuarantineRaw<Raw, SpinLock, 5000>,
        |checked| QuarantineRaw::new(checked, spin(), Quarantining::new()),
        |raw| { raw.trim(); raw.inner().live() };
    dynamic_raw: DynamicRaw<SpinLock>,
        |checked| DynamicRaw::new(spin(), Box::leak(Box::new(checked))),
        |raw| checked_of(&raw).live();
    all_raw: AllRaw,
        |checked| {
            let trace = TraceRaw::new(checked, spin(), Tracing::new());
            DebugRaw::new(QuarantineRaw::new(trace, spin(), Quarantining::new()), spin(), Debugging::new())
        },
        |raw| { raw.trim(); raw.inner().trim(); raw.inner().inner().inner().live() };
}

/// What the raw domain was made of.
fn checked_of(raw: &DynamicRaw<SpinLock>) -> &'static Raw {
    // SAFETY: the context is the leaked value that the table was made of.
    unsafe { &*raw.get().context.cast::<Raw>() }
}
