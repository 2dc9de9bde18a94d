//! From text to bytes, by the compiler and at run time.

use archipelago_toy_guest::{Code, Op, SyntaxError};

/// Assembled by the compiler.
const COUNTED: Code = match Code::assemble("push 3; loop: push 1; sub; dup; jz end; jump loop; end: halt") {
    Ok(code) => code,
    Err(_) => panic!("the program does not assemble"),
};

#[test]
fn bytes_of_a_program() {
    let expected: &[u8] =
        &[0xa7, 0, 0x01, 3, 0, 0, 0, 0x01, 1, 0, 0, 0, 0x09, 0x03, 0x21, 18, 0, 0x20, 5, 0, 0x3b];
    assert_eq!(COUNTED.bytes(), expected);
}

#[test]
fn functions_are_listed() {
    let code = Code::assemble("halt\nfn two: push 2 # comment; with a semicolon\nret").unwrap();
    let expected: &[u8] = b"\xa7\x01two\0\0\0\0\0\x01\0\x3b\x01\x02\0\0\0\x23";
    assert_eq!(code.bytes(), expected);
}

#[test]
fn every_instruction_has_its_byte_and_name() {
    for op in Op::ALL {
        assert_eq!(Op::from_byte(*op as u8), Some(*op));
        let readme = include_str!("../README.md");
        assert!(
            readme.contains(&format!("| {:02x} | `{}", *op as u8, op.name())),
            "{op:?} is not documented"
        );
    }
    assert_eq!(Op::from_byte(0), None);
}

#[test]
fn errors_name_the_place() {
    let error = |text: &str| Code::assemble(text).map(drop).unwrap_err();
    assert_eq!(error("push 1; frobnicate"), SyntaxError::UnknownOp(8));
    assert_eq!(error("push"), SyntaxError::BadOperand(4));
    assert_eq!(error("push x"), SyntaxError::BadOperand(5));
    assert_eq!(error("push 2147483648"), SyntaxError::BadOperand(5));
    assert_eq!(error("load 16"), SyntaxError::BadOperand(5));
    assert_eq!(error("jump nowhere"), SyntaxError::UnknownLabel(5));
    assert_eq!(error("a: a: halt"), SyntaxError::LabelTwice(3));
    assert_eq!(error("halt now"), SyntaxError::TrailingWord(4));
    assert_eq!(error("fn ninechars: ret"), SyntaxError::LongName(3));
    assert_eq!(error(&"push 1;".repeat(103)), SyntaxError::TooLong(7 * 102));
    let labels: String = (0..33).map(|n| format!("l{n}:")).collect();
    assert!(matches!(error(&labels), SyntaxError::TooManyLabels(_)));
}

#[test]
fn whatever_the_text_it_does_not_panic() {
    let words =
        ["push", "fn", "a:", ":", "-", "-1", "9999999999999999999999", ";", "\n", "#", "call", "a", "jz"];
    for n in 0..words.len().pow(4) {
        let text: String =
            (0..4).map(|k| format!("{} ", words[n / words.len().pow(k) % words.len()])).collect();
        let _ = Code::assemble(&text);
    }
}

#[test]
fn whatever_the_bytes_they_do_not_panic() {
    for byte in 0..=u8::MAX {
        let _ = Code::from_bytes(&[byte]);
        let _ = Code::from_bytes(&[0xa7, byte]);
        let _ = Code::from_bytes(&[0xa7, 1, b'f', byte]);
    }
    assert!(Code::from_bytes(&[0; 513]).is_err());
}
