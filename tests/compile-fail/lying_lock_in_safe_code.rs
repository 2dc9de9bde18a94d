//! A lock that does not exclude is a broken promise, so making one takes an unsafe impl.

use archipelago::kernel::host::RawLock;

struct Open;

impl RawLock for Open {
    type Held = ();

    fn new() -> Self {
        Open
    }

    fn lock(&self) {}

    fn try_lock(&self) -> Option<()> {
        Some(())
    }

    unsafe fn unlock(&self, (): ()) {}
}

fn main() {}
