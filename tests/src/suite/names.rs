//! Names of objects, which leave their interpreter and come back.

use std::thread;

use archipelago_kernel::{config::InterpreterConfig, error::HandleError, guest::Plain, object::Global};

use crate::{
    TestHost,
    support::{Noisy, scaled, strategies},
};

/// SPEC: O3
pub fn a_global_name_leaves_and_comes_back<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let (noisy, drops) = Noisy::new();
        let name: Global<Plain<(u8, Noisy)>> = state
            .attach(|cx| {
                let object = cx.alloc_plain((9, noisy)).ok().unwrap();
                cx.global(object).ok().unwrap()
            })
            .unwrap();
        assert_eq!(drops.count(), 0, "the name keeps it alive");
        let elsewhere = || rt.ensure(id, |cx| cx.local(&name).map(|local| local.get().0));
        assert_eq!(thread::scope(|s| s.spawn(elsewhere).join().unwrap()), Ok(Ok(9)));
        state
            .attach(|cx| {
                let object = cx.local(&name).unwrap().to_owned();
                let copy = name;
                cx.release_global(&copy).unwrap();
                assert_eq!(cx.local(&name).err(), Some(HandleError::Stale));
                assert_eq!(cx.release_global(&name), Err(HandleError::Stale), "once");
                assert_eq!((object.get(cx).0, drops.count()), (9, 0), "a reference is left");
                object.release(cx);
                assert_eq!(drops.count(), 1);
            })
            .unwrap();
    }
}

/// SPEC: O3
pub fn a_name_never_leads_to_another_object<H: TestHost>() {
    let (rt, names) = (H::started(), scaled(100, 20));
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        state
            .attach(|cx| {
                let mut old: Vec<Global<Plain<usize>>> = Vec::new();
                for round in 0..scaled(50, 10) {
                    let object = cx.alloc_plain(round).unwrap();
                    let name = cx.global(object).ok().unwrap();
                    assert_eq!(cx.local(&name).unwrap().get(), &round);
                    for stale in &old {
                        assert_eq!(cx.local(stale).err(), Some(HandleError::Stale));
                    }
                    cx.release_global(&name).unwrap();
                    old.push(name);
                }
                // Many at once, across the growth of their table.
                let names: Vec<_> = (0..names)
                    .map(|n| {
                        let object = cx.alloc_plain(n).unwrap();
                        cx.global(object).ok().unwrap()
                    })
                    .collect();
                for (n, name) in names.iter().enumerate() {
                    assert_eq!(cx.local(name).unwrap().get(), &n);
                }
                for name in names.iter().step_by(2) {
                    cx.release_global(name).unwrap();
                }
                for (n, name) in names.iter().enumerate() {
                    let seen = cx.local(name).map(|local| *local.get());
                    assert_eq!(seen, if n % 2 == 0 { Err(HandleError::Stale) } else { Ok(n) });
                }
            })
            .unwrap();
        assert_eq!(rt.end(state.interpreter(), None).unwrap().objects, names / 2);
    }
}

/// SPEC: O3, R1
pub fn a_name_is_refused_elsewhere<H: TestHost>() {
    let (rt, other_rt) = (H::started(), H::started());
    let mut a = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut b = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let mut far = other_rt.create(&InterpreterConfig::isolated(), None).unwrap();
    let name = a
        .attach(|cx| {
            let object = cx.alloc_plain(1u8).unwrap();
            cx.global(object).ok().unwrap()
        })
        .unwrap();
    b.attach(|cx| {
        assert_eq!(cx.local(&name).err(), Some(HandleError::WrongInterpreter));
        assert_eq!(cx.release_global(&name), Err(HandleError::WrongInterpreter));
    })
    .unwrap();
    far.attach(|cx| assert_eq!(cx.local(&name).err(), Some(HandleError::WrongRuntime))).unwrap();
    let number = a.interpreter().number();
    rt.finalize(None).unwrap();
    let _main = rt.initialize(None).unwrap();
    let mut again = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    assert_eq!(again.interpreter().number(), number);
    again.attach(|cx| assert_eq!(cx.local(&name).err(), Some(HandleError::WrongRuntime))).unwrap();
}

/// SPEC: O1, T6
pub fn threads_take_turns_with_one_object<H: TestHost>() {
    let rt = H::started();
    for config in strategies::<H>() {
        let mut state = rt.create(&config, None).unwrap();
        let id = state.interpreter();
        let name = state
            .attach(|cx| {
                let object = cx.alloc_plain(0u64).unwrap();
                cx.global(object).ok().unwrap()
            })
            .unwrap();
        let (threads, rounds) = (scaled(8, 3), scaled(100, 5));
        thread::scope(|s| {
            for _ in 0..threads {
                s.spawn(|| {
                    rt.ensure(id, |cx| {
                        let object = cx.local(&name).unwrap().to_owned();
                        for _ in 0..rounds {
                            *object.get_mut(cx) += 1;
                            let again = object.local(cx).to_owned();
                            cx.detach(|| drop(again));
                            assert_eq!(cx.safepoint(), Ok(()));
                        }
                    })
                    .unwrap();
                });
            }
        });
        let count = state.attach(|cx| {
            let count = *cx.local(&name).unwrap().get();
            cx.release_global(&name).unwrap();
            (count, cx.usage().object.blocks)
        });
        assert_eq!(count, Ok(((threads * rounds) as u64, 0)));
        assert_eq!(rt.end(id, None).unwrap().objects, 0);
    }
}
