//! What the embedder supplies: locks, memory, time, blocking and the slot for the current thread state.
//!
//! Mutual exclusion, memory and the slot cannot be checked by the kernel, so their traits are `unsafe` to
//! implement. Clock, park, thread identity and observers are safe traits: no answer of theirs, however
//! wrong, may cause undefined behaviour.

mod clock;
mod lock;
mod memory;
mod park;
mod sharing;
mod slot;

pub use clock::{Clock, NoClock};
pub(crate) use lock::run_held;
pub use lock::{RawGil, RawGilFair, RawGilTimed, RawLock};
pub use memory::{Exhausted, Heap, HeapState, RawAlloc};
pub use park::{NoPark, Park, Wake};
pub use sharing::{SharedHeap, Sharing};
pub use slot::CurrentSlot;

use crate::gil::GilPolicy;

/// One host: everything the kernel needs from outside, behind one type parameter.
///
/// The trait is safe, so memory safety depends on none of its methods. Values that must not change under
/// the kernel (the runtime's lock, the raw domain) are handed to [`Runtime::new`](crate::runtime::Runtime::new).
pub trait Host: Sized + Send + Sync + 'static {
    /// Short critical sections of the runtime.
    type Lock: RawLock;
    /// The long-held lock of an interpreter.
    type Gil: RawGil;
    /// How a thread waits for a GIL and how a holder that was asked hands it over.
    type GilPolicy: GilPolicy<Self::Gil>;
    /// Blocking until woken.
    type Park: Park;
    /// Time.
    type Clock: Clock;
    /// The raw domain.
    type Raw: RawAlloc;
    /// The mem and object domains of one interpreter.
    type Heap: Heap<Self::Raw>;
    /// The slot for the current thread state.
    type Slot: CurrentSlot;

    /// The host's clock.
    fn clock(&self) -> &Self::Clock;

    /// The host's way to block.
    fn park(&self) -> &Self::Park;

    /// A number unique in the program for each initialization of a runtime, so that two runtimes do not
    /// answer to each other's handles. The kernel has no static to count in.
    fn new_cycle(&self) -> u64;

    /// A number unique in the program for each [`UniqueIndex`](crate::runtime::UniqueIndex), small and dense where
    /// the host can: tables are as long as the largest. By default a cycle number, which is unique but leaves gaps.
    fn new_index(&self) -> usize {
        self.new_cycle() as usize
    }

    /// A number that differs between threads (or cores) alive at the same time. Three things go by it: the assertion of
    /// the lock order in debug builds, `bound_to_thread`, and which thread is main's; memory safety does not.
    fn thread_id(&self) -> usize;

    /// True inside an interrupt handler, where the host can tell. Operations that could block answer
    /// `InInterrupt` there.
    fn in_interrupt(&self) -> bool {
        false
    }

    /// A deadline was armed that passes after `within`: the time for the next
    /// [`tick`](crate::runtime::Runtime::tick) may have come nearer. Called with no lock held.
    fn deadline_armed(&self, within: core::time::Duration) {
        let _ = within;
    }

    /// Called in short waits. A host with threads yields here.
    fn relax(&self) {
        crate::sync::spin_loop();
    }
}
