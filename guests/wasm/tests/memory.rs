//! Memories and tables: what is charged, what is refused.

mod common;

use archipelago_guest_wasm::{Charge, ChargeReason, Instance, LimitHit, StartError, WasiSetup};
use common::*;

#[test]
fn growth_over_the_budget_is_refused_and_reported() {
    let (setup, sink) = collecting();
    let mut grow = Instance::new(&load(sample("grow")).unwrap(), setup, 10 * PAGE + 100).unwrap();
    assert_eq!((grow.charged(), grow.take_limit_hit()), (PAGE, None));
    assert_eq!(exit_code(&mut grow), 0);
    assert_eq!(text(&sink), "10 pages, then refused\n");
    assert_eq!(grow.charged(), 10 * PAGE);
    assert_eq!(grow.peak(), 10 * PAGE);
    assert_eq!(grow.take_limit_hit(), Some(LimitHit { asked: PAGE, available: 100 }));
    assert_eq!(grow.take_limit_hit(), None);
}

#[test]
fn a_program_too_large_for_the_budget_does_not_start() {
    let program = load(sample("primes")).unwrap();
    let hit = LimitHit { asked: 154 * PAGE, available: 153 * PAGE };
    match Instance::new(&program, WasiSetup::new(), 153 * PAGE) {
        Err(StartError::LimitExceeded(found)) => assert_eq!(found, hit),
        other => panic!("{other:?}"),
    }
    assert!(Instance::new(&program, WasiSetup::new(), 154 * PAGE).is_ok());
}

#[test]
fn the_budget_can_be_changed_between_slices() {
    let text = r#"(module (memory 1) (func (export "_start")
        (loop $more (br_if $more (i32.eq (memory.grow (i32.const 1)) (i32.const -1))))))"#;
    let mut instance = Instance::new(&load(text).unwrap(), WasiSetup::new(), PAGE).unwrap();
    assert!(matches!(instance.run(FUEL), archipelago_guest_wasm::Slice::OutOfFuel));
    assert!(instance.take_limit_hit().is_some());
    instance.set_budget(PAGE);
    assert_eq!(exit_code(&mut instance), 0);
    assert_eq!(instance.charged(), 2 * PAGE);
}

#[test]
fn a_maximum_of_the_program_is_no_limit_hit() {
    let text = r#"(module (memory 1 2) (func (export "_start")
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))))"#;
    let mut instance = instance(text, WasiSetup::new());
    assert_eq!(exit_code(&mut instance), 0);
    assert_eq!((instance.charged(), instance.take_limit_hit()), (2 * PAGE, None));
}

#[test]
fn tables_are_charged() {
    let text = r#"(module (table 100 funcref) (func (export "_start")
        (loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 10)) (i32.const -1))))))"#;
    let mut instance = Instance::new(&load(text).unwrap(), WasiSetup::new(), 1000).unwrap();
    assert_eq!(instance.charged(), 400);
    // A unit of fuel at a time: growing a table must never be what runs out.
    assert!(matches!(finish(&mut instance, 1).0, archipelago_guest_wasm::Slice::Done(0)));
    assert_eq!(instance.charged(), 1000);
    assert_eq!(instance.take_limit_hit(), Some(LimitHit { asked: 40, available: 0 }));
}

/// SPEC: M8
#[test]
fn charges_are_told_by_their_reason() {
    let text = r#"(module (memory 2) (table $t 6 funcref) (func (export "_start")
        (drop (memory.grow (i32.const 3))) (drop (memory.grow (i32.const 100)))
        (drop (table.grow $t (ref.null func) (i32.const 5)))))"#;
    let mut instance = Instance::new(&load(text).unwrap(), WasiSetup::new(), 10 * PAGE).unwrap();
    let charge = |reason, bytes| Charge { reason, bytes, peak: bytes };
    let start = [charge(ChargeReason::Memory, 2 * PAGE), charge(ChargeReason::Table, 24)];
    assert_eq!(instance.charges().collect::<Vec<_>>(), start);
    assert_eq!(exit_code(&mut instance), 0);
    let grown = [charge(ChargeReason::MemoryGrowth, 3 * PAGE), charge(ChargeReason::TableGrowth, 20)];
    assert_eq!(instance.charges().collect::<Vec<_>>(), [start, grown].concat());
    assert_eq!(instance.charges().map(|charge| charge.bytes).sum::<usize>(), instance.charged());
}

#[test]
fn segments_out_of_bounds_stop_the_start() {
    let text = r#"(module (memory 1) (data (i32.const 65535) "ab") (func (export "_start")))"#;
    match Instance::new(&load(text).unwrap(), WasiSetup::new(), PLENTY) {
        Err(StartError::Trapped(trap)) => assert_eq!(trap.name(), "memory-out-of-bounds"),
        other => panic!("{other:?}"),
    }
}
