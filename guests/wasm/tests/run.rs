//! Running: output, exit codes, traps, slices.

mod common;

use archipelago_guest_wasm::{
    Engine, Input, Instance, Output, Program, Request, Response, Sink, Slice, Stopped, Trap, WakeFd,
    WasiSetup, serve,
};
use common::*;
use std::{io, sync::Arc};

/// The sample that counts primes, below ten thousand only: the engine is slow in a debug build.
fn few_primes() -> String {
    String::from_utf8(sample("primes"))
        .unwrap()
        .replace("i32 (i32.const 10000000)", "i32 (i32.const 10000)")
        .replace("below 10000000\\n", "below 10000\\n   ")
        .replace("3162", "100")
}

const FEW_PRIMES: &str = "1229 primes below 10000\n   ";

#[test]
fn hello_reaches_its_sink() {
    let (setup, sink) = collecting();
    assert_eq!(exit_code(&mut instance(sample("hello"), setup)), 0);
    assert_eq!(text(&sink), "hello from an interpreter\n");
}

#[test]
fn samples_compute_what_they_say() {
    let (setup, sink) = collecting();
    let setup = setup.stdin(Input::Bytes(b"one\ntwo\n".to_vec()));
    assert_eq!(exit_code(&mut instance(sample("echo"), setup)), 0);
    assert_eq!(text(&sink), "one\ntwo\n");
    let (end, _) = finish(&mut instance(sample("trap"), WasiSetup::new()), FUEL);
    assert!(matches!(end, Slice::Trapped(Trap::MemoryOutOfBounds)));
}

#[test]
fn exit_codes_are_values() {
    for code in [0, 3, 125, 255, -1] {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
                (func (export "_start") (call $exit (i32.const {code})) unreachable))"#
        );
        let mut instance = instance(text, WasiSetup::new());
        assert_eq!(exit_code(&mut instance), code);
        // The end stays what it was.
        assert_eq!(exit_code(&mut instance), code);
    }
}

#[test]
fn every_trap_has_its_name() {
    let start = |body: &str| {
        format!(
            r#"(module (memory 1) (table 2 funcref) (func $nop (param i32)) (elem (i32.const 1) $nop) (type $empty (func))
                (func $deep (call $deep)) (func (export "_start") {body}))"#
        )
    };
    let cases = [
        ("unreachable", Trap::Unreachable),
        ("(i32.store (i32.const -1) (i32.const 0))", Trap::MemoryOutOfBounds),
        ("(table.set (i32.const 9) (ref.null func))", Trap::TableOutOfBounds),
        ("(call_indirect (type $empty) (i32.const 0))", Trap::IndirectCallToNull),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", Trap::IntegerDivisionByZero),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", Trap::IntegerOverflow),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", Trap::BadConversionToInteger),
        ("(call $deep)", Trap::StackOverflow),
        ("(call_indirect (type $empty) (i32.const 1))", Trap::BadSignature),
    ];
    for (body, trap) in cases {
        assert_eq!(trap_of(&start(body)), trap, "{body}");
    }
    assert_eq!(Trap::StackOverflow.name(), "stack-overflow");
}

#[test]
fn a_frame_too_large_for_the_stack_is_a_stack_overflow() {
    // Eight hundred locals per call fill the stack before calls nest too deep.
    let locals = "i64 ".repeat(800);
    let text = format!(
        r#"(module (func $deep (param i64) (result i64) (local {locals})
            (i64.add (call $deep (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))
            (func (export "_start") (drop (call $deep (i64.const 0)))))"#
    );
    assert_eq!(trap_of(&text), Trap::StackOverflow);
}

#[test]
fn a_program_without_memory_cannot_call_wasi() {
    let text = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func (export "_start") (drop (call $yield))))"#;
    assert!(matches!(trap_of(text), Trap::Host(text) if text.contains("memory")));
}

