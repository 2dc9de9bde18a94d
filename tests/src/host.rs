//! What a suite asks of a host beyond [`Host`].

use core::time::Duration;

use archipelago::StdHostOf;
use archipelago_alloc_system::SystemRaw;
use archipelago_kernel::{
    Host, Runtime,
    host::{Heap, RawLock},
};

use crate::{BareHost, BareRaw, LeasedPools, OneHeapHost, PoolHost};

/// A host under test.
pub trait TestHost: Host {
    /// Main's heap may be used under another GIL than main's.
    const ONE_HEAP: bool = <Self::Heap as Heap<Self::Raw>>::SHARING.is_some();

    /// A fresh runtime with enough memory, not initialized.
    fn fresh() -> Runtime<Self>;

    /// Lets at least so much of the host's time pass.
    fn pass(runtime: &Runtime<Self>, time: Duration);

    /// Bytes that the raw domain has given out, where the backend counts them.
    fn raw_in_use(runtime: &Runtime<Self>) -> Option<usize>;

    /// Runs `f` as an interrupt handler, where the host knows such a thing.
    fn in_handler<R>(f: impl FnOnce() -> R) -> Option<R>;

    /// A fresh runtime, initialized, main without a guest.
    fn started() -> Runtime<Self> {
        let runtime = Self::fresh();
        let _main = runtime.initialize(None).expect("main can be made");
        runtime
    }
}

impl<T: Heap<SystemRaw>> TestHost for StdHostOf<T> {
    fn fresh() -> Runtime<Self> {
        Runtime::new(StdHostOf::new(), SystemRaw, RawLock::new())
    }

    fn pass(_: &Runtime<Self>, time: Duration) {
        std::thread::sleep(time);
    }

    fn raw_in_use(_: &Runtime<Self>) -> Option<usize> {
        None
    }

    fn in_handler<R>(_: impl FnOnce() -> R) -> Option<R> {
        None
    }
}

impl TestHost for BareHost {
    fn fresh() -> Runtime<Self> {
        Runtime::new(BareHost::new(), BareRaw::on_a_region(), RawLock::new())
    }

    fn pass(runtime: &Runtime<Self>, time: Duration) {
        runtime.host().clock().advance(time);
    }

    fn raw_in_use(runtime: &Runtime<Self>) -> Option<usize> {
        Some(runtime.raw().backend().used())
    }

    fn in_handler<R>(f: impl FnOnce() -> R) -> Option<R> {
        Some(BareHost::handler(f))
    }
}

impl TestHost for OneHeapHost {
    fn fresh() -> Runtime<Self> {
        Runtime::new(OneHeapHost::new(), BareRaw::on_a_region(), RawLock::new())
    }

    fn pass(runtime: &Runtime<Self>, time: Duration) {
        runtime.host().clock().advance(time);
    }

    fn raw_in_use(runtime: &Runtime<Self>) -> Option<usize> {
        Some(runtime.raw().backend().used())
    }

    fn in_handler<R>(f: impl FnOnce() -> R) -> Option<R> {
        Some(OneHeapHost::handler(f))
    }
}

impl TestHost for PoolHost {
    fn fresh() -> Runtime<Self> {
        Runtime::new(PoolHost::new(), LeasedPools::new(), RawLock::new())
    }

    fn pass(runtime: &Runtime<Self>, time: Duration) {
        runtime.host().clock().advance(time);
    }

    fn raw_in_use(runtime: &Runtime<Self>) -> Option<usize> {
        Some(runtime.raw().backend().used())
    }

    fn in_handler<R>(f: impl FnOnce() -> R) -> Option<R> {
        Some(PoolHost::handler(f))
    }
}
