//! What ends the program, in a program of its own.
#![cfg(all(unix, not(miri)))]

use core::panic::AssertUnwindSafe;
use std::{
    env,
    os::unix::process::ExitStatusExt,
    panic::catch_unwind,
    process::{Command, Stdio},
};

use archipelago_kernel::observe::{Event, Observer, ObserverNode, Veto};
use archipelago_tests::{BareHost, TestHost, support::throw};

const CHILD: &str = "ARCHIPELAGO_TEST_CHILD";

struct Panics;

impl Observer for Panics {
    fn event(&self, _: &Event<'_>) -> Result<(), Veto> {
        throw()
    }
}

/// The frames around an attach rely on what comes next, so nothing may unwind through them.
///
/// SPEC: G5, R5
#[test]
fn a_watcher_that_panics_ends_the_program() {
    static NODE: ObserverNode = ObserverNode::new(&Panics);
    if env::var_os(CHILD).is_some() {
        let rt = BareHost::started();
        assert!(rt.watch(&NODE));
        let main = rt.main().unwrap();
        let _unwound = catch_unwind(AssertUnwindSafe(|| rt.ensure(main, |_| ())));
        return;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "a_watcher_that_panics_ends_the_program"]).env(CHILD, "1");
    let status = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    const SIGABRT: i32 = 6;
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
}
