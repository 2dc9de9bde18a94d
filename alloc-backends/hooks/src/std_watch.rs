//! Reports on standard error.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::{Misuse, Register, Site, StdRegister, Watch, std_site};

/// What happens after a misuse was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OnMisuse {
    /// The process aborts: what comes after a wild write means nothing.
    Abort = 0,
    /// The program goes on; wrong frees are left out.
    GoOn = 1,
}

static REGISTER: StdRegister = StdRegister::new();
static ACTION: AtomicU8 = AtomicU8::new(OnMisuse::Abort as u8);

/// What happens from now on, in the whole process, after [`StdWatch`] printed a misuse.
pub fn on_misuse(action: OnMisuse) {
    ACTION.store(action as u8, Ordering::Relaxed);
}

/// Prints one line on standard error and aborts, unless [`on_misuse`] says otherwise. Sites are the thread's scopes.
#[derive(Debug)]
pub struct StdWatch;

impl Watch for StdWatch {
    fn report(misuse: &Misuse) {
        std::eprintln!("{misuse}");
        if ACTION.load(Ordering::Relaxed) == OnMisuse::Abort as u8 {
            std::process::abort();
        }
    }

    fn site() -> Site {
        std_site::site()
    }

    fn register() -> Option<&'static dyn Register> {
        Some(&REGISTER)
    }
}
