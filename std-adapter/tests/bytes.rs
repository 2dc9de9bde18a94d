//! What the kernel takes for an interpreter and a thread state on this host.
#![cfg(target_pointer_width = "64")]

use archipelago::StdHost;
use archipelago_kernel::Runtime;

/// The budget of an idle interpreter is 1024 bytes, in which allocators and the id table need room too: a word more in either
/// has to be saved elsewhere.
#[test]
fn an_idle_interpreter_fits_its_budget() {
    let thread = Runtime::<StdHost>::THREAD_BYTES;
    assert!(thread <= 136, "a thread state takes {thread} bytes");
    let interpreter = Runtime::<StdHost>::INTERPRETER_BYTES - thread;
    assert!(interpreter <= 792, "an interpreter takes {interpreter} bytes without its first thread state");
}
