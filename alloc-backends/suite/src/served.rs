//! What raw domains and heaps both serve. Each function leaves nothing live.

use core::alloc::Layout;

use crate::{Model, Subject, random, rounds};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

/// Every alignment from 1 to 4096, with sizes below and above it, all live together.
pub fn every_alignment(subject: impl Subject) {
    let mut model = Model::new(subject);
    for align in (0..=12).map(|log| 1 << log) {
        for size in [1, 3, 8, 17, 40, 130, 520] {
            model.allocate(layout(size, align)).expect("room for it");
        }
    }
    model.check();
    model.clear();
}

/// Sizes from 1 byte to 64 KiB, one after the other.
pub fn every_size(subject: impl Subject) {
    let mut model = Model::new(subject);
    let dense = 1..rounds(1100);
    let sparse = (10..=16).flat_map(|log| [(1 << log) - 1, 1 << log]).chain([60_000]);
    for size in dense.chain(sparse) {
        let address = model.allocate(layout(size, 8)).expect("room for it");
        model.deallocate(address);
    }
}

/// Blocks of mixed sizes, freed out of order and taken again, keep what was written to them.
pub fn contents_are_kept(subject: impl Subject) {
    let mut model = Model::new(subject);
    for round in 0..rounds(20) {
        for n in 0..24 {
            model.allocate(layout(1 + (n * 37 + round * 11) % 600, 1 << (n % 5))).expect("room for it");
        }
        for n in (0..18).rev() {
            let address = model.nth(n * 7).expect("a live block");
            model.deallocate(address);
        }
        model.check();
    }
    model.clear();
}

/// Resizing keeps the contents if it succeeds and changes nothing if not.
pub fn resizing_keeps_contents(subject: impl Subject) {
    let mut model = Model::new(subject);
    for size in [1, 15, 16, 17, 100, 500, 513, 3000] {
        let address = model.allocate(layout(size, 8)).expect("room for it");
        let neighbour = model.allocate(layout(64, 8)).expect("room for it");
        for new in [size + 1, size, size.div_ceil(2), size * 3, 1, size] {
            // Whether it succeeds is the backend's; the model checks both cases.
            let _ = model.resize(address, new);
        }
        model.deallocate(address);
        model.check();
        model.deallocate(neighbour);
    }
}

/// Requests that no address space has room for are refused, and nothing is lost by asking.
pub fn the_impossible_is_refused(subject: impl Subject) {
    let mut model = Model::new(subject);
    let most = isize::MAX as usize;
    for (size, align) in [(most, 1), (most - 7, 8), (most - 64, 16), (most / 2 + 1, 4096)] {
        // Miri ends the program where a real system's allocator answers null.
        if !cfg!(miri) || size > most - 128 {
            assert!(model.allocate(layout(size, align)).is_err(), "{size} bytes");
        }
    }
    let address = model.allocate(layout(100, 8)).expect("room for it");
    model.deallocate(address);
}

/// For subjects that are bounded by less than 4 MiB: taking all there is ends in an error, and after everything
/// was given back as much can be taken again, also in one piece of another size.
pub fn exhaustion_is_an_error_and_recovers(subject: impl Subject) {
    let mut model = Model::new(subject);
    let all = |model: &mut Model<_>, size| {
        while model.allocate(layout(size, 16)).is_ok() {
            assert!(model.len() << 6 < 4 << 20, "the subject is bounded");
        }
        model.len()
    };
    let first = all(&mut model, 200);
    assert!(first > 2);
    model.clear();
    assert_eq!(all(&mut model, 200), first, "as much as before");
    for _ in 0..first / 2 {
        let address = model.nth(1).expect("a live block");
        model.deallocate(address);
    }
    assert_eq!(all(&mut model, 200), first, "holes are used");
    model.clear();
    // Whatever was kept for small blocks must not be missing here.
    let address = model.allocate(layout(first * 200 / 2, 16)).expect("half of it in one piece");
    model.deallocate(address);
    let many = all(&mut model, 24);
    assert!(many > first);
    model.clear();
    assert_eq!(all(&mut model, 200), first, "as much as before");
    model.clear();
}

/// Random sequences of requests; at the end everything is given back.
pub fn random_sequences<S: Subject>(subject: impl Fn() -> S) {
    random::sequences(&subject, |mut model| model.clear());
}
