#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod coffin;
mod debug;
mod dynamic_heap;
mod dynamic_raw;
mod fail;
mod graves;
mod heap;
mod hook;
mod misuse;
mod quarantine;
mod raw;
mod register;
mod sealed;
mod site;
#[cfg(feature = "std")]
mod std_book;
#[cfg(feature = "std")]
mod std_register;
#[cfg(feature = "std")]
mod std_site;
#[cfg(feature = "std")]
mod std_trace;
#[cfg(feature = "std")]
mod std_tracer;
#[cfg(feature = "std")]
mod std_watch;
mod trace;
mod tree;
mod write;

pub use debug::{Debugging, Watch};
pub use dynamic_heap::{Choice, DynamicHeap, HeapCall, HeapChoice, HeapSpace, HeapTable};
pub use dynamic_raw::{DynamicRaw, RawTable, SetError};
pub use fail::{Countdown, Failing, Plan};
pub use heap::Hooked;
pub use hook::{Below, Hook};
pub use misuse::{Misuse, MisuseKind};
pub use quarantine::Quarantining;
pub use raw::HookedRaw;
pub use register::{BlockRegister, Register};
pub use site::{Frame, Site};
#[cfg(feature = "std")]
pub use std_book::StdBook;
#[cfg(feature = "std")]
pub use std_register::StdRegister;
#[cfg(feature = "std")]
pub use std_site::{Scope, scope, site};
#[cfg(feature = "std")]
pub use std_trace::{Difference, Snapshot};
#[cfg(feature = "std")]
pub use std_tracer::StdTracer;
#[cfg(feature = "std")]
pub use std_watch::{OnMisuse, StdWatch, on_misuse};
pub use trace::{Book, Counts, Row, TraceBook, Tracer, Tracing};
pub use write::{write_folded, write_table};

/// A heap with guards, fill bytes and owners around every block.
pub type Debug<T, W, const KEEP: usize = 65536> = Hooked<T, Debugging<W, KEEP>>;
/// A raw domain with guards and fill bytes around every block.
pub type DebugRaw<R, L, W, const KEEP: usize = 65536> = HookedRaw<R, L, Debugging<W, KEEP>>;
/// A heap whose live bytes are known by call site, domain and interpreter.
pub type Trace<T, W> = Hooked<T, Tracing<W>>;
/// A raw domain whose live bytes are known by call site.
pub type TraceRaw<R, L, W> = HookedRaw<R, L, Tracing<W>>;
/// A heap that refuses when it is told to.
pub type FailNth<T, P> = Hooked<T, Failing<P>>;
/// A raw domain that refuses when it is told to.
pub type FailNthRaw<R, L, P> = HookedRaw<R, L, Failing<P>>;
/// A heap whose freed blocks wait before they are used again.
pub type Quarantine<T, const KEEP: usize> = Hooked<T, Quarantining<KEEP>>;
/// A raw domain whose freed blocks wait before they are used again.
pub type QuarantineRaw<R, L, const KEEP: usize> = HookedRaw<R, L, Quarantining<KEEP>>;
