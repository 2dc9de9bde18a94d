//! A thread state does not outlive its runtime.

use archipelago::{InterpreterConfig, Runtime};

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    drop(runtime);
    a.attach(|_| ()).unwrap();
}
