//! What a program is given: arguments, environment, directories and standard streams.

use crate::{
    descriptor::Descriptor,
    error::StartError,
    sink::Sink,
    wasi::{Directory, End, SharedExchange, Stream},
};
use core::fmt;
use std::{io, path::PathBuf, sync::Arc};
use wasmi_wasi::{
    WasiCtx, WasiFile, ambient_authority,
    sync::WasiCtxBuilder,
    wasi_common::pipe::{ReadPipe, WritePipe},
};

/// Where a program's standard input comes from.
#[derive(Clone, Debug, Default)]
pub enum Input {
    /// There is none: the first read finds its end.
    #[default]
    Empty,
    /// The standard input of the process.
    Inherit,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A descriptor.
    Descriptor(Arc<Descriptor>),
}

/// Where a program's standard output or standard error goes.
#[derive(Clone, Default)]
pub enum Output {
    /// Nowhere.
    #[default]
    Discard,
    /// The same stream of the process.
    Inherit,
    /// A sink of the caller.
    Sink(Arc<dyn Sink>),
    /// A descriptor.
    Descriptor(Arc<Descriptor>),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discard => "Discard",
            Self::Inherit => "Inherit",
            Self::Sink(_) => "Sink",
            Self::Descriptor(_) => "Descriptor",
        })
    }
}

/// What a program is given. By default that is nothing: no arguments, no files, no input, output that goes nowhere.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct WasiSetup {
    args: Vec<String>,
    env: Vec<(String, String)>,
    directories: Vec<(PathBuf, String)>,
    stdin: Input,
    stdout: Output,
    stderr: Output,
}

impl WasiSetup {
    /// A setup that gives nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an argument; the first one is by custom the name of the program.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.args.push(argument.into());
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Opens a directory of the host to the program under the name `guest`.
    pub fn directory(mut self, host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        self.directories.push((host.into(), guest.into()));
        self
    }

    /// Where the standard input comes from.
    pub fn stdin(mut self, input: Input) -> Self {
        self.stdin = input;
        self
    }

    /// Where the standard output goes.
    pub fn stdout(mut self, output: Output) -> Self {
        self.stdout = output;
        self
    }

    /// Where the standard error goes.
    pub fn stderr(mut self, output: Output) -> Self {
        self.stderr = output;
        self
    }

    pub(crate) fn build(self, exchange: &SharedExchange) -> Result<WasiCtx, StartError> {
        let mut builder = WasiCtxBuilder::new();
        for argument in &self.args {
            builder.arg(argument).map_err(|_| StartError::BadArgument(argument.clone()))?;
        }
        for (name, value) in &self.env {
            builder.env(name, value).map_err(|_| StartError::BadVariable(name.clone()))?;
        }
        builder
            .stdin(input(self.stdin, exchange).map_err(StartError::Stream)?)
            .stdout(output(self.stdout, Descriptor::stdout, exchange).map_err(StartError::Stream)?)
            .stderr(output(self.stderr, Descriptor::stderr, exchange).map_err(StartError::Stream)?);
        let wasi = builder.build();
        for (host, guest) in self.directories {
            let directory = wasmi_wasi::Dir::open_ambient_dir(&host, ambient_authority())
                .and_then(|opened| Directory::new(opened, exchange))
                .map_err(|error| StartError::Directory { path: host, error })?;
            // The only failure is a table of four thousand million files.
            wasi.push_preopened_dir(Box::new(directory), guest)
                .map_err(|error| StartError::Stream(io::Error::other(error.to_string())))?;
        }
        Ok(wasi)
    }
}

fn input(input: Input, exchange: &SharedExchange) -> io::Result<Box<dyn WasiFile>> {
    let descriptor = match input {
        Input::Empty => return Ok(Box::new(ReadPipe::new(io::empty()))),
        Input::Bytes(bytes) => return Ok(Box::new(ReadPipe::from(bytes))),
        Input::Inherit => Descriptor::stdin()?,
        Input::Descriptor(descriptor) => descriptor,
    };
    Ok(Box::new(Stream::new(End::Descriptor(descriptor), exchange)))
}

fn output(
    output: Output,
    inherited: fn() -> io::Result<Arc<Descriptor>>,
    exchange: &SharedExchange,
) -> io::Result<Box<dyn WasiFile>> {
    let end = match output {
        Output::Discard => return Ok(Box::new(WritePipe::new(io::sink()))),
        Output::Inherit => End::Descriptor(inherited()?),
        Output::Sink(sink) => End::Sink(sink),
        Output::Descriptor(descriptor) => End::Descriptor(descriptor),
    };
    Ok(Box::new(Stream::new(end, exchange)))
}
