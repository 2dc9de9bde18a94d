//! What programs do.

mod support;

use archipelago::InterpreterConfig;
use archipelago_kernel::{
    error::GuestError,
    guest::{Fault, Step, Value},
};
use archipelago_toy_guest::{Exception, Toy};
use support::{exec, int, within};

fn raised(exception: Exception) -> Step {
    Step::Failed(Fault::Raised(exception as u32))
}

#[test]
fn arithmetic() {
    assert_eq!(exec("push 2; push 3; add; halt"), int(5));
    assert_eq!(exec("push 2; push 3; sub; halt"), int(-1));
    assert_eq!(exec("push -4; push 3; mul; halt"), int(-12));
    assert_eq!(exec("push 17; push 5; div; halt"), int(3));
    assert_eq!(exec("push -17; push 5; rem; halt"), int(-2));
    assert_eq!(exec("push 3; push 3; eq; halt"), int(1));
    assert_eq!(exec("push 3; push 3; lt; halt"), int(0));
    assert_eq!(exec("push 1; push 2; swap; halt"), int(1));
    assert_eq!(exec("halt"), Step::Done(Value::None));
}

#[test]
fn the_machine_raises() {
    assert_eq!(exec("push 1; loop: dup; mul; push 2147483647; mul; jump loop"), raised(Exception::Overflow));
    assert_eq!(exec("push 1; push 0; div"), raised(Exception::ZeroDivision));
    assert_eq!(exec("push 1; push 0; rem"), raised(Exception::ZeroDivision));
    assert_eq!(exec("add"), raised(Exception::Stack));
    assert_eq!(exec("dup"), raised(Exception::Stack));
    assert_eq!(exec("loop: push 1; jump loop"), raised(Exception::Stack));
    assert_eq!(exec("loop: call loop"), raised(Exception::Depth));
    assert_eq!(exec("peek"), raised(Exception::Empty));
    assert_eq!(exec("free"), raised(Exception::Empty));
    assert_eq!(exec("push 1"), raised(Exception::Syntax), "the program has no end");
    assert_eq!(exec("nonsense"), raised(Exception::Syntax));
}

#[test]
fn calls_return_where_they_came_from() {
    assert_eq!(exec("push 20; call twice; call twice; halt; twice: dup; add; ret"), int(80));
    // Fifteen frames beside the outermost one.
    assert_eq!(exec("push 15; call down; halt; down: push 1; sub; dup; jz end; call down; end: ret"), int(0));
    assert_eq!(
        exec("push 16; call down; halt; down: push 1; sub; dup; jz end; call down; end: ret"),
        raised(Exception::Depth)
    );
}

#[test]
fn exceptions_are_caught_where_a_handler_stands() {
    assert_eq!(exec("try oops; push 7; push 8; push 41; raise; oops: push 1; add; halt"), int(42));
    assert_eq!(
        exec("try oops; call f; halt; f: push 9; push 0; div; ret; oops: halt"),
        int(Exception::ZeroDivision as i64),
        "the outer frame's handler"
    );
    assert_eq!(exec("try oops; untry; push 100; raise; oops: halt"), Step::Failed(Fault::Raised(100)));
    assert_eq!(
        exec("try oops; push 100; raise; oops: push 1; add; raise"),
        Step::Failed(Fault::Raised(101)),
        "a handler is used once"
    );
}

#[test]
fn globals_live_as_long_as_the_interpreter() {
    within(&InterpreterConfig::isolated(), |cx| {
        assert_eq!(cx.exec(b"push 5; store 3; halt"), Step::Done(Value::None));
        assert_eq!(cx.exec(b"load 3; push 1; add; dup; store 3; halt"), int(6));
        let parts = cx.guest::<Toy>().unwrap();
        assert_eq!(parts.state.global(3), Some(6));
        assert_eq!(parts.state.global(16), None);
        assert_eq!(parts.state.executed, 3 + 6);
        *parts.state.global_mut(3).unwrap() = 10;
        assert_eq!(cx.exec(b"load 3; halt"), int(10));
    });
}

#[test]
fn functions_are_called_by_name() {
    within(&InterpreterConfig::isolated(), |cx| {
        assert_eq!(cx.call("sum", &[]), raised(Exception::Name), "there is no program yet");
        assert_eq!(cx.exec(b"halt; fn sum: add; ret; fn three: push 3; ret"), Step::Done(Value::None));
        assert_eq!(cx.call("sum", &[Value::Int(2), Value::Int(40)]), int(42));
        assert_eq!(cx.call("sum", &[Value::Int(2), Value::Bool(true)]), int(3));
        assert_eq!(cx.call("three", &[]), int(3));
        assert_eq!(cx.call("sum", &[]), raised(Exception::Stack));
        assert_eq!(cx.call("su", &[]), raised(Exception::Name));
        assert_eq!(cx.call("far too long a name", &[]), raised(Exception::Name));
        assert_eq!(
            cx.call("three", &[Value::Float(1.0)]),
            Step::Failed(Fault::Refused(GuestError::Unsupported))
        );
        assert_eq!(cx.call("three", &[Value::Int(0); 33]), raised(Exception::Stack));
        assert_eq!(
            cx.guest::<Toy>().unwrap().thread.exception(),
            Some(Exception::Stack as u32),
            "of the last run that began"
        );
    });
}

#[test]
fn objects_hold_each_other() {
    let config = InterpreterConfig::isolated();
    within(&config, |cx| {
        let bare = cx.usage().object.blocks;
        assert_eq!(cx.exec(b"push 1; new; push 2; new; push 3; new; peek; halt"), int(3));
        cx.settle();
        // Three objects and the program.
        assert_eq!(cx.usage().object.blocks, bare + 4);
        assert_eq!(cx.guest::<Toy>().unwrap().state.objects, 3);
        assert_eq!(cx.exec(b"free; peek; free; peek; add; halt"), int(3));
        cx.settle();
        assert_eq!(cx.usage().object.blocks, bare + 2);
        // The end drops what is left: `within` looks at the ledger.
    });
}

#[test]
fn a_long_chain_of_objects_is_dropped_without_recursion() {
    within(&InterpreterConfig::isolated(), |cx| {
        let step = cx.exec(
            b"push 50000; store 0
              loop: load 0; new; load 0; push 1; sub; dup; store 0; jz end; jump loop
              end: halt",
        );
        assert_eq!(step, Step::Done(Value::None));
        assert_eq!(cx.guest::<Toy>().unwrap().state.objects, 50_000);
        drop(cx.guest::<Toy>().unwrap().state.take_kept());
        cx.settle();
        assert_eq!(cx.usage().object.blocks, 1);
    });
}

#[test]
fn refused_memory_ends_the_run_and_keeps_the_objects() {
    let config = InterpreterConfig::isolated().with_memory_limit(Some(8 * 1024));
    within(&config, |cx| {
        let Step::Failed(Fault::NoMemory(error)) = cx.exec(b"loop: push 1; new; jump loop") else {
            panic!("the limit holds")
        };
        assert_eq!(error.cause, archipelago_kernel::memory::AllocCause::HardLimit);
        let kept = cx.guest::<Toy>().unwrap().state.objects;
        assert!(kept > 10);
        assert_eq!(cx.call("no", &[]), raised(Exception::Name));
        assert_eq!(cx.usage().object.blocks, kept as usize + 1);
    });
}
