//! WebAssembly programs as a guest of the Archipelago kernel.
//!
//! This crate runs WebAssembly modules, with or without WASI preview 1, in slices. It never blocks inside the engine:
//! whatever could wait is handed out as a [`Request`], which the loop that owns the interpreter serves while it is
//! detached, and the program goes on afterwards. One native stack can therefore run many programs in turn.
//!
//! ```text
//! Engine ── Program::load ──► Program ── Instance::new ──► Instance ── run(fuel) ──► Slice
//!                             (shared)                        ▲                       │ Blocked(request)
//!                                                             └── complete(response) ◄┴── serve(request, wake)
//! ```
//!
//! # What is charged, and what is not
//!
//! An interpreter is charged for the linear memories and tables of its program, to the byte and before it gets them.
//! Not charged, because wasmi tells no sizes for them, and a guess would make an exact account an inexact one:
//!
//! - compiled code: it belongs to the [`Program`], which any number of interpreters share, and grows with its file;
//! - the stack of values and calls: the engine's, lent to a program while it is in a call; at most 4 MiB of values and
//!   10 000 calls, then the program is stopped with [`Trap::StackOverflow`];
//! - what a request carries, 64 KiB or 1024 subscriptions at most, and wasi-common's table of open files, arguments and environment.
//!
//! Where many programs run at a time, keep 5 MiB beside each one's limit.
//!
//! # How long a slice lasts
//!
//! Fuel is checked between instructions, so a single one may take longer than its slice: `memory.fill`, `memory.copy`
//! and `memory.init`, and the same for tables, are done in one piece. The most they can do is the whole memory: about a
//! second for each GiB that was not touched before, and much less afterwards. A memory limit bounds that too.
//!
//! # The parts
//!
//! | file | what it holds |
//! |---|---|
//! | `engine` | the configuration all programs share, and the imports they may use |
//! | `program`, `section`, `leb` | loading: validation, compilation, the entry point |
//! | `rewrite` | functions in a form that is metered less often |
//! | `instance` | one program of one interpreter, run in slices |
//! | `budget`, `charge` | bytes of memories and tables: what is charged, for what, and what was refused |
//! | `trap` | why a program was stopped |
//! | `request`, `serve`, `wake` | what a blocked program waits for, and waiting for it |
//! | `descriptor`, `sink`, `setup` | where standard streams lead, and what a program is given |
//! | `wasi` | WASI preview 1 on top of wasi-common, with every blocking function handed out |
//! | `error` | why something could not be loaded or started |
//! | `guest` | all of this as a guest of the kernel |

/// The example of the README, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

mod budget;
mod charge;
mod descriptor;
mod engine;
mod error;
mod guest;
mod instance;
mod leb;
mod program;
mod request;
mod rewrite;
mod section;
mod serve;
mod setup;
mod sink;
mod trap;
mod wake;
mod wasi;

pub use budget::LimitHit;
pub use charge::{Charge, ChargeReason};
pub use descriptor::{Descriptor, Stopped};
pub use engine::Engine;
pub use error::{LoadError, NotBlocked, StartError};
pub use guest::{Ending, Sharing, SpawnError, Wasm, WasmState, WasmThread};
pub use instance::{Instance, Slice, Value};
pub use program::Program;
pub use request::{Event, Interest, Request, Response, Subscription, Target};
pub use serve::serve;
pub use setup::{Input, Output, WasiSetup};
pub use sink::{Sink, WriterSink};
pub use trap::Trap;
pub use wake::WakeFd;
