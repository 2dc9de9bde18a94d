//! What raw domains do beyond serving blocks.

use core::alloc::Layout;
use std::thread;

use archipelago_kernel::host::RawAlloc;

use crate::{Model, OnRaw, rounds};

/// Four threads take and give back at the same time, and blocks go from one thread to another.
pub fn four_threads(raw: &impl RawAlloc) {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let mut model = Model::new(OnRaw(raw));
                for n in 0..rounds(2000) {
                    let layout = Layout::from_size_align(1 + (n * 13 + thread) % 200, 8).expect("a layout");
                    model.allocate(layout).expect("room for it");
                    if n % 3 != 0 || model.len() > 8 {
                        let address = model.nth(n).expect("a live block");
                        model.deallocate(address);
                    }
                }
                model.clear();
            });
        }
    });
}

/// Where a region is answered, every block lies in it.
pub fn blocks_lie_in_the_region(raw: &impl RawAlloc) {
    let Some(region) = raw.region() else { return };
    let mut model = Model::new(OnRaw(raw));
    while let Ok(address) = model.allocate(Layout::new::<[u64; 6]>()) {
        assert!(region.contains(&address) && region.end - address >= 48);
        if model.len() == rounds(1000) {
            break;
        }
    }
    assert!(!model.is_empty());
    model.clear();
}
