//! The token cannot be made.

use archipelago::{StdHost, kernel::Attached};

fn main() {
    let _token: Attached<'static, StdHost> = Attached::default();
}
