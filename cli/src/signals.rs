//! Ctrl-C: the first one interrupts every interpreter, the second one ends the process.

use core::sync::atomic::{AtomicI32, Ordering};
use std::{io, sync::Arc};

use archipelago::{OnStd, Runtime, SignalWatch};
use archipelago_guest_wasm::WakeFd;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    low_level,
};

use crate::status::Status;

/// Whether the command was told to stop, and a descriptor that ends its own waits then.
pub struct Stop {
    signal: AtomicI32,
    wake: WakeFd,
}

impl Stop {
    /// Nobody has said so yet.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Stop { signal: AtomicI32::new(0), wake: WakeFd::new()? })
    }

    /// The status of the signal that came.
    pub fn asked(&self) -> Option<Status> {
        match self.signal.load(Ordering::Acquire) {
            0 => None,
            SIGTERM => Some(Status::Terminated),
            _ => Some(Status::Interrupted),
        }
    }

    /// Ends the command's own waits once it is told to stop.
    pub fn wake(&self) -> &WakeFd {
        &self.wake
    }
}

/// Takes SIGINT and SIGTERM until the answer is dropped.
///
/// # Errors
/// No thread or no descriptor to be had.
pub fn watch(runtime: Runtime<impl OnStd>, stop: Arc<Stop>) -> io::Result<SignalWatch> {
    SignalWatch::new(&[SIGINT, SIGTERM], move |signal| {
        if stop.signal.swap(signal, Ordering::AcqRel) != 0 {
            low_level::exit(128 + signal);
        }
        stop.wake.wake();
        interrupt_all(&runtime);
    })
}

fn interrupt_all(runtime: &Runtime<impl OnStd>) {
    // Lookups fail in an interrupt handler only, and where the runtime is gone.
    let (Ok(main), Ok(count)) = (runtime.main(), runtime.count()) else { return };
    // Room for those that are created meanwhile: they look whether to stop after they are listed.
    let mut names = vec![main; count + 64];
    let Ok(count) = runtime.list(&mut names) else { return };
    for id in names.iter().take(count).filter(|id| !id.is_main()) {
        if let Ok(interpreter) = runtime.interpreter(*id) {
            // The only failure is that it has just ended.
            let _ended = interpreter.interrupt();
        }
    }
}
