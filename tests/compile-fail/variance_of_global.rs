//! Global is invariant in what it names.

use archipelago::kernel::{guest::Plain, object::Global};

fn widened(name: Global<Plain<for<'x> fn(&'x u8)>>) -> Global<Plain<fn(&'static u8)>> {
    name
}

fn main() {
    let _ = widened;
}
