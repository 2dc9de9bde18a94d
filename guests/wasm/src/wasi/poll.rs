//! `poll_oneoff`, which wasi-common can only do by sleeping, and `sched_yield`.

use super::{
    exchange::{SharedExchange, lock},
    now,
};
use crate::request::{Event, Interest, Request, Response, Subscription, Target};
use core::time::Duration;
use std::time::{Instant, SystemTime};
use wasmi::{Error, TrapCode};
use wasmi_wasi::{
    WasiCtx, WasmiGuestMemory,
    wasi_common::snapshots::preview_1::{
        types::{Errno, Fd},
        wasi_snapshot_preview1::WasiSnapshotPreview1 as _,
    },
};

/// Most subscriptions of one call, as many as `select` has: what is kept of them while the program waits is charged to
/// nobody. More are refused with `EINVAL`, as POSIX has it for `poll`.
const MOST_SUBSCRIPTIONS: usize = 1024;

const SUBSCRIPTION_BYTES: usize = 48;
const EVENT_BYTES: usize = 32;
const ABSOLUTE: u16 = 1;
const HANGUP: u16 = 1;

const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

/// One call of `poll_oneoff`: addresses in the program's memory.
#[derive(Clone, Copy)]
pub(crate) struct OneOff {
    subscriptions: usize,
    events: usize,
    count: usize,
    written: usize,
}

impl OneOff {
    pub(crate) fn new(subscriptions: i32, events: i32, count: i32, written: i32) -> Self {
        let [subscriptions, events, count, written] =
            [subscriptions, events, count, written].map(|argument| argument as u32 as usize);
        Self { subscriptions, events, count, written }
    }

    /// First without an answer: reads the subscriptions and raises the request. Then with one: writes the events.
    pub(crate) fn run(
        self,
        wasi: &mut WasiCtx,
        exchange: &SharedExchange,
        memory: &mut [u8],
    ) -> Result<i32, Error> {
        if self.count == 0 || self.count > MOST_SUBSCRIPTIONS {
            return Ok(Errno::Inval as i32);
        }
        let answer = lock(exchange).take_answer();
        if let Some(Response::Polled(events)) = answer {
            return self.write(&events, memory);
        }
        let bytes = self.count.checked_mul(SUBSCRIPTION_BYTES).ok_or(TrapCode::MemoryOutOfBounds)?;
        let records = slice(memory, self.subscriptions, bytes)?;
        let mut subscriptions = Vec::with_capacity(self.count);
        for record in records.chunks_exact(SUBSCRIPTION_BYTES) {
            match read_subscription(record, wasi, exchange) {
                Ok(subscription) => subscriptions.push(subscription),
                Err(errno) => return Ok(errno as i32),
            }
        }
        lock(exchange).raise(Request::Poll(subscriptions));
        Ok(Errno::Again as i32)
    }

    fn write(self, events: &[Option<Event>], memory: &mut [u8]) -> Result<i32, Error> {
        let mut written = 0_u32;
        for (index, event) in events.iter().enumerate() {
            let Some(event) = event else { continue };
            let from = self.subscriptions + index * SUBSCRIPTION_BYTES;
            let source = slice(memory, from, SUBSCRIPTION_BYTES)?;
            let mut record = [0; EVENT_BYTES];
            record[..8].copy_from_slice(&source[..8]);
            let errno = match event {
                Event { unknown: true, .. } => Errno::Badf,
                Event { failed: true, .. } => Errno::Io,
                _ => Errno::Success,
            };
            record[8..10].copy_from_slice(&(errno as u16).to_le_bytes());
            record[10] = source[8];
            record[16..24].copy_from_slice(&event.bytes.to_le_bytes());
            record[24..26].copy_from_slice(&if event.hangup { HANGUP } else { 0 }.to_le_bytes());
            let to = self.events + written as usize * EVENT_BYTES;
            slice_mut(memory, to, EVENT_BYTES)?.copy_from_slice(&record);
            written += 1;
        }
        slice_mut(memory, self.written, 4)?.copy_from_slice(&written.to_le_bytes());
        Ok(Errno::Success as i32)
    }
}

/// `sched_yield`: asks the loop to let others run.
pub(crate) fn sched_yield(exchange: &SharedExchange) -> i32 {
    let mut exchange = lock(exchange);
    if exchange.take_answer().is_none() {
        exchange.raise(Request::Yield);
    }
    Errno::Success as i32
}

fn read_subscription(
    record: &[u8],
    wasi: &mut WasiCtx,
    exchange: &SharedExchange,
) -> Result<Subscription, Errno> {
    let interest = match record[8] {
        CLOCK => return read_clock(record, wasi),
        FD_READ => Interest::Read,
        FD_WRITE => Interest::Write,
        _ => return Err(Errno::Inval),
    };
    let fd = u32::from_le_bytes(field(record, 16));
    Ok(Subscription::Ready(target(fd, wasi, exchange), interest))
}

fn read_clock(record: &[u8], wasi: &WasiCtx) -> Result<Subscription, Errno> {
    let clock = u32::from_le_bytes(field(record, 16));
    let time = Duration::from_nanos(u64::from_le_bytes(field(record, 24)));
    let absolute = u16::from_le_bytes(field(record, 40)) & ABSOLUTE != 0;
    match (clock, absolute) {
        // Setting the wall clock does not move a relative time-out, so both clocks mean the same here.
        (REALTIME | MONOTONIC, false) => Ok(Subscription::Monotonic(Instant::now().checked_add(time))),
        (REALTIME, true) => Ok(SystemTime::UNIX_EPOCH
            .checked_add(time)
            .map_or(Subscription::Monotonic(None), Subscription::Realtime)),
        // The program's monotonic clock starts with it.
        (MONOTONIC, true) => {
            let clock = wasi.clocks.monotonic().map_err(|_| Errno::Inval)?;
            let elapsed =
                clock.abs_clock.now(clock.abs_clock.resolution()).duration_since(clock.creation_time);
            Ok(Subscription::Monotonic(Instant::now().checked_add(time.saturating_sub(elapsed))))
        }
        _ => Err(Errno::Inval),
    }
}

/// What a file number stands for; see [`Exchange::introduce`](super::Exchange::introduce).
fn target(fd: u32, wasi: &mut WasiCtx, exchange: &SharedExchange) -> Target {
    lock(exchange).take_introduced();
    let known = now(wasi.fd_fdstat_get(&mut WasmiGuestMemory::Unshared(&mut []), Fd::from(fd)));
    match known {
        Ok(_) => lock(exchange).take_introduced().unwrap_or(Target::Always),
        Err(_) => Target::Unknown,
    }
}

fn field<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&record[at..at + N]);
    bytes
}

fn slice(memory: &[u8], at: usize, length: usize) -> Result<&[u8], Error> {
    let end = at.checked_add(length).ok_or(TrapCode::MemoryOutOfBounds)?;
    Ok(memory.get(at..end).ok_or(TrapCode::MemoryOutOfBounds)?)
}

fn slice_mut(memory: &mut [u8], at: usize, length: usize) -> Result<&mut [u8], Error> {
    let end = at.checked_add(length).ok_or(TrapCode::MemoryOutOfBounds)?;
    Ok(memory.get_mut(at..end).ok_or(TrapCode::MemoryOutOfBounds)?)
}
