//! Giving a block back takes a promise about it, and so does changing its size.

use archipelago::{InterpreterConfig, Runtime};
use archipelago::kernel::memory::Domain;

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut a = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    a.attach(|cx| {
        let layout = std::alloc::Layout::new::<u64>();
        let block = cx.allocate(Domain::Mem, layout).unwrap();
        let _ = cx.resize(Domain::Mem, block, layout, layout);
        let _ = cx.reallocate(Domain::Mem, block, layout, layout);
        cx.deallocate(Domain::Mem, block, layout);
    })
    .unwrap();
}
