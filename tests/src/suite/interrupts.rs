//! What is raised in one thread state from outside, and deadlines and fuel for a part of a run.

use std::thread;

use archipelago_kernel::{
    config::InterpreterConfig,
    error::{Interrupt, ThreadError},
    eval::Raise,
};

use crate::{
    TestHost,
    support::{Gate, create, presets},
};

fn number(number: u32) -> Option<Raise> {
    Some(Raise::new(number).expect("not zero"))
}

/// SPEC: E3, E1
/// CPython: test_threading.ThreadTests.test_PyThreadState_SetAsyncExc
pub fn what_is_raised_is_told_once_to_one_thread_state<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut first = rt.create(&config, None).unwrap();
        let id = first.interpreter();
        let mut second = rt.thread_state(id).unwrap();
        let mut other = rt.create(&config, None).unwrap();
        let interpreter = rt.interpreter(id).unwrap();
        assert_eq!(interpreter.raise_in(first.id(), number(7)), Ok(None));
        for state in [&mut second, &mut other] {
            assert_eq!(state.attach(|cx| (cx.safepoint(), cx.take_raised())), Ok((Ok(()), None)));
        }
        let told = first.attach(|cx| (cx.safepoint(), cx.take_raised(), cx.safepoint(), cx.take_raised()));
        assert_eq!(told, Ok((Err(Interrupt::Raised), number(7), Ok(()), None)));
        // By the thread itself too.
        let told = first.attach(|cx| {
            assert_eq!(interpreter.raise_in(cx.thread_id(), number(u32::MAX)), Ok(None));
            (cx.safepoint(), cx.safepoint(), cx.take_raised())
        });
        assert_eq!(told, Ok((Err(Interrupt::Raised), Ok(()), number(u32::MAX))));
    }
}

/// SPEC: E3
pub fn what_is_raised_later_replaces_what_was_raised_before<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let (interpreter, me) = (rt.interpreter(state.interpreter()).unwrap(), state.id());
    let raise = |what| interpreter.raise_in(me, what).unwrap();
    state
        .attach(|cx| {
            assert_eq!([raise(number(1)), raise(number(2))], [None, number(1)]);
            assert_eq!((cx.safepoint(), cx.safepoint()), (Err(Interrupt::Raised), Ok(())), "told once");
            assert_eq!(raise(number(3)), number(2), "told, but not taken out yet");
            assert_eq!((cx.safepoint(), cx.take_raised()), (Err(Interrupt::Raised), number(3)));

            assert_eq!([raise(number(4)), raise(None), raise(None)], [None, number(4), None]);
            assert_eq!((cx.safepoint(), cx.take_raised()), (Ok(()), None), "taken back");
            raise(number(5));
            assert_eq!(cx.safepoint(), Err(Interrupt::Raised));
            assert_eq!(
                (raise(None), cx.take_raised()),
                (number(5), None),
                "taken back when it had been told"
            );

            raise(number(6));
            assert_eq!((cx.take_raised(), cx.safepoint()), (number(6), Ok(())), "taken out first");
        })
        .unwrap();
}

/// SPEC: E3
pub fn what_is_raised_reaches_threads_that_compute_and_that_wait<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config);
        let interpreter = rt.interpreter(id).unwrap();
        let (inside, woken) = (Gate::new(), Gate::new());
        thread::scope(|s| {
            let (tell, told) = std::sync::mpsc::channel();
            let waiting = s.spawn(|| {
                let tell = tell;
                rt.ensure(id, |cx| {
                    tell.send(cx.thread_id()).unwrap();
                    let waited = cx.wait(&woken, || {
                        inside.open();
                        woken.wait();
                    });
                    let told = (waited, cx.safepoint(), cx.take_raised(), cx.safepoint());
                    tell.send(cx.thread_id()).unwrap();
                    while cx.safepoint() != Err(Interrupt::Raised) {
                        core::hint::spin_loop();
                    }
                    (told, cx.take_raised())
                })
            });
            let thread = told.recv().unwrap();
            inside.wait();
            assert!(!woken.is_open());
            assert_eq!(interpreter.raise_in(thread, None), Ok(None));
            assert!(!woken.is_open(), "nothing to be told of");
            assert_eq!(interpreter.raise_in(thread, number(8)), Ok(None));
            assert_eq!(told.recv(), Ok(thread));
            assert_eq!(interpreter.raise_in(thread, number(9)), Ok(None));
            let first = (Ok(()), Err(Interrupt::Raised), number(8), Ok(()));
            assert_eq!(waiting.join().unwrap(), Ok((first, number(9))));
        });
    }
}

/// SPEC: E3
pub fn with_something_raised_a_wait_does_not_begin<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let (interpreter, me) = (rt.interpreter(state.interpreter()).unwrap(), state.id());
    let gate = Gate::new();
    state
        .attach(|cx| {
            interpreter.raise_in(me, number(1)).unwrap();
            assert_eq!(cx.wait(&gate, || panic!("it must not begin")), Err(Interrupt::Raised));
            assert_eq!(cx.wait(&gate, || 6), Ok(6), "told once");
            interpreter.raise_in(me, number(2)).unwrap();
            interpreter.raise_in(me, None).unwrap();
            assert_eq!(cx.wait(&gate, || 7), Ok(7), "taken back");
            assert!(!gate.is_open(), "nobody was woken");
        })
        .unwrap();
}

/// SPEC: E3, T1
/// CPython: test_threading.ThreadTests.test_PyThreadState_SetAsyncExc
pub fn what_is_raised_dies_with_its_thread_state<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let id = state.interpreter();
    let interpreter = rt.interpreter(id).unwrap();
    let going = rt.thread_state(id).unwrap();
    let old = going.id();
    assert_eq!(interpreter.raise_in(old, number(1)), Ok(None));
    drop(going);
    // Most often in the same slot.
    let mut next = rt.thread_state(id).unwrap();
    assert_eq!(next.attach(|cx| (cx.safepoint(), cx.take_raised())), Ok((Ok(()), None)));
    for thread in [old, 0, u64::MAX, rt.create(&InterpreterConfig::isolated(), None).unwrap().id()] {
        assert_eq!(interpreter.raise_in(thread, number(2)), Err(ThreadError::Stale), "not its own");
    }
    assert_eq!(state.attach(|cx| cx.safepoint()), Ok(Ok(())));
    let refused = H::in_handler(|| interpreter.raise_in(next.id(), number(3)));
    assert!(matches!(refused, None | Some(Err(ThreadError::InInterrupt))), "{refused:?}");
    assert_eq!(next.attach(|cx| cx.safepoint()), Ok(Ok(())));
    rt.end(id, None).unwrap();
    assert_eq!(interpreter.raise_in(next.id(), number(4)), Err(ThreadError::NotFound));
}

/// SPEC: E1, E3
pub fn several_reasons_to_stop_are_told_one_by_one<H: TestHost>() {
    let rt = H::started();
    let mut state = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let (interpreter, me) = (rt.interpreter(state.interpreter()).unwrap(), state.id());
    interpreter.interrupt().unwrap();
    interpreter.raise_in(me, number(1)).unwrap();
    let told = state.attach(|cx| [cx.safepoint(), cx.safepoint(), cx.safepoint()]);
    assert_eq!(told, Ok([Err(Interrupt::Raised), Err(Interrupt::Requested), Ok(())]));
}
