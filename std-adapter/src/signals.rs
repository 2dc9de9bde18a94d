//! Signals of the operating system, for main's main thread (SPEC E4, R7, H4).

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use archipelago_kernel::error::SignalError;
use signal_hook::{
    consts::FORBIDDEN,
    iterator::{Handle, Signals},
};

use crate::{OnStd, Runtime};

/// The last of the kernel's signals, and of most systems'.
const MOST: i32 = 64;

/// A thread that takes signals of the operating system, until this is dropped.
///
/// It is not inside a signal handler, so what it calls may do what any thread may. From the drop on those signals do
/// nothing: what the system does about them by itself does not come back.
#[derive(Debug)]
pub struct SignalWatch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Takes these signals from here on: `each` is called with the number of each that comes. Of several of a number that
    /// come meanwhile it may be called for one.
    ///
    /// # Errors
    /// A signal that nobody can take, such as SIGKILL, or that is none; no thread or no descriptor to be had.
    pub fn new(signals: &[i32], mut each: impl FnMut(i32) + Send + 'static) -> io::Result<Self> {
        if signals.iter().any(|signal| FORBIDDEN.contains(signal) || !(1..=MOST).contains(signal)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut signals = Signals::new(signals)?;
        let handle = signals.handle();
        let body = move || signals.forever().for_each(&mut each);
        let thread = thread::Builder::new().name("archipelago-signals".into()).spawn(body)?;
        Ok(SignalWatch { handle, thread: Some(thread) })
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
        {
            // A panic of `each` was printed; nothing depends on its end.
            let _ = thread.join();
        }
    }
}

impl<H: OnStd> Runtime<H> {
    /// Has main's thread handle these signals of the operating system, as
    /// [`on_signal`](archipelago_kernel::Attached::on_signal) says, until the answer is dropped. It does not keep the
    /// runtime; while there is none, such signals do nothing.
    ///
    /// ```
    /// use archipelago::{Runtime, kernel::{error::Interrupt, eval::{SignalFailed, SignalHandler}}};
    /// # fn interrupt_me() { signal_hook::low_level::raise(SIGINT).unwrap() }
    /// # const SIGINT: i32 = 2;
    ///
    /// let runtime = Runtime::new()?;
    /// let _watch = runtime.watch_signals(&[SIGINT])?;
    /// let told = runtime.ensure(runtime.main()?, |cx| {
    ///     cx.on_signal(SIGINT as u32, Some(SignalHandler { run: |_, _, _| Err(SignalFailed), argument: 0 }))?;
    ///     interrupt_me();
    ///     Ok::<_, archipelago::Error>(loop {
    ///         if let Err(interrupt) = cx.safepoint() {
    ///             break interrupt;
    ///         }
    ///     })
    /// })??;
    /// assert_eq!(told, Interrupt::SignalFailed);
    /// # Ok::<(), archipelago::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`SignalWatch::new`].
    pub fn watch_signals(&self, signals: &[i32]) -> io::Result<SignalWatch> {
        let runtime = Arc::downgrade(self.kernel());
        SignalWatch::new(signals, move |signal| {
            let Some(runtime) = runtime.upgrade() else { return };
            // Where main ends nobody listens.
            while u32::try_from(signal).map(|signal| runtime.raise_signal(signal))
                == Ok(Err(SignalError::Busy))
            {
                thread::yield_now();
            }
        })
    }
}
