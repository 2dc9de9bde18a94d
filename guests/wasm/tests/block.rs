//! Blocking: every wait is outside the engine and ends when it is woken.

mod common;

use archipelago_guest_wasm::{
    Descriptor, Input, Interest, Output, Request, Slice, Subscription, Target, WakeFd, WasiSetup, serve,
};
use common::*;
use std::{
    io::{Read, Write, pipe},
    os::fd::OwnedFd,
    sync::Arc,
};

fn descriptor(fd: impl Into<OwnedFd>) -> Arc<Descriptor> {
    Arc::new(Descriptor::new(fd.into()).unwrap())
}

fn wake() -> Arc<WakeFd> {
    Arc::new(WakeFd::new().unwrap())
}

#[test]
fn a_read_on_an_empty_pipe_is_ended_by_a_wake_and_can_be_served_again() {
    let (reader, mut writer) = pipe().unwrap();
    let (setup, sink) = collecting();
    let mut echo = instance(sample("echo"), setup.stdin(Input::Descriptor(descriptor(reader))));
    let request = blocked(&mut echo);
    assert!(matches!(&*request, Request::Read { length: 65536, wait: true, .. }));
    let wake = wake();
    let served = serve_elsewhere(Arc::clone(&request), &wake);
    wake.wake();
    assert!(!served.join().unwrap(), "nothing was there to be read");
    // The wake stays until it is drained, so one that comes first is not lost.
    assert!(serve(&request, &wake).is_none());
    wake.drain();
    writer.write_all(b"late\n").unwrap();
    drop(writer);
    echo.complete(serve(&request, &wake).unwrap()).unwrap();
    assert_eq!(exit_code(&mut echo), 0);
    assert_eq!(text(&sink), "late\n");
}

#[test]
fn a_sleep_of_an_hour_is_ended_by_a_wake() {
    let mut sleep = instance(sample("sleep"), WasiSetup::new());
    let request = blocked(&mut sleep);
    assert!(matches!(&*request, Request::Poll(all) if matches!(all[..], [Subscription::Monotonic(Some(_))])));
    let wake = wake();
    let served = serve_elsewhere(request, &wake);
    wake.wake();
    assert!(!served.join().unwrap());
}

#[test]
fn a_write_to_a_full_pipe_is_ended_by_a_wake() {
    let (mut reader, writer) = pipe().unwrap();
    let shared = writer.try_clone().unwrap();
    let mut flood =
        instance(sample("flood"), WasiSetup::new().stdout(Output::Descriptor(descriptor(writer))));
    let wake = wake();
    // One full pipe is less than this many lines; the wake is set once, when a write has to wait.
    let (request, served) = loop {
        let request = blocked(&mut flood);
        let full = Arc::clone(&wake);
        full.wake();
        match serve(&request, &wake) {
            Some(response) => flood.complete(response).unwrap(),
            None => break (Arc::clone(&request), serve_elsewhere(request, &wake)),
        }
    };
    assert!(!served.join().unwrap(), "the wake is still set");
    // The description that others share was left as it was.
    let flags = rustix::fs::fcntl_getfl(&shared).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    // With room again, the same request is served.
    wake.drain();
    let mut drained = vec![0; 8192];
    reader.read_exact(&mut drained).unwrap();
    flood.complete(serve(&request, &wake).unwrap()).unwrap();
    assert!(matches!(flood.run(FUEL), Slice::Blocked(_)));
    assert!(drained.chunks(6).take(1000).all(|line| line == b"flood\n"));
}

#[test]
fn a_closed_pipe_is_an_error_the_program_sees() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let setup = WasiSetup::new().stdout(Output::Descriptor(descriptor(writer)));
    let mut flood = instance(sample("flood"), setup);
    let request = blocked(&mut flood);
    let response = serve(&request, &wake()).unwrap();
    assert_eq!(response.error().unwrap().kind(), std::io::ErrorKind::BrokenPipe);
    flood.complete(response).unwrap();
    assert_eq!(exit_code(&mut flood), 1);
}

#[test]
fn dropping_a_blocked_instance_gives_its_files_back() {
    let (reader, writer) = pipe().unwrap();
    let mut echo = instance(sample("echo"), WasiSetup::new().stdin(Input::Descriptor(descriptor(reader))));
    drop(blocked(&mut echo));
    drop(echo);
    let mut writer = writer;
    assert_eq!(writer.write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

/// A program that polls with the given subscriptions (from address 0, events at 512, their number at 1000) and exits
/// with `code`, an expression.
fn polls(subscriptions: &str, count: u32, code: &str) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
            {subscriptions}
            (func (export "_start")
                (if (call $poll (i32.const 0) (i32.const 512) (i32.const {count}) (i32.const 1000))
                    (then (call $exit (i32.const 99))))
                (call $exit {code})))"#
    )
}

/// A subscription to a clock at `at`: its user data, the clock, nanoseconds, and whether they are absolute.
fn clock(at: u32, data: u8, clock: u8, time: u64, absolute: bool) -> String {
    let time: String = time.to_le_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(data (i32.const {at}) "\{data:02x}") (data (i32.const {}) "\{clock:02x}") (data (i32.const {}) "{time}")
            (data (i32.const {}) "\{:02x}")"#,
        at + 16,
        at + 24,
        at + 40,
        u8::from(absolute)
    )
}

