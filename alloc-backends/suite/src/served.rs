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
/// was given back as much can be taken again (but for a sixteenth, where the place of a block costs some).
pub fn exhaustion_is_an_error(subject: impl Subject) {
    exhaust(&mut Model::new(subject), |_, _| {});
}

/// As [`exhaustion_is_an_error`], for subjects whose blocks are cut from one piece: as much can be taken also in one
/// piece of another size.
pub fn exhaustion_is_an_error_and_recovers(subject: impl Subject) {
    exhaust(&mut Model::new(subject), |model, first| {
        // Whatever was kept for small blocks must not be missing here.
        let address = model.allocate(layout(first * 200 / 2, 16)).expect("half of it in one piece");
        model.deallocate(address);
    });
}

/// Takes all there is, over and over; `between` looks at it when nothing is live.
fn exhaust<S: Subject>(model: &mut Model<S>, between: impl FnOnce(&mut Model<S>, usize)) {
    let first = all(model, 200);
    assert!(first > 2);
    model.clear();
    assert!(as_before(first, all(model, 200)));
    for _ in 0..first / 2 {
        let address = model.nth(1).expect("a live block");
        model.deallocate(address);
    }
    assert!(as_before(first, all(model, 200)), "holes are used");
    model.clear();
    between(model, first);
    assert!(all(model, 24) > first);
    model.clear();
    assert!(as_before(first, all(model, 200)));
    model.clear();
}

/// Takes blocks of one size until there is none.
fn all(model: &mut Model<impl Subject>, size: usize) -> usize {
    while model.allocate(layout(size, 16)).is_ok() {
        assert!(model.len() << 6 < 4 << 20, "the subject is bounded");
    }
    model.len()
}

fn as_before(first: usize, count: usize) -> bool {
    count + first / 16 >= first
}

/// Random sequences of requests; at the end everything is given back.
pub fn random_sequences<S: Subject>(subject: impl Fn() -> S) {
    random::sequences(random::MANY, &subject, |mut model| model.clear());
}

/// As [`random_sequences`], but few, for wrappers of what passed the many.
pub fn few_random_sequences<S: Subject>(subject: impl Fn() -> S) {
    random::sequences(random::FEW, &subject, |mut model| model.clear());
}
