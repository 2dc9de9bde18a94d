//! Interpreters created and ended again and again: memory stays flat. Alone in its program, whose memory it looks at.
#![cfg(all(not(miri), target_os = "linux"))]

use archipelago::{InterpreterConfig, Runtime};
use archipelago_kernel::collections::Vec as HeapVec;

/// How many; for a long soak `ARCHIPELAGO_SOAK=1000000`.
fn cycles() -> usize {
    std::env::var("ARCHIPELAGO_SOAK").map_or(20_000, |cycles| cycles.parse().expect("a number"))
}

/// SPEC: L5, M6
#[test]
fn created_and_ended_again_and_again_with_memory_flat() {
    let rt = Runtime::new().unwrap();
    let cycle = || {
        let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
        state
            .attach(|cx| {
                let mut numbers = HeapVec::new();
                (0..20_u64).for_each(|n| numbers.push(cx, n).unwrap());
                // Left to the end.
                core::mem::forget(numbers);
            })
            .unwrap();
        let id = state.interpreter();
        drop(state);
        assert!(!rt.end(id, None).unwrap().is_clean(), "it was left");
    };
    (0..1000).for_each(|_| cycle());
    let before = resident();
    (0..cycles()).for_each(|_| cycle());
    let grown = resident().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes more");
    assert_eq!(rt.count(), Ok(1));
}

/// Resident bytes.
fn resident() -> usize {
    let words = std::fs::read_to_string("/proc/self/statm").expect("the system tells");
    words.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * 4096
}
