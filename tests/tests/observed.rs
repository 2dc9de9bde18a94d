//! Failures that were observed in other runtimes: each must not happen here.
//!
//! | no. | failure | test |
//! |---|---|---|
//! | 1 | "is it running?" and "end it" were two steps | `traps::an_end_between_a_check_and_an_attach`, `a_close_between_a_check_and_a_run` |
//! | 2 | a thread that re-attached to a finalizing interpreter hung | `traps::a_thread_that_comes_back_into_a_finalizing_interpreter_hangs` |
//! | 3 | an inner deadline disarmed an outer one | here |
//! | 4 | a limit below what the runtime itself takes crashed | `traps::a_limit_below_the_boot_footprint_crashes`, suite `small_limits` |
//! | 5 | a limit that was met in the embedder's code crashed | `traps::a_limit_that_is_met_in_the_embedders_code_crashes` |
//! | 6 | long native loops never looked for interrupts | here |
//! | 7 | counters of the process stopped enforcing | `traps::process_wide_counters_stop_enforcing` |
//! | 8 | cleanup was queued to an interpreter that was gone | `traps::cleanup_for_an_interpreter_that_is_gone_reaches_the_next` |
//! | 9 | an allocator was replaced while blocks of it were alive | `dynamic::set_before_and_refused_after`; other hosts' is a type |
//! | 10 | a lock of the host and the GIL in two orders | `traps::a_lock_of_the_host_and_the_gil_in_two_orders`, `a_thread_waits_for_itself` |
//! | 11 | a number was used again | `traps::numbers_are_used_again` |
//! | 12 | idle pools kept the memory of their peak | here |

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::thread;

use archipelago::{Attached, InterpreterConfig, Runtime, kernel::error::Interrupt};
use archipelago_alloc_slab::UsualHeap;
use archipelago_kernel::host::RawLock;
use archipelago_model::SharedRaw;
use archipelago_tests::Machine;

const LONG: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

/// Runs until it is told to stop.
fn spin(cx: &mut Attached<'_>) -> Interrupt {
    loop {
        if let Err(interrupt) = cx.safepoint() {
            return interrupt;
        }
        core::hint::spin_loop();
    }
}

/// No. 3: an outer deadline is disarmed by an inner one (mini_racer 423, bun 32773). The time-out of a nested call
/// returned, and took the watchdog of the call around it along.
///
/// SPEC: E5
#[test]
fn an_outer_deadline_outlives_inner_ones() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            // The inner one ends first, by itself or late: the outer one ends the run all the same.
            let run = cx.with_deadline(2 * SOON, |cx| {
                let inner = cx.with_deadline(SOON, spin).unwrap();
                assert_eq!((inner.value, inner.expired), (Interrupt::Deadline, true));
                let inner = cx.with_deadline(LONG, |_| ()).unwrap();
                assert_eq!(inner.value, ());
                spin(cx)
            });
            assert_eq!(run.unwrap().value, Interrupt::Deadline);

            // What was told inside and swallowed there is told again outside, at each level.
            let run = cx.with_deadline(SOON, |cx| {
                let told = cx.with_deadline(LONG, |cx| {
                    let told = cx.with_deadline(LONG, spin).unwrap().value;
                    (told, cx.safepoint())
                });
                (told.unwrap().value, cx.safepoint())
            });
            let late = Interrupt::Deadline;
            assert_eq!(run.unwrap().value, ((late, Err(late)), Err(late)));
            assert_eq!(cx.safepoint(), Ok(()));

            // So it is for the interpreter's own.
            cx.set_deadline(Some(SOON)).unwrap();
            let inner = cx.with_deadline(LONG, spin).unwrap();
            assert_eq!((inner.value, inner.expired, cx.safepoint()), (late, false, Err(late)));
        })
        .unwrap();
}

/// No. 3, for work: what an inner call does not use up is the outer one's limit still.
///
/// SPEC: E6
#[test]
fn an_outer_limit_of_work_outlives_inner_ones() {
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    state
        .attach(|cx| {
            let run = cx.with_fuel(100, |cx| {
                let mut calls = 0;
                // Each inner call has more than the outer one has left, in the end, and swallows its error.
                while cx.safepoint().is_ok() {
                    let _swallowed = cx.with_fuel(30, |cx| (0..50).try_for_each(|_| cx.work(1))).value;
                    calls += 1;
                }
                calls
            });
            assert_eq!((run.value, run.left, run.ran_out), (4, 0, true));
            assert_eq!((cx.safepoint(), cx.fuel()), (Ok(()), None));
        })
        .unwrap();
}

/// No. 6: an interrupt is never polled in long native loops (quickjs-emscripten 219, `Array.fill` in V8). A primitive that
/// does `work` for each piece ends for each reason there is.
///
/// SPEC: E3, E5, E6
#[test]
fn a_long_primitive_can_be_ended() {
    /// Fills for ever, in pieces.
    fn fill(cx: &mut Attached<'_>, row: &mut [u8]) -> Interrupt {
        loop {
            for piece in row.chunks_mut(4096) {
                piece.fill(7);
                if let Err(interrupt) = cx.work(piece.len() as u64) {
                    return interrupt;
                }
            }
        }
    }
    let runtime = Runtime::new().unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let interpreter = runtime.interpreter(state.interpreter()).unwrap();
    let mut row = vec![0; 1 << 16];
    let begun = AtomicBool::new(false);
    thread::scope(|s| {
        s.spawn(|| {
            while !begun.load(Ordering::Acquire) {
                thread::yield_now();
            }
            interpreter.interrupt().unwrap();
        });
        state
            .attach(|cx| {
                let run = cx.with_fuel(1 << 20, |cx| fill(cx, &mut row));
                assert_eq!((run.value, run.left), (Interrupt::OutOfFuel, 0));
                let run = cx.with_deadline(SOON, |cx| fill(cx, &mut row)).unwrap();
                assert_eq!(run.value, Interrupt::Deadline);
                begun.store(true, Ordering::Release);
                assert_eq!(fill(cx, &mut row), Interrupt::Requested);
            })
            .unwrap();
    });
}

/// No. 12: idle pools kept the memory of their peak (wasmtime pull request 14419). What a heap keeps goes back when it is
/// told to, while the interpreter is idle.
///
/// SPEC: M4
#[test]
fn what_is_kept_of_a_peak_goes_back() {
    const ROWS: usize = 3000;
    let raw = SharedRaw::new();
    let host = Machine::<SharedRaw, UsualHeap>::new();
    let runtime = archipelago_kernel::Runtime::new(host, raw.clone(), RawLock::new());
    let _ = runtime.initialize(None).unwrap();
    let mut state = runtime.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut peak_of = |rows: usize| {
        state
            .attach(|cx| {
                let rows: Vec<_> = (0..rows).map(|_| cx.alloc_plain([0_u8; 1000]).ok().unwrap()).collect();
                rows.into_iter().for_each(|row| row.release(cx));
                assert_eq!(cx.usage().bytes(), cx.usage().raw.bytes);
                let kept = raw.0.live().1;
                cx.trim();
                (kept, raw.0.live().1)
            })
            .unwrap()
    };
    let (_, idle) = peak_of(1);
    let (kept, trimmed) = peak_of(ROWS);
    assert!(kept > idle + 1000 * ROWS / 2, "{kept} of a peak of {ROWS} rows, {idle} idle");
    assert_eq!(trimmed, idle);
}
