//! The memory of the raw domain, without a general heap: pools of fixed blocks.

use archipelago_alloc_pool::{A1024, Pool, PoolRaw};

use crate::board::Lock;

/// Tables of heaps; thread states; interpreters and arenas, which are one page each; large objects.
type Pools = (Pool<48, 3>, Pool<96, 6>, Pool<512, 9, A1024>, Pool<608, 2>);

/// The raw domain.
pub type Raw = &'static PoolRaw<Lock, Pools>;

static POOLS: PoolRaw<Lock, Pools> = PoolRaw::new(Lock::new_const());

/// It, with its memory.
pub const fn raw() -> Raw {
    &POOLS
}

/// They have their memory already.
pub fn give() {}

/// Bytes that there are.
pub fn bytes() -> usize {
    POOLS.usage().iter().map(|pool| pool.blocks * pool.block).sum()
}

/// Bytes of them that are in use.
pub fn used() -> usize {
    POOLS.usage().iter().map(|pool| pool.live * pool.block).sum()
}
