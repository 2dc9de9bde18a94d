//! The word of the current thread state is the kernel's: it says which GIL a thread holds.

use archipelago::{ThreadLocalSlot, kernel::host::CurrentSlot};

fn main() {
    ThreadLocalSlot::set(core::ptr::null());
}
