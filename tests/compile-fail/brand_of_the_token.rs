//! The token is invariant in its brand.

use archipelago::Attached;

fn shortened<'a, 'long: 'short, 'short>(token: &'a mut Attached<'long>) -> &'a mut Attached<'short> {
    token
}

fn main() {
    let _ = shortened;
}
