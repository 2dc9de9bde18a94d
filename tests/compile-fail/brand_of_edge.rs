//! Edge is invariant in its brand: no interpreter is passed off as another.

use archipelago::kernel::{guest::Plain, object::Edge};

fn shortened<'long: 'short, 'short>(
    object: Edge<'long, Plain<i64>>,
) -> Edge<'short, Plain<i64>> {
    object
}

fn main() {
    let _ = shortened;
}
