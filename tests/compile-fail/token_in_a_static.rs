//! The token is not stored at another brand.

use archipelago::Attached;

struct Kept(Option<Attached<'static>>);

fn store<'i>(kept: &mut Kept, token: &mut Attached<'i>) {
    core::mem::swap(kept.0.as_mut().unwrap(), token);
}

fn main() {
    let _ = store;
}
