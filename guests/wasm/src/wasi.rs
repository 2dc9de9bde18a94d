//! WASI preview 1 on top of wasi-common, with every function that may block handed out as a request.
//!
//! wasi-common keeps the table of files and does all that cannot wait. Our own files ([`stream::Stream`]) stand in that
//! table for whatever can: asked to read or write, they leave a [`Request`] in the [`Exchange`] instead. The function
//! then stops the program with the resumable host error [`Blocked`]. Once the request is answered, the same function
//! runs a second time, finds the answer in the exchange and writes the program's results.

mod directory;
mod exchange;
mod open;
mod poll;
mod stream;

pub(crate) use directory::Directory;
pub(crate) use exchange::{Exchange, SharedExchange};
pub(crate) use stream::{End, Stream};

use crate::budget::Budget;
use core::{
    fmt,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use wasmi::{Caller, Engine, Error, Extern, Linker, errors::HostError};
use wasmi_wasi::{
    WasiCtx, WasmiGuestMemory,
    wasi_common::{self, snapshots::preview_1::wasi_snapshot_preview1 as preview1},
};

/// The only module programs may import from.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// All functions of [`MODULE`].
pub(crate) const NAMES: [&str; 46] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// What a store keeps for its program.
pub(crate) struct Guest {
    pub(crate) wasi: WasiCtx,
    pub(crate) exchange: SharedExchange,
    pub(crate) budget: Budget,
    /// The function that is blocked, to be run again with the answer.
    pub(crate) blocked: Option<Call>,
}

impl Guest {
    pub(crate) fn new(wasi: WasiCtx, exchange: SharedExchange, budget: Budget) -> Self {
        Self { wasi, exchange, budget, blocked: None }
    }

    /// Runs `call`; where it leaves a request, keeps it for its second run and answers [`Blocked`].
    pub(crate) fn attempt(&mut self, call: Call, memory: &mut [u8]) -> Result<i32, Error> {
        let result = call(&mut self.wasi, &self.exchange, memory);
        if exchange::lock(&self.exchange).is_waiting() {
            self.blocked = Some(call);
            return Err(Error::host(Blocked));
        }
        result
    }
}

/// A function of preview 1 with its arguments.
pub(crate) type Call =
    Box<dyn Fn(&mut WasiCtx, &SharedExchange, &mut [u8]) -> Result<i32, Error> + Send + Sync>;

/// The host error that stops a program whose request waits in the exchange.
#[derive(Debug)]
pub(crate) struct Blocked;

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the program is blocked")
    }
}

impl HostError for Blocked {}

/// Defines functions of preview 1 that may block: they are run by [`Guest::attempt`].
macro_rules! handed_out {
    ($linker:ident: $($name:ident($($argument:ident: $kind:ty),*);)*) => {$(
        define($linker, stringify!($name), |mut caller: Caller<'_, Guest>, $($argument: $kind),*| {
            attempt(&mut caller, Box::new(move |wasi, _, memory| {
                let mut memory = WasmiGuestMemory::Unshared(memory);
                value(now(preview1::$name(wasi, &mut memory, $($argument),*)))
            }))
        });
    )*};
}

/// All of preview 1.
pub(crate) fn linker(engine: &Engine) -> Linker<Guest> {
    let mut linker = Linker::new(engine);
    wasmi_wasi::add_to_linker(&mut linker, |guest: &mut Guest| &mut guest.wasi)
        .expect("an empty linker takes every name once");
    linker.allow_shadowing(true);
    let linker_mut = &mut linker;
    handed_out! { linker_mut:
        fd_read(fd: i32, vectors: i32, count: i32, read: i32);
        fd_write(fd: i32, vectors: i32, count: i32, written: i32);
        fd_pread(fd: i32, vectors: i32, count: i32, offset: i64, read: i32);
        fd_pwrite(fd: i32, vectors: i32, count: i32, offset: i64, written: i32);
        sock_accept(fd: i32, flags: i32, accepted: i32);
        sock_recv(fd: i32, vectors: i32, count: i32, flags: i32, read: i32, out_flags: i32);
        sock_send(fd: i32, vectors: i32, count: i32, flags: i32, written: i32);
    }
    define(
        &mut linker,
        "poll_oneoff",
        |mut caller: Caller<'_, Guest>, subscriptions: i32, events: i32, count: i32, written: i32| {
            let call = poll::OneOff::new(subscriptions, events, count, written);
            attempt(&mut caller, Box::new(move |wasi, exchange, memory| call.run(wasi, exchange, memory)))
        },
    );
    // wasi-common traps on exit codes above 125, which belong to shells; what a code means is the caller's to say.
    define(&mut linker, "proc_exit", |code: i32| -> Result<(), Error> { Err(Error::i32_exit(code)) });
    define(&mut linker, "sched_yield", |mut caller: Caller<'_, Guest>| {
        attempt(&mut caller, Box::new(|_, exchange, _| Ok(poll::sched_yield(exchange))))
    });
    linker
}

fn define<P, R>(linker: &mut Linker<Guest>, name: &str, function: impl wasmi::IntoFunc<Guest, P, R>) {
    linker.func_wrap(MODULE, name, function).expect("shadowing is allowed");
}

fn attempt(caller: &mut Caller<'_, Guest>, call: Call) -> Result<i32, Error> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(no_memory());
    };
    let (memory, guest) = memory.data_and_store_mut(caller);
    guest.attempt(call, memory)
}

/// The error of a program that calls WASI without exporting its memory.
pub(crate) fn no_memory() -> Error {
    Error::new("the program calls WASI but exports no memory named \"memory\"")
}

/// Finishes a future of wasi-common, none of which waits for anything.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the synchronous half of wasi-common does not wait"),
    }
}

/// What a function of wasi-common comes to: an errno, an exit or a trap.
fn value<E: fmt::Display>(result: Result<i32, E>) -> Result<i32, Error> {
    result.map_err(|error| Error::new(error.to_string()))
}

/// The errno of an error of the host, as wasi-common maps it; `EIO` for those it does not know.
fn errno(error: std::io::Error) -> wasi_common::Error {
    use std::io::ErrorKind;
    use wasi_common::snapshots::preview_1::types::Errno;
    match error.kind() {
        ErrorKind::BrokenPipe => Errno::Pipe.into(),
        ErrorKind::Interrupted => Errno::Intr.into(),
        _ => wasi_common::Error::from(error).downcast().unwrap_or(Errno::Io).into(),
    }
}
