//! A case for each shape that is rewritten, and for those that are left alone.

use super::{module, rewrite, run, same};

/// A module whose function `run` takes two numbers and has three more.
fn program(body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1) (global $g (export "global") (mut i32) (i32.const 7))
        (func $half (param i32) (result i32) (i32.shr_u (local.get 0) (i32.const 1)))
        (func (export "run") (param $a i32) (param $b i32) (result i32) (local $x i32) (local $y i32) (local $z i32)
        {body}
        (i32.store (i32.const 64) (local.get $a)) (i32.store (i32.const 68) (local.get $b))
        (i32.store (i32.const 72) (local.get $x)) (i32.store (i32.const 76) (local.get $y)) (local.get $z)))"#
    )
}

/// Runs both forms with many arguments; the body must have been rewritten.
fn rewritten(body: &str) {
    let text = program(body);
    assert!(rewrite(&wat::parse_str(&text).unwrap()).is_some(), "left alone: {body}");
    for a in [-1, 0, 1, 2, 3, 4, 5, 7, 8, 100] {
        for b in [-1, 0, 1, 2, 3, 9] {
            same(&text, &[a, b]);
        }
    }
}

fn left_alone(body: &str) {
    let text = program(body);
    assert!(rewrite(&wat::parse_str(&text).unwrap()).is_none(), "rewritten: {body}");
}

#[test]
fn ifs() {
    rewritten("(if (local.get $a) (then (local.set $x (i32.const 1))))");
    rewritten("(if (i32.eqz (local.get $a)) (then (local.set $x (i32.const 1))))");
    rewritten("(if (i64.eqz (i64.extend_i32_u (local.get $a))) (then (local.set $x (i32.const 1))))");
    rewritten(
        "(if (i32.lt_s (local.get $a) (local.get $b)) (then (local.set $x (i32.const 1))) (else (local.set $x (i32.const 2))))",
    );
    rewritten("(if (i32.eqz (local.get $a)) (then) (else (local.set $x (i32.const 2))))");
    rewritten(
        "(if (f64.lt (f64.convert_i32_s (local.get $a)) (f64.const 2)) (then (local.set $x (i32.const 1))))",
    );
}

#[test]
fn ifs_with_results() {
    rewritten("(local.set $x (if (result i32) (local.get $a) (then (local.get $b)) (else (i32.const 2))))");
    rewritten(
        "(local.set $x (if (result i32) (i32.eqz (local.get $a)) (then (br 0 (local.get $b))) (else (i32.const 2) (br_if 0 (local.get $b)))))",
    );
    rewritten(
        "(local.set $x (if (result i32) (local.get $a) (then (return (i32.const 5))) (else (unreachable))))",
    );
    rewritten(
        "(local.set $x (i32.wrap_i64 (if (result i64) (local.get $a) (then (i64.const 3)) (else (i64.const 4)))))",
    );
}

#[test]
fn ifs_in_ifs() {
    rewritten(
        "(if $o (local.get $a) (then (if $i (local.get $b) (then (br_if $o (i32.eq (local.get $a) (i32.const 2)))
            (local.set $x (i32.const 1)) (br $i)) (else (local.set $y (i32.const 3)))) (local.set $z (i32.const 1)))
            (else (if (local.get $b) (then (br $o)))  (local.set $y (i32.const 9))))",
    );
}

#[test]
fn operands_below_a_condition_stay() {
    rewritten(
        "(local.get $a) (local.get $b) (local.get $a) (i32.store (i32.const 8) (i32.const 1)) (i32.const 3) i32.gt_s
            if (local.set $x (i32.const 1)) end i32.add local.set $y",
    );
    rewritten(
        "(local.get $a) (local.tee $x (local.get $b)) if (local.set $y (i32.const 4)) end (local.set $z)",
    );
}

#[test]
fn conditions_without_a_simple_beginning_are_left_alone() {
    left_alone("(if (call $half (local.get $a)) (then (local.set $x (i32.const 1))))");
    left_alone("(if (block (result i32) (local.get $a)) (then (local.set $x (i32.const 1))))");
    left_alone("(local.get $a) (local.get $b) (if (param i32) (then (local.set $x)) (else (drop)))");
    left_alone(
        "(if (local.get $a) (then (call $half (i32.const 1)) (drop) (call $half (i32.const 1)) (drop) (call $half (i32.const 1))
            (drop) (call $half (i32.const 1)) (drop) (call $half (i32.const 1)) (drop) (call $half (i32.const 1)) (drop)
            (call $half (i32.const 1)) (drop) (call $half (i32.const 1)) (drop) (call $half (i32.const 1)) (drop)))",
    );
}

#[test]
fn tables_of_branches_through_ifs() {
    rewritten(
        "(block $out (loop $l (if $i (i32.lt_u (local.get $x) (i32.const 6)) (then
            (local.set $x (i32.add (local.get $x) (i32.const 1)))
            (br_table $i $l $out $l (i32.rem_u (local.get $x) (local.get $b))))) (local.set $y (i32.const 1))))",
    );
}

#[test]
fn code_that_is_not_reached() {
    rewritten("(block (br 0) (local.get $a) if (local.set $x (i32.const 1)) end)");
    rewritten("(block (br 0) (loop (br_if 0 (local.get $a)) (br 0)))");
    rewritten("(if (local.get $a) (then (return (i32.const 4)) (drop) (if (then))))");
    rewritten("(if (local.get $a) (then unreachable)) (loop (return (local.get $b)))");
}

