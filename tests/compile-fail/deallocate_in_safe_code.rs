//! Giving a block back takes a promise about it.

use archipelago::{InterpreterConfig, Runtime};
use archipelago::kernel::memory::Domain;

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let layout = std::alloc::Layout::new::<u64>();
        let block = cx.allocate(Domain::Mem, layout).unwrap();
        cx.deallocate(Domain::Mem, block, layout);
    })
    .unwrap();
}
