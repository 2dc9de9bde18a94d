//! WebAssembly programs, and running them here and with the peer.

use core::hint::black_box;
use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use archipelago::{GuestTable, InterpreterConfig, Runtime, kernel::guest::Step};
use archipelago_guest_wasm::{Engine, Output, Program, Sink, Stopped, WakeFd, WasiSetup, Wasm};
use wasmi_wasi::{WasiCtx, sync::WasiCtxBuilder, wasi_common::pipe::WritePipe};

use crate::Trouble;

/// The guest on this host.
pub const WASM: &GuestTable = GuestTable::of::<Wasm>();

/// Computes for so many rounds, about a dozen instructions each, and prints a checksum.
pub fn busy(rounds: u64) -> String {
    let text = include_str!("../../cli/samples/busy.wat");
    text.replace("(i64.const 300000000)", &format!("(i64.const {})", black_box(rounds)))
}

/// Counts primes with a sieve of ten million bytes.
pub const PRIMES: &str = include_str!("../../cli/samples/primes.wat");
/// Prints one line.
pub const HELLO: &str = include_str!("../../cli/samples/hello.wat");
/// Copies its input to its output.
pub const ECHO: &str = include_str!("../../cli/samples/echo.wat");
/// Sleeps for an hour.
pub const SLEEP: &str = include_str!("../../cli/samples/sleep.wat");
/// Writes for ever.
pub const FLOOD: &str = include_str!("../../cli/samples/flood.wat");

/// A program of ours.
///
/// # Errors
/// If it does not load.
pub fn load(text: &str) -> Result<Program, Trouble> {
    Ok(Program::load(&Engine::new(), "program", text.as_bytes())?)
}

/// Runs `program` to its end in a new interpreter, which it answers ended and accounted for.
///
/// # Errors
/// If the program does not end by itself with exit code 0, or leaves something behind.
pub fn run(
    rt: &Runtime,
    config: &InterpreterConfig,
    program: &Program,
    setup: WasiSetup,
) -> Result<(), Trouble> {
    let mut state = rt.create(config, Some(WASM))?;
    let id = state.interpreter();
    let step = state.attach(|cx| Wasm::load(cx, program, setup).map(|()| cx.exec(b"")))??;
    drop(state);
    let ledger = rt.end(id, None)?;
    match step {
        Step::Done(_) if ledger.is_clean() => Ok(()),
        Step::Done(_) => Err(format!("the ledger is not zero: {ledger:?}").into()),
        step => Err(format!("the program did not end by itself: {step:?}").into()),
    }
}

/// A program of the peer: the same engine without fuel, set up as wasmi's own command does.
pub struct Plain {
    store: wasmi::Store<WasiCtx>,
    start: wasmi::Func,
}

impl Plain {
    /// Compiles and instantiates `wasm`, text or binary, whose output goes to `stdout`, or is inherited.
    ///
    /// # Errors
    /// If it does not load.
    pub fn new(wasm: &[u8], stdout: Option<Box<dyn Write + Send + Sync>>) -> Result<Self, Trouble> {
        Self::with(wasm, stdout, false)
    }

    /// The same with fuel, more than any program uses: what metering costs, without slices.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn metered(wasm: &[u8], stdout: Option<Box<dyn Write + Send + Sync>>) -> Result<Self, Trouble> {
        let mut plain = Self::with(wasm, stdout, true)?;
        plain.store.set_fuel(u64::MAX)?;
        Ok(plain)
    }

    fn with(wasm: &[u8], stdout: Option<Box<dyn Write + Send + Sync>>, fuel: bool) -> Result<Self, Trouble> {
        let mut config = wasmi::Config::default();
        config.consume_fuel(fuel).compilation_mode(wasmi::CompilationMode::LazyTranslation);
        let engine = wasmi::Engine::new(&config);
        let module = wasmi::Module::new(&engine, &*wat::parse_bytes(wasm)?)?;
        let mut wasi = WasiCtxBuilder::new();
        match stdout {
            Some(stdout) => wasi.stdout(Box::new(WritePipe::new(stdout))),
            None => wasi.inherit_stdio(),
        };
        let mut store = wasmi::Store::new(&engine, wasi.build());
        let mut externals = Vec::new();
        wasmi_wasi::add_to_externals(&mut store, &module, &mut externals, |wasi| wasi)?;
        let instance = wasmi::Instance::new(&mut store, &module, &externals)?;
        let start = instance.get_func(&store, "_start").ok_or("no _start")?;
        Ok(Plain { store, start })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// If it traps or ends with another exit code than 0.
    pub fn run(&mut self) -> Result<(), Trouble> {
        match self.start.call(&mut self.store, &[], &mut []) {
            Err(error) if error.i32_exit_status() != Some(0) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Takes output and remembers when the first of it came.
#[derive(Debug, Clone, Default)]
pub struct FirstOutput(Arc<Mutex<Option<Instant>>>);

impl FirstOutput {
    /// When it came.
    ///
    /// # Errors
    /// If there was none.
    pub fn at(&self) -> Result<Instant, Trouble> {
        let at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(at.ok_or("the program wrote nothing")?)
    }

    fn note(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// As the standard output of one of our programs.
    pub fn output(&self) -> Output {
        Output::Sink(Arc::new(self.clone()))
    }
}

impl Write for FirstOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.note();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for FirstOutput {
    fn write(&self, bytes: &[u8], _: &WakeFd) -> Result<usize, Stopped> {
        self.note();
        Ok(bytes.len())
    }
}

/// A file with the binary form of a program, for commands; it is gone when this is.
pub struct File(PathBuf);

impl File {
    /// Writes `text` in binary form.
    ///
    /// # Errors
    /// If there is nowhere to write.
    pub fn new(name: &str, text: &str) -> Result<Self, Trouble> {
        let path = std::env::temp_dir().join(format!("archipelago-bench-{}-{name}.wasm", std::process::id()));
        std::fs::write(&path, wat::parse_str(text)?)?;
        Ok(File(path))
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // If it cannot be removed it stays among the temporary files.
        let _ = std::fs::remove_file(&self.0);
    }
}