/// A subscription to a file at `at`: its user data, 1 to read or 2 to write, and the number of the file.
fn file(at: u32, data: u8, interest: u8, fd: u8) -> String {
    format!(
        r#"(data (i32.const {at}) "\{data:02x}") (data (i32.const {}) "\{interest:02x}")
            (data (i32.const {}) "\{fd:02x}")"#,
        at + 8,
        at + 16
    )
}

/// The number of events, the user data of the first one and its error, as one number.
const FIRST: &str = "(i32.add (i32.load8_u (i32.const 512)) (i32.add (i32.mul (i32.load (i32.const 1000)) \
    (i32.const 100)) (i32.mul (i32.load16_u (i32.const 520)) (i32.const 1000))))";

#[test]
fn due_clocks_are_events() {
    let hour = 3_600_000_000_000;
    for (number, (id, time, absolute)) in
        [(1, 1, false), (0, 1, false), (0, 1_000_000_000, true), (1, 1, true)].into_iter().enumerate()
    {
        let both = clock(0, 7, 1, hour, false) + &clock(48, 8, id, time, absolute);
        let mut program = instance(polls(&both, 2, FIRST), WasiSetup::new());
        assert_eq!(exit_code(&mut program), 108, "case {number}");
    }
}

#[test]
fn files_are_events() {
    let hour = 3_600_000_000_000;
    // Standard input has something to read.
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"abc").unwrap();
    let subscriptions = clock(0, 7, 1, hour, false) + &file(48, 9, 1, 0);
    let setup = WasiSetup::new().stdin(Input::Descriptor(descriptor(reader)));
    let bytes = "(i32.add (i32.load8_u (i32.const 512)) (i32.load (i32.const 528)))";
    assert_eq!(exit_code(&mut instance(polls(&subscriptions, 2, bytes), setup)), 9 + 3);
    // Standard output goes to a sink, which is always ready.
    let (setup, _) = collecting();
    let subscriptions = clock(0, 7, 1, hour, false) + &file(48, 9, 2, 1);
    assert_eq!(exit_code(&mut instance(polls(&subscriptions, 2, FIRST), setup)), 109);
    // No such file: an event with EBADF, which is 8.
    let subscriptions = clock(0, 7, 1, hour, false) + &file(48, 9, 1, 77);
    assert_eq!(exit_code(&mut instance(polls(&subscriptions, 2, FIRST), WasiSetup::new())), 8109);
}

#[test]
fn a_poll_of_a_file_is_ended_by_a_wake() {
    let (reader, writer) = pipe().unwrap();
    let setup = WasiSetup::new().stdin(Input::Descriptor(descriptor(reader)));
    let mut program = instance(polls(&file(0, 9, 1, 0), 1, FIRST), setup);
    let request = blocked(&mut program);
    assert!(matches!(&*request, Request::Poll(all)
        if matches!(all[..], [Subscription::Ready(Target::Descriptor(_), Interest::Read)])));
    let wake = wake();
    let served = serve_elsewhere(Arc::clone(&request), &wake);
    wake.wake();
    assert!(!served.join().unwrap());
    wake.drain();
    drop(writer);
    program.complete(serve(&request, &wake).unwrap()).unwrap();
    assert_eq!(exit_code(&mut program), 109);
}

#[test]
fn an_absolute_wall_clock_far_away_is_ended_by_a_wake() {
    let mut program = instance(polls(&clock(0, 7, 0, u64::MAX, true), 1, FIRST), WasiSetup::new());
    let request = blocked(&mut program);
    assert!(matches!(&*request, Request::Poll(all) if matches!(all[..], [Subscription::Realtime(_)])));
    let wake = wake();
    wake.wake();
    assert!(serve(&request, &wake).is_none());
}

#[test]
fn more_subscriptions_than_can_be_kept_are_refused() {
    // All of them are zeros: clocks that have run down. 28 is EINVAL.
    let text = |count: u32| {
        format!(
            r#"(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 10)
        (func (export "_start") (call $exit
            (call $poll (i32.const 0) (i32.const 100000) (i32.const {count}) (i32.const 200000)))))"#
        )
    };
    for (count, errno) in [(1024, 0), (1025, 28), (10_000, 28), (u32::MAX, 28)] {
        assert_eq!(exit_code(&mut instance(text(count), WasiSetup::new())), errno, "{count}");
    }
}

#[test]
fn subscriptions_outside_the_memory_trap() {
    let text = r#"(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (drop (call $poll (i32.const 65530) (i32.const 0) (i32.const 1) (i32.const 0)))))"#;
    assert_eq!(trap_of(text).name(), "memory-out-of-bounds");
}

#[test]
fn standard_streams_survive_renumbering_and_closing() {
    // Moves standard output to 9 and writes there, then closes it and writes again, which is EBADF (8).
    let text = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\03\00\00\00") (data (i32.const 16) "ok\n")
        (func (export "_start")
            (if (call $renumber (i32.const 1) (i32.const 2)) (then (call $exit (i32.const 90))))
            (if (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 91))))
            (if (call $close (i32.const 2)) (then (call $exit (i32.const 92))))
            (call $exit (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    let (setup, sink) = collecting();
    assert_eq!(exit_code(&mut instance(text, setup)), 8);
    assert_eq!(self::text(&sink), "ok\n");
}

fn text(sink: &Collected) -> String {
    common::text(sink)
}
