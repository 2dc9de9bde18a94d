//! Every error of the kernel becomes one of the adapter's, so that `?` takes it.

use archipelago::{
    Error,
    kernel::{error::*, memory::*},
};

macro_rules! converted {
    ($($variant:ident($inner:ident)),+ $(,)?) => {
        /// The variants of the kernel's error that a conversion is asked for.
        const NAMES: &[&str] = &[$(concat!(stringify!($variant), "(", stringify!($inner), ")")),+];

        /// Compiles if all of them are there.
        fn all<E>()
        where
            E: From<archipelago::kernel::Error> $(+ From<$inner>)+,
        {
        }
    };
}

converted! {
    Config(ConfigError), Runtime(RuntimeError), Create(CreateError), Thread(ThreadError), Attach(AttachError),
    End(EndError), Stop(StopError), Reset(ResetError), Guard(GuardError), Lookup(LookupError), Interrupt(Interrupt), Permit(Refusal), Guest(GuestError),
    Pending(PendingError), Signal(SignalError), Handle(HandleError), Deadline(DeadlineError), Alloc(AllocError), Limit(LimitError),
}

#[test]
fn every_error_of_the_kernel_is_taken() {
    all::<Error>();
    let source = include_str!("../../kernel/src/error.rs");
    let (_, body) = source.split_once("\npub enum Error {\n").expect("the kernel's error");
    let (body, _) = body.split_once("\n}").expect("its end");
    let variants: Vec<_> = body.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    assert_eq!(variants, NAMES);
    let error = Error::from(LimitError::BelowLive);
    assert!(matches!(error, Error::Kernel(archipelago::kernel::Error::Limit(LimitError::BelowLive))));
}
