//! The raw layer takes promises that no type makes.

use archipelago::{Runtime, kernel::raw};

fn main() {
    let runtime = Runtime::new().unwrap();
    let state = raw::thread_new(&runtime, runtime.main().unwrap()).unwrap();
    raw::attach(&runtime, state).unwrap();
}
