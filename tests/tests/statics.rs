//! A runtime as a constant (SPEC R1).

use archipelago_kernel::{
    Runtime,
    error::{CreateError, LookupError, RuntimeError},
    runtime::RuntimePhase,
};
use archipelago_locks::SpinLock;
use archipelago_tests::{BareHost, BareRaw};

static ONE: Runtime<BareHost> =
    Runtime::new(BareHost::new(), BareRaw::without_memory(), SpinLock::relaxing());
static OTHER: Runtime<BareHost> =
    Runtime::new(BareHost::new(), BareRaw::without_memory(), SpinLock::relaxing());

/// SPEC: R1
#[test]
fn a_runtime_is_a_static() {
    for runtime in [&ONE, &OTHER] {
        assert_eq!(runtime.phase(), RuntimePhase::Uninitialized);
        // It took no memory before it was initialized, and now there is none.
        assert_eq!(runtime.initialize(None), Err(RuntimeError::Main(CreateError::NoMemory)));
        assert_eq!(runtime.phase(), RuntimePhase::Uninitialized);
        assert_eq!((runtime.main(), runtime.count()), (Err(LookupError::NotRunning), Ok(0)));
    }
}
