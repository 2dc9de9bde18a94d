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
//! | file | what it holds |
//! |---|---|
//! | `engine` | the configuration all programs share, and the imports they may use |
//! | `program`, `section` | loading: validation, compilation, the entry point |
//! | `instance` | one program of one interpreter, run in slices |
//! | `budget` | bytes of memories and tables: what is charged, what was refused |
//! | `trap` | why a program was stopped |
//! | `request`, `serve`, `wake` | what a blocked program waits for, and waiting for it |
//! | `descriptor`, `sink`, `setup` | where standard streams lead, and what a program is given |
//! | `wasi` | WASI preview 1 on top of wasi-common, with every blocking function handed out |
//! | `error` | why something could not be loaded or started |
//! | `guest` | all of this as a guest of the kernel |

mod budget;
mod descriptor;
mod engine;
mod error;
mod guest;
mod instance;
mod program;
mod request;
mod section;
mod serve;
mod setup;
mod sink;
mod trap;
mod wake;
mod wasi;

pub use budget::LimitHit;
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
