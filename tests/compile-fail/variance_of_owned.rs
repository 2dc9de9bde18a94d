//! Owned is invariant in what it refers to: no reference is passed off as one of a wider type.

use archipelago::kernel::{guest::Plain, object::Owned};

fn widened<'i>(
    object: Owned<'i, Plain<for<'x> fn(&'x u8)>>,
) -> Owned<'i, Plain<fn(&'static u8)>> {
    object
}

fn main() {
    let _ = widened;
}
