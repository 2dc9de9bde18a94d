//! Where an interpreter's memory is taken, as the command can tell.

use core::cell::Cell;

use archipelago_alloc_hooks::{Frame, Site};
use archipelago_guest_wasm::ChargeReason;

std::thread_local! {
    static HERE: Cell<Site> = const { Cell::new(Site::UNKNOWN) };
}

/// An interpreter is made.
pub static CREATE: Frame = Frame::root("create");
/// What the kernel keeps of an interpreter and of its thread.
pub static KERNEL: Frame = Frame::below(&CREATE, "kernel");
/// Its program is put into it.
pub static LOAD: Frame = Frame::root("load");
/// Its program runs.
pub static RUN: Frame = Frame::root("run");
/// It ends.
pub static END: Frame = Frame::root("end");

static MEMORY: Frame = Frame::below(&LOAD, "memory");
static TABLE: Frame = Frame::below(&LOAD, "table");
static MEMORY_GROWTH: Frame = Frame::below(&RUN, "memory.grow");
static TABLE_GROWTH: Frame = Frame::below(&RUN, "table.grow");
static OTHER: Frame = Frame::below(&RUN, "other");

/// The site of what was charged for `reason`.
pub fn of(reason: ChargeReason) -> &'static Frame {
    match reason {
        ChargeReason::Memory => &MEMORY,
        ChargeReason::Table => &TABLE,
        ChargeReason::MemoryGrowth => &MEMORY_GROWTH,
        ChargeReason::TableGrowth => &TABLE_GROWTH,
        _ => &OTHER,
    }
}

/// This thread is at a site; dropped, it is where it was before.
pub struct There(Site);

/// Goes to `step`. The steps are few and known, so they are statics, where scopes that are named as they are opened
/// would be looked up under a lock by every interpreter.
pub fn at(step: &'static Frame) -> There {
    There(HERE.replace(Site(Some(step))))
}

impl Drop for There {
    fn drop(&mut self) {
        HERE.set(self.0);
    }
}

/// Where this thread is.
pub fn here() -> Site {
    HERE.get()
}
