//! The files that are named as programs, each loaded once, by the first interpreter that needs it.

use std::{
    fs::{File, FileType},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use archipelago_guest_wasm::{Engine, LoadError, Program};
use rustix::fs::{Mode, OFlags, open};

use crate::{failure::Failure, status::Status};

/// A larger file is no program that could be compiled.
const LARGEST_FILE: u64 = 512 << 20;

/// One program.
pub struct Source {
    path: PathBuf,
    later: bool,
    program: OnceLock<Result<Program, Failure>>,
}

impl Source {
    /// The program in the file `path`, which is not looked at yet. `later`: another one was named before it.
    pub fn new(path: PathBuf, later: bool) -> Self {
        Source { path, later, program: OnceLock::new() }
    }

    /// The path, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The program, or why there is none.
    pub fn program(&self, engine: &Engine) -> Result<&Program, Failure> {
        self.program.get_or_init(|| load(engine, &self.path, self.later)).as_ref().map_err(Failure::clone)
    }
}

fn load(engine: &Engine, path: &Path, later: bool) -> Result<Program, Failure> {
    let bytes = read(path).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::NotFound if later => "check the path (arguments of programs go after `--`)",
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "check its permissions",
            _ => "name a .wasm or .wat file",
        };
        Failure::new(Status::Read, format!("{error}: {advice}"))
    })?;
    Program::load(engine, path.display().to_string(), &bytes).map_err(|error| {
        let status = match error {
            LoadError::UnknownImport { .. } | LoadError::BadImport { .. } => Status::Import,
            _ => Status::NotAProgram,
        };
        Failure::new(status, error.to_string())
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a named pipe would wait for its other end, where neither Ctrl-C nor a time-out is seen.
    let file: File = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?.into();
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let kind = kind(metadata.file_type());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}, not a regular file")));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(LARGEST_FILE) as usize);
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 512 MiB"));
    }
    Ok(bytes)
}

/// What is no regular file, in words.
fn kind(file_type: FileType) -> &'static str {
    match file_type {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}
