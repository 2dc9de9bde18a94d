//! The std host with a traced heap.

use core::time::Duration;
use std::thread;

use archipelago::{Runtime, StdHostOf, UsualHeap, kernel::error::Interrupt};
use archipelago_alloc_hooks::{Snapshot, StdTracer, Trace, scope};
use archipelago_kernel::config::InterpreterConfig;

/// The book has what is live, and it outlives the interpreter; the host watches deadlines as with its usual heap.
///
/// SPEC: M8, E5
#[test]
fn a_runtime_of_traced_heaps() {
    let runtime = Runtime::<StdHostOf<Trace<UsualHeap, StdTracer>>>::on_host(None).unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let held = |snapshot: &Snapshot| {
        let named = |row: &&archipelago_alloc_hooks::Row| row.site.to_string().starts_with("numbers");
        let row = snapshot.rows().iter().find(named).copied().unwrap();
        assert_eq!(row.asker.map(|asker| asker.interpreter), Some(id));
        (row.counts.bytes, row.counts.peak_bytes)
    };
    state
        .attach(|cx| {
            let numbers = {
                let _numbers = scope("numbers");
                cx.alloc_plain([7u64; 40]).map_err(|(_, error)| error).unwrap()
            };
            let (bytes, peak) = held(&StdTracer::snapshot());
            assert!(bytes >= 320 && bytes == peak, "{bytes} of {peak}");
            assert_eq!(numbers.get(cx)[39], 7);
            cx.set_deadline(Some(Duration::from_millis(1))).unwrap();
            while cx.safepoint() != Err(Interrupt::Deadline) {
                thread::yield_now();
            }
        })
        .unwrap();
    assert!(runtime.end(id, None).unwrap().is_clean());
    let snapshot = StdTracer::snapshot();
    let (bytes, peak) = held(&snapshot);
    assert!(bytes == 0 && peak >= 320, "{bytes} of {peak}");
    assert_eq!(snapshot.rest().taken, 0, "this book has room for every line");
}
