//! Commands that are measured as processes: ours, and the peer's.

use core::time::Duration;
use std::{
    env,
    ffi::OsStr,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::Trouble;

/// A folder with peers' commands, looked into before the search path.
const PEERS: &str = "ARCHIPELAGO_PEERS";

/// A command beside this one, where cargo puts what it builds.
fn beside(name: &str) -> Option<PathBuf> {
    let here = env::current_exe().ok()?;
    // Benches lie one folder deeper.
    here.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| is_command(path))
}

fn is_command(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0)
}

/// Our command, built.
///
/// # Errors
/// If it is not there.
pub fn ours() -> Result<PathBuf, Trouble> {
    build("archipelago-cli");
    beside("archipelago").ok_or_else(|| "build it first: cargo build --release -p archipelago-cli".into())
}

/// The peer's command: wasmi's own where it is installed, otherwise our runner that does the same.
///
/// # Errors
/// If neither is there.
pub fn wasmi() -> Result<PathBuf, Trouble> {
    let folders = env::var_os(PEERS).into_iter().chain(env::var_os("PATH"));
    let installed = folders
        .flat_map(|folders| env::split_paths(&folders).collect::<Vec<_>>())
        .map(|folder| folder.join("wasmi"))
        .find(|path| is_command(path));
    if let Some(installed) = installed {
        return Ok(installed);
    }
    build("archipelago-bench");
    beside("wasmi_plain").ok_or_else(|| "build it first: cargo build --release -p archipelago-bench".into())
}

/// Builds a package, where cargo started this process: with nothing to do it takes a moment.
fn build(package: &str) {
    if let Some(cargo) = env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--release", "--quiet", "--package", package, "--bins"]);
        // If it fails, what is missing is told by whoever looks for it.
        let _ = build.status();
    }
}

/// How long a command took.
#[derive(Debug, Clone, Copy)]
pub struct Ran {
    /// Until its first output.
    pub first_output: Duration,
    /// Until its end.
    pub whole: Duration,
}

/// Runs a command to its end.
///
/// # Errors
/// If it fails, or writes nothing.
pub fn run<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Result<Ran, Trouble> {
    let start = Instant::now();
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().ok_or("no pipe")?;
    let mut bytes = [0; 4096];
    let first = stdout.read(&mut bytes)?;
    let first_output = start.elapsed();
    while stdout.read(&mut bytes)? > 0 {}
    let status = child.wait()?;
    let whole = start.elapsed();
    match (status.success(), first) {
        (true, 1..) => Ok(Ran { first_output, whole }),
        (true, 0) => Err(format!("{} wrote nothing", program.display()).into()),
        (false, _) => Err(format!("{} ended with {status}", program.display()).into()),
    }
}
