//! A handle to an interpreter does not outlive its runtime.

use archipelago::Runtime;

fn main() {
    let runtime = Runtime::new().unwrap();
    let main = runtime.interpreter(runtime.main().unwrap()).unwrap();
    drop(runtime);
    main.phase();
}
