//! Another program in place of this one (SPEC H4).

use core::convert::Infallible;
use std::{os::unix::process::CommandExt, process::Command};

use archipelago_kernel::{Attached, config::Act};

use crate::{Error, OnStd, Runtime};

impl<H: OnStd> Runtime<H> {
    /// Runs `command` in place of this program, as [`exec`](CommandExt::exec) of the standard library does, if the interpreter of `cx` may
    /// (`allow_exec`). No destructor runs and no interpreter ends; where it comes back, nothing happened.
    ///
    /// Starting another process needs no permission, [`Command::spawn`] neither: an interpreter that may not put another
    /// program in place of its own may still start one beside it. Do it inside `detach`.
    ///
    /// ```no_run
    /// use archipelago::Runtime;
    /// use std::process::Command;
    ///
    /// let runtime = Runtime::new()?;
    /// let failed = runtime.ensure(runtime.main()?, |cx| Runtime::exec(cx, &mut Command::new("true")))?;
    /// eprintln!("{}", failed.unwrap_err());
    /// # Ok::<(), archipelago::Error>(())
    /// ```
    ///
    /// # Errors
    /// The interpreter may not; what the operating system says.
    pub fn exec(cx: &mut Attached<'_, H>, command: &mut Command) -> Result<Infallible, Error> {
        cx.permit(Act::Exec)?;
        Err(command.exec().into())
    }
}
