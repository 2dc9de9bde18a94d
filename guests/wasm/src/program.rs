//! Loading: validation, compilation, the entry point.

use crate::{
    budget::Budget,
    engine::Engine,
    error::LoadError,
    rewrite::rewrite,
    section::lift_start,
    wasi::{self, Guest},
};
use core::fmt;
use std::{borrow::Cow, sync::Arc};
use wasmi::{AsContext, Error, ExternType, Module, Store, errors::ErrorKind};
use wasmi_wasi::sync::WasiCtxBuilder;

/// The entry of a WASI command.
const START: &str = "_start";
const MAGIC: &[u8] = b"\0asm";
/// The version field of a component; its second half says which layer it is.
const COMPONENT: &[u8] = &[0x0D, 0, 1, 0];

/// A compiled program, shared by any number of interpreters; cloning it is cheap.
#[derive(Clone)]
pub struct Program(Arc<Inner>);

struct Inner {
    name: String,
    engine: Engine,
    module: Module,
    entry: String,
    /// The export that stands for the start section of the module; it runs before the entry.
    start_section: Option<String>,
}

impl Program {
    /// Validates and compiles a module, binary or text, that begins with `_start`.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what is wrong and where.
    pub fn load(engine: &Engine, name: impl Into<String>, bytes: &[u8]) -> Result<Self, LoadError> {
        Self::load_entry(engine, name, bytes, START)
    }

    /// Like [`load`](Self::load), beginning with the exported function `entry`, which takes no arguments.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what is wrong and where.
    pub fn load_entry(
        engine: &Engine,
        name: impl Into<String>,
        bytes: &[u8],
        entry: &str,
    ) -> Result<Self, LoadError> {
        let binary = binary(bytes)?;
        let mut module = rewritten(engine, &binary)?;
        check_imports(engine, &module)?;
        check_entry(&module, entry)?;
        let lifted = lift_start(&binary, |name| module.get_export(name).is_some());
        let start_section = match lifted {
            Some(lifted) => {
                module = rewritten(engine, &lifted.bytes)?;
                Some(lifted.export)
            }
            None => None,
        };
        let entry = entry.to_owned();
        Ok(Self(Arc::new(Inner { name: name.into(), engine: engine.clone(), module, entry, start_section })))
    }

    /// The name it was loaded under.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The exported function it begins with.
    pub fn entry(&self) -> &str {
        &self.0.entry
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn module(&self) -> &Module {
        &self.0.module
    }

    /// The exports to call, in order.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &str> {
        self.0.start_section.as_deref().into_iter().chain([self.entry()])
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.0.name)
            .field("entry", &self.0.entry)
            .finish_non_exhaustive()
    }
}

/// The binary form of what may be text.
fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    if let Some(rest) = bytes.strip_prefix(MAGIC) {
        return if rest.starts_with(COMPONENT) {
            Err(LoadError::Component)
        } else {
            Ok(Cow::Borrowed(bytes))
        };
    }
    if MAGIC.starts_with(bytes) {
        return Err(match bytes.len() {
            0 => LoadError::NotWasm,
            offset => LoadError::Truncated { offset },
        });
    }
    let text = core::str::from_utf8(bytes).map_err(|_| LoadError::NotWasm)?;
    // Text begins with a parenthesis, or with a comment, which begins with two semicolons or with a parenthesis.
    if !text.trim_start().starts_with(['(', ';']) {
        return Err(LoadError::NotWasm);
    }
    wat::parse_str(text).map(Cow::Owned).map_err(|error| LoadError::BadText { what: one_line(&error) })
}

/// The message of an error in a text, with its place, without the picture of the line.
fn one_line(error: &wat::Error) -> String {
    let picture = error.to_string();
    let mut lines = picture.lines();
    let message = lines.next().unwrap_or_default();
    let place = lines.find_map(|line| line.trim_start().strip_prefix("--> <anon>:")?.split_once(':'));
    match place {
        Some((line, column)) => format!("{message} in line {line}, column {column}"),
        None => message.to_owned(),
    }
}

/// Compiles a module in the form that is metered less often.
fn rewritten(engine: &Engine, bytes: &[u8]) -> Result<Module, LoadError> {
    // A module that is refused is compiled as it was, so that the error names its own bytes, and so that one is not lost
    // that only reaches a limit of the engine by being rewritten.
    match rewrite(bytes).map(|bytes| Module::new(&engine.wasmi, bytes)) {
        Some(Ok(module)) => Ok(module),
        Some(Err(_)) | None => compile(engine, bytes),
    }
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Module, LoadError> {
    Module::new(&engine.wasmi, bytes).map_err(|error| load_error(&error, bytes.len()))
}

fn load_error(error: &Error, length: usize) -> LoadError {
    match error.kind() {
        ErrorKind::Wasm(error) => {
            let (what, offset) = (error.message(), error.offset());
            // wasmparser has no other mark of the end than its message, and a section that is said to be longer than
            // the rest of the file.
            if what.starts_with("unexpected end") || offset >= length {
                LoadError::Truncated { offset: length }
            } else {
                LoadError::Invalid { what: what.to_owned(), offset: Some(offset) }
            }
        }
        ErrorKind::Read(_) => LoadError::Truncated { offset: length },
        kind => LoadError::Invalid { what: kind.to_string(), offset: None },
    }
}

fn check_imports(engine: &Engine, module: &Module) -> Result<(), LoadError> {
    for import in module.imports() {
        if import.module() != wasi::MODULE || !wasi::NAMES.contains(&import.name()) {
            let (module, name) = (import.module().to_owned(), import.name().to_owned());
            return Err(LoadError::UnknownImport { module, name });
        }
    }
    // The types of the functions are known to wasmi_wasi only, which tells them for a store.
    let guest = Guest::new(WasiCtxBuilder::new().build(), Arc::default(), Budget::new(0));
    let mut store = Store::new(&engine.wasmi, guest);
    let mut provided = Vec::new();
    wasmi_wasi::sync::snapshots::preview_1::add_to_externals(
        &mut store,
        module,
        &mut provided,
        |guest: &mut Guest| &mut guest.wasi,
    )
    .map_err(|error| LoadError::Invalid { what: error.to_string(), offset: None })?;
    for (import, provided) in module.imports().zip(provided) {
        let found = provided.ty(store.as_context());
        // wasmi compares the types of functions only, and functions are all there is.
        let fits = match (import.ty(), &found) {
            (ExternType::Func(expected), ExternType::Func(found)) => expected == found,
            _ => false,
        };
        if !fits {
            return Err(LoadError::BadImport {
                name: import.name().to_owned(),
                expected: describe(import.ty()).to_string(),
                found: describe(&found).to_string(),
            });
        }
    }
    Ok(())
}

fn check_entry(module: &Module, entry: &str) -> Result<(), LoadError> {
    match module.get_export(entry) {
        Some(ExternType::Func(function)) if function.params().is_empty() => Ok(()),
        Some(ExternType::Func(function)) => {
            Err(LoadError::StartTakesArguments { entry: entry.to_owned(), count: function.params().len() })
        }
        _ => Err(LoadError::NoStart { entry: entry.to_owned() }),
    }
}

/// A type as a reader knows it.
fn describe(ty: &ExternType) -> impl fmt::Display {
    fmt::from_fn(move |f| match ty {
        ExternType::Func(function) => {
            write!(f, "a function {:?} -> {:?}", function.params(), function.results())
        }
        ExternType::Global(_) => f.write_str("a global"),
        ExternType::Memory(_) => f.write_str("a memory"),
        ExternType::Table(_) => f.write_str("a table"),
    })
}