#[test]
fn loops() {
    let down = "(local.tee $a (i32.sub (local.get $a) (i32.const 1)))";
    let count = "(local.set $x (i32.add (local.get $x) (i32.const 1)))";
    rewritten(&format!("(loop $l {count} (br_if $l (i32.gt_s {down} (i32.const 0))))"));
    rewritten(&format!("(block $o (loop $l (br_if $o (i32.le_s {down} (i32.const 0))) {count} (br $l)))"));
    rewritten(&format!("(loop $l (if (i32.gt_s {down} (i32.const 0)) (then {count} (br $l))))"));
    // With a value left over before the branch, which its target takes away.
    rewritten(&format!(
        "(loop $l (if (i32.gt_s {down} (i32.const 0)) (then {count} (i32.const 1) (br $l))))"
    ));
    rewritten(&format!(
        "(loop $l (if (i32.gt_s {down} (i32.const 0)) (then {count} (br $l)) (else {count})))"
    ));
    rewritten(&format!("(loop $l (br_if $l (i32.and (local.get $a) (i32.const 1)) (drop {down})) {count} (br_if $l (local.get $x)))").replace("(drop", "(local.set $z"));
    rewritten(&format!(
        "(loop $l (br_if $l (i32.eq {down} (i32.const 3))) {count} (br_if $l (i32.eq {down} (i32.const 1))))"
    ));
    rewritten(&format!("(loop {count})"));
    rewritten(&format!(
        "(loop $o (loop $l {count} (br_if $l (i32.gt_s {down} (i32.const 0)))) (br_if $o (i32.gt_s (local.tee $b (i32.sub (local.get $b) (i32.const 1))) (i32.const 0))))"
    ));
    rewritten(
        &format!("(loop $l (block $c (br_if $c (i32.eqz {down})) (br_table $c $l (local.get $b))) {count})")
            .replace("br_table $c $l", "br_table $c $c"),
    );
}

#[test]
fn loops_that_are_left_alone() {
    left_alone("(local.set $x (loop (result i32) (local.get $a)))");
    left_alone("(loop (loop (result i32) (local.get $a)) (drop))");
    let long = "(local.set $x (i32.mul (local.get $x) (local.get $b)))".repeat(7);
    left_alone(&format!("(loop {long})"));
}

#[test]
fn traps_come_where_they_came() {
    rewritten(
        "(loop $l (i32.store (i32.shl (local.get $x) (i32.const 13)) (local.get $x))
            (local.set $x (i32.add (local.get $x) (i32.const 1))) (br_if $l (local.get $a)))",
    );
    rewritten(
        "(if (i32.div_u (local.get $a) (local.get $b)) (then (global.set $g (i32.div_s (local.get $b) (local.get $a)))))",
    );
}

#[test]
fn every_cycle_takes_fuel() {
    for body in [
        "(loop $l (br $l))",
        "(loop $l (br_if $l (i32.const 1)))",
        "(loop $l (if (i32.const 1) (then (br $l))))",
    ] {
        let bytes = wat::parse_str(program(body)).unwrap();
        let rewritten = rewrite(&bytes).unwrap();
        assert!(run(&rewritten, &[0, 0], 100_000).is_none(), "{body}");
    }
}

#[test]
fn samples_are_rewritten() {
    for name in ["busy", "echo", "flood", "grow", "hello", "primes", "sleep", "trap"] {
        let path = format!("{}/../../cli/samples/{name}.wat", env!("CARGO_MANIFEST_DIR"));
        let bytes = wat::parse_bytes(&std::fs::read(path).unwrap()).unwrap().into_owned();
        let rewritten = rewrite(&bytes);
        assert!(rewritten.is_some() || name != "primes", "{name}");
        // Growth is bounded by one more copy of the code.
        assert!(
            rewritten.is_none_or(|rewritten| module(&rewritten).is_ok() && rewritten.len() < 2 * bytes.len())
        );
    }
}

#[test]
fn selects_on_zero_select_rightly() {
    let first = "(i32.add (local.get $a) (i32.const 2))";
    let zero = "(i32.const 0)";
    for (condition, on_zero) in [
        ("(i32.eqz (local.get $a))".to_owned(), 2),
        (format!("(i32.eq (local.get $a) {zero})"), 2),
        (format!("(i32.eq {zero} (local.get $a))"), 2),
        (format!("(i32.ne (local.get $a) {zero})"), 9),
        (format!("(i32.ne {zero} (local.get $a))"), 9),
    ] {
        for select in ["select", "select (result i32)"] {
            let text = program(&format!("(local.set $z ({select} {first} (i32.const 9) {condition}))"));
            let bytes = rewrite(&wat::parse_str(text).unwrap()).unwrap();
            for a in [0, 1, -1] {
                let expected = if (a == 0) == (on_zero == 2) { a + 2 } else { 9 };
                let (seen, _) = run(&bytes, &[a, 0], 1_000).unwrap();
                assert_eq!(
                    seen.end,
                    Ok(vec![format!("{:?}", wasmi::Val::I32(expected))]),
                    "{select} {condition} {a}"
                );
            }
        }
    }
}
