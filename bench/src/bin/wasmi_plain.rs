//! What wasmi's own command does with a WASI program, for machines where it is not installed: read, compile
//! lazily, instantiate, run, without fuel.

use std::{env, fs, process::ExitCode};

use archipelago_bench::{Trouble, programs::Plain};

fn main() -> Result<ExitCode, Trouble> {
    let Some(path) = env::args_os().nth(1) else {
        eprintln!("usage: wasmi_plain FILE");
        return Ok(ExitCode::from(2));
    };
    Plain::new(&fs::read(path)?, None)?.run()?;
    Ok(ExitCode::SUCCESS)
}
