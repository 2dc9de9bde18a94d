//! Owned is invariant in its brand: no interpreter is passed off as another.

use archipelago::kernel::{guest::Plain, object::Owned};

fn shortened<'long: 'short, 'short>(
    object: Owned<'long, Plain<i64>>,
) -> Owned<'short, Plain<i64>> {
    object
}

fn main() {
    let _ = shortened;
}
