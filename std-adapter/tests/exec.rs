//! Programs in place of this one, and beside it.
#![cfg(all(unix, not(miri)))]

use std::{
    env,
    process::{Command, Stdio},
};

use archipelago::{
    Error, InterpreterConfig, Runtime,
    kernel::error::{Error as Kernel, PermitError},
};

const CHILD: &str = "ARCHIPELAGO_TEST_CHILD";

fn exits(code: u8) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exit {code}")]);
    command
}

/// SPEC: H4, C6
#[test]
fn another_program_takes_the_place_of_this_one_where_it_may() {
    if env::var_os(CHILD).is_some() {
        let runtime = Runtime::new().unwrap();
        let main = runtime.main().unwrap();
        let back = runtime.ensure(main, |cx| Runtime::exec(cx, &mut exits(17)));
        panic!("{back:?}");
    }
    let name = "another_program_takes_the_place_of_this_one_where_it_may";
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", name]).env(CHILD, "1").stdout(Stdio::null()).stderr(Stdio::null());
    assert_eq!(child.status().unwrap().code(), Some(17));
}

/// SPEC: H4, C6
#[test]
fn who_may_not_is_told_and_goes_on() {
    let runtime = Runtime::new().unwrap();
    let config = InterpreterConfig::isolated().with_allow_exec(false);
    let mut state = runtime.create(&config, None).unwrap();
    let id = state.interpreter();
    let refused = state.attach(|cx| Runtime::exec(cx, &mut exits(17))).unwrap();
    let Err(Error::Kernel(Kernel::Permit(refusal))) = refused else { panic!("{refused:?}") };
    assert_eq!((refusal.interpreter, refusal.reason), (id, PermitError::Exec));
    let missing = &mut Command::new("there-is-no-such-program");
    let back = runtime.ensure(runtime.main().unwrap(), |cx| Runtime::exec(cx, missing)).unwrap();
    assert!(matches!(back, Err(Error::Io(_))), "what the system says, and everything is as it was");
    assert_eq!(state.attach(|cx| cx.id()), Ok(id));
}

/// SPEC: H4
#[test]
fn a_process_beside_this_one_is_never_refused() {
    let runtime = Runtime::new().unwrap();
    let none =
        InterpreterConfig::isolated().with_allow_exec(false).with_allow_fork(false).with_allow_threads(false);
    for config in [none, InterpreterConfig::isolated(), InterpreterConfig::legacy()] {
        let mut state = runtime.create(&config, None).unwrap();
        let status = state.attach(|cx| cx.detach(|| exits(3).status().unwrap())).unwrap();
        assert_eq!(status.code(), Some(3));
    }
}