#[test]
fn slices_are_deterministic_and_change_nothing() {
    let run = |fuel| {
        let (setup, sink) = collecting();
        let mut instance = instance(few_primes(), setup);
        let (end, slices) = finish(&mut instance, fuel);
        assert!(matches!(end, Slice::Done(0)));
        (text(&sink), instance.fuel_used(), slices)
    };
    let small = run(10_000);
    assert_eq!(small, run(10_000));
    let large = run(u64::MAX);
    assert_eq!(small.0, large.0);
    assert_eq!(small.1, large.1);
    assert!(small.2 > large.2);
}

#[test]
fn a_slice_smaller_than_one_instruction_still_moves_on() {
    let (setup, sink) = collecting();
    let mut grow = Instance::new(&load(sample("grow")).unwrap(), setup, 4 * PAGE).unwrap();
    assert!(matches!(finish(&mut grow, 1).0, Slice::Done(0)));
    assert_eq!(text(&sink), "4 pages, then refused\n");
    assert_eq!(grow.charged(), 4 * PAGE);
}

#[test]
fn two_instances_interleave_on_one_thread() {
    let program = load(few_primes()).unwrap();
    let wake = WakeFd::new().unwrap();
    let (sinks, mut instances): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (setup, sink) = collecting();
            (sink, Instance::new(&program, setup, PLENTY).unwrap())
        })
        .unzip();
    let mut running = true;
    while running {
        running = false;
        for instance in &mut instances {
            match instance.run(10_000) {
                Slice::OutOfFuel => running = true,
                Slice::Blocked(request) => {
                    instance.complete(serve(&request, &wake).unwrap()).unwrap();
                    running = true;
                }
                end => assert!(matches!(end, Slice::Done(0)), "{end:?}"),
            }
        }
    }
    for sink in &sinks {
        assert_eq!(text(sink), FEW_PRIMES);
    }
}

#[test]
fn an_instance_moves_between_threads() {
    fn moves<T: Send>(value: T) -> T {
        value
    }
    fn shared<T: Send + Sync>(value: T) -> T {
        value
    }
    let program = shared(Program::load(&shared(Engine::new()), "primes", few_primes().as_bytes()).unwrap());
    let (setup, sink) = collecting();
    let mut instance = moves(Instance::new(&program, setup, PLENTY).unwrap());
    for _ in 0..5 {
        instance = std::thread::spawn(move || {
            assert!(matches!(instance.run(10_000), Slice::OutOfFuel));
            instance
        })
        .join()
        .unwrap();
    }
    assert_eq!(exit_code(&mut instance), 0);
    assert_eq!(text(&sink), FEW_PRIMES);
}

#[test]
fn a_sink_may_fail_and_the_program_sees_it() {
    struct Closed;
    impl Sink for Closed {
        fn write(&self, _: &[u8], _: &WakeFd) -> Result<usize, Stopped> {
            Err(Stopped::Failed(io::ErrorKind::BrokenPipe.into()))
        }
    }
    let setup = WasiSetup::new().stdout(Output::Sink(Arc::new(Closed)));
    assert_eq!(exit_code(&mut instance(sample("flood"), setup)), 1);
}

#[test]
fn only_the_request_that_was_asked_is_answered() {
    let (setup, sink) = collecting();
    let mut hello = instance(sample("hello"), setup);
    assert!(hello.complete(Response::Yielded).is_err());
    let request = blocked(&mut hello);
    assert!(matches!(&*request, Request::Emit { bytes, .. } if bytes == b"hello from an interpreter\n"));
    assert!(hello.complete(Response::Yielded).is_err());
    // Unanswered, it asks again.
    assert!(Arc::ptr_eq(&request, &blocked(&mut hello)));
    assert!(hello.request().is_some());
    hello.complete(Response::Wrote(Ok(26))).unwrap();
    assert_eq!(exit_code(&mut hello), 0);
    assert_eq!(text(&sink), "");
}

#[test]
fn yielding_is_a_request() {
    let text = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
        (func (export "_start") (call $exit (call $yield))))"#;
    let mut instance = instance(text, WasiSetup::new());
    assert!(matches!(&*blocked(&mut instance), Request::Yield));
    instance.complete(Response::Yielded).unwrap();
    assert_eq!(exit_code(&mut instance), 0);
}
