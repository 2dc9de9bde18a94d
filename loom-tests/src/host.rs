//! The loom host.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};
use core::{cell::Cell, marker::PhantomData, time::Duration};

use archipelago_kernel::{
    Host,
    gil::{Blocking, GilPolicy, Interval},
    host::{Heap, RawGil},
};
use loom::sync::atomic::AtomicUsize;

use crate::{
    parts::{LoomGil, LoomHeap, LoomLock, LoomPark, LoomRaw, LoomSlot, thread_id},
    time::LoomClock,
    timed_gil::LoomTimedGil,
};

/// A host whose locks, waits and thread-locals are loom's, with one of the two kinds of GIL: [`LoomGil`] goes by the
/// policy [`Blocking`], [`LoomTimedGil`] by [`Interval`]. Its heaps are for one GIL each, or [`LoomOneHeap`](crate::LoomOneHeap).
pub struct LoomHost<G = LoomGil, T = LoomHeap> {
    park: LoomPark,
    clock: LoomClock,
    cycles: AtomicU64,
    of: PhantomData<fn() -> (G, T)>,
}

impl<G, T> LoomHost<G, T> {
    pub(crate) fn new() -> Self {
        let clock = LoomClock::new();
        LoomHost { park: LoomPark::new(clock.clone()), clock, cycles: AtomicU64::new(1), of: PhantomData }
    }
}

impl<G: RawGil, T: Heap<LoomRaw>> Host for LoomHost<G, T>
where
    Watched: GilPolicy<G>,
{
    type Lock = LoomLock;
    type Gil = G;
    type GilPolicy = Watched;
    type Park = LoomPark;
    type Clock = LoomClock;
    type Raw = LoomRaw;
    type Heap = T;
    type Slot = LoomSlot;

    fn clock(&self) -> &LoomClock {
        &self.clock
    }

    fn park(&self) -> &LoomPark {
        &self.park
    }

    fn new_cycle(&self) -> u64 {
        self.cycles.fetch_add(1, Ordering::Relaxed)
    }

    fn thread_id(&self) -> usize {
        thread_id()
    }

    fn in_interrupt(&self) -> bool {
        IN_HANDLER.with(Cell::get)
    }

    fn relax(&self) {
        loom::thread::yield_now();
    }
}

loom::thread_local! {
    static HANDED_OVER: Cell<bool> = Cell::new(false);
    static IN_HANDLER: Cell<bool> = Cell::new(false);
}

/// Runs `f` as an interrupt handler would, on a thread of its own.
pub fn as_handler<R>(f: impl FnOnce() -> R) -> R {
    IN_HANDLER.with(|inside| inside.set(true));
    let answer = f();
    IN_HANDLER.with(|inside| inside.set(false));
    answer
}

/// Whether this thread handed a GIL over since it last asked.
pub fn handed_over() -> bool {
    HANDED_OVER.with(Cell::take)
}

loom::lazy_static! {
    static ref RAN_OUT: AtomicUsize = AtomicUsize::new(0);
}

/// How often the time of somebody who waits for a [`LoomTimedGil`] ran out in this execution. Whoever knows sees what
/// the waiter asked for then.
pub fn times_run_out() -> usize {
    RAN_OUT.load(Ordering::Acquire)
}

/// The kernel's own policies, which also note that the time of a waiter ran out, and that a holder let go because it was asked.
pub struct Watched;

macro_rules! watched {
    ($gil:ident, $policy:ident) => {
        // SAFETY: the kernel's policy keeps the contract.
        unsafe impl GilPolicy<$gil> for Watched {
            const ASKS_ONCE: bool = <$policy as GilPolicy<$gil>>::ASKS_ONCE;
            const DIRECT: bool = <$policy as GilPolicy<$gil>>::DIRECT;
            type HeldTime = <$policy as GilPolicy<$gil>>::HeldTime;

            fn wait(gil: &$gil, next: &mut dyn FnMut() -> Duration) -> <$gil as RawGil>::Held {
                let mut first = true;
                $policy::wait(gil, &mut || {
                    let patience = next();
                    if !first {
                        RAN_OUT.fetch_add(1, Ordering::Release);
                    }
                    first = false;
                    patience
                })
            }

            unsafe fn hand_over(gil: &$gil, held: <$gil as RawGil>::Held) {
                HANDED_OVER.with(|handed| handed.set(true));
                // SAFETY: passed on from the caller.
                unsafe { $policy::hand_over(gil, held) }
            }
        }
    };
}

watched!(LoomGil, Blocking);
watched!(LoomTimedGil, Interval);
