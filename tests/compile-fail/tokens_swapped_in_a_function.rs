//! Two tokens do not change places, also where nothing is borrowed.

use archipelago::Attached;

fn swapped<'i, 'j>(one: &mut Attached<'i>, two: &mut Attached<'j>) {
    core::mem::swap(one, two);
}

fn main() {
    let _ = swapped;
}
