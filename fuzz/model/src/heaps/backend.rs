//! The heaps and raw domains that lists of requests are run on.
#![allow(unsafe_code)]

use core::{mem::MaybeUninit, ptr::NonNull};

use archipelago_alloc_hooks::{Debug, Misuse, Watch};
use archipelago_alloc_linked_list::LinkedListRaw;
use archipelago_alloc_pool::{A1024, Pool, PoolRaw, Pools};
use archipelago_alloc_shared::Shared;
use archipelago_alloc_slab::{SlabHeap, SmallHeap};
use archipelago_alloc_suite::{Checked, OnHeap, OnRaw};
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::host::Heap;
use archipelago_locks::SpinLock;

use super::{Request, run, tested::Told};
use crate::forever::Forever;

/// What is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Backend {
    /// Size classes in small pages; nothing is kept.
    Small,
    /// All classes, larger pages, and empty arenas are kept.
    Keeping,
    /// `linked_list_allocator` in one region.
    LinkedList,
    /// Pools of fixed blocks.
    Pools,
    /// Size classes on pools.
    OnPools,
    /// A heap behind a lock that is off.
    Shared,
    /// A heap behind a lock that is on.
    Told,
    /// Size classes with guards and owners.
    Debug,
}

impl Backend {
    /// Each of them.
    pub const ALL: [Backend; 8] = [
        Backend::Small,
        Backend::Keeping,
        Backend::LinkedList,
        Backend::Pools,
        Backend::OnPools,
        Backend::Shared,
        Backend::Told,
        Backend::Debug,
    ];
}

/// The suite's model uses every block rightly, so every report is a bug.
struct Strict;

impl Watch for Strict {
    fn report(misuse: &Misuse) {
        panic!("{misuse}");
    }
}

type Keeping = SlabHeap<4096, { 64 << 10 }>;
type Blocks = (Pool<64, 60>, Pool<256, 40>, Pool<1024, 8, A1024>);
type Pages = (Pool<1024, 48, A1024>, Pool<2048, 12>);

/// Serves the requests on a new backend, and asserts that every answer was right and all memory is back.
pub fn serve(backend: Backend, requests: &[Request]) {
    match backend {
        Backend::Small => on_system::<SmallHeap>(requests),
        Backend::Keeping => on_system::<Keeping>(requests),
        Backend::Shared => on_system::<Shared<SmallHeap, SpinLock>>(requests),
        Backend::Debug => on_system::<Debug<SmallHeap, Strict, 4000>>(requests),
        Backend::Told => {
            let raw = Checked::new(SystemRaw);
            run(Told::<Shared<SmallHeap, SpinLock>, _>::new(&raw), Some(&raw), requests);
        }
        Backend::LinkedList => on_region(requests),
        Backend::Pools => on_pools::<Blocks>(|pools| run(OnRaw(&pools), None, requests)),
        Backend::OnPools => {
            on_pools::<Pages>(|pools| run(OnHeap::<SmallHeap, _>::new(&pools), None, requests));
        }
    }
}

fn on_system<H: Heap<Checked<SystemRaw>>>(requests: &[Request]) {
    let raw = Checked::new(SystemRaw);
    run(OnHeap::<H, _>::new(&raw), Some(&raw), requests);
}

fn on_region(requests: &[Request]) {
    let mut region = vec![MaybeUninit::<u8>::uninit(); 32 << 10];
    let raw = LinkedListRaw::new(SpinLock::new_const());
    // SAFETY: the region outlives the allocator, which is declared later, and is touched by nothing else.
    unsafe { raw.init_at(NonNull::from(&mut region[..]).cast(), region.len()) }.expect("it is large enough");
    run(OnRaw(&raw), None, requests);
    assert_eq!(raw.used(), 0, "everything is back");
}

/// Pools are used through a reference that is valid for ever, and each run has some of its own.
fn on_pools<P: Pools + 'static>(test: impl FnOnce(&'static PoolRaw<SpinLock, P>)) {
    let pools = Forever::new(PoolRaw::<_, P>::new(SpinLock::new_const()));
    test(pools.get());
    assert!(pools.get().usage().iter().all(|pool| pool.live == 0), "everything is back");
    // SAFETY: what got the reference was borrowed by the subject of the run, which is gone.
    unsafe { pools.free() };
}
