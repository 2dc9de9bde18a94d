//! The registry: names, lists, look-ups.

use std::{collections::HashSet, thread};

use archipelago_kernel::{
    InterpreterId,
    config::InterpreterConfig,
    error::{EndError, LookupError, ThreadError},
    interpreter::Whence,
};

use crate::{
    TestHost,
    support::{create, list_all, numbers, presets, scaled},
};

/// SPEC: R3
/// CPython: test_api.ListAllTests.test_initial, test__interpreters.ListAllTests.test_initial
pub fn at_first_there_is_main<H: TestHost>() {
    let rt = H::started();
    assert_eq!(list_all(&rt), [rt.main().unwrap()]);
    assert_eq!(rt.count(), Ok(1));
}

/// SPEC: R3
/// CPython: test_api.ListAllTests.test_after_creating, test__interpreters.ListAllTests.test_after_creating
pub fn the_list_is_in_the_order_of_creation<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let made: Vec<_> = (0..scaled(40, 10)).map(|n| create(&rt, &presets()[n % 2])).collect();
    assert_eq!(list_all(&rt), [&[main], &made[..]].concat());
}

/// SPEC: R3
/// CPython: test_api.ListAllTests.test_after_destroying, test_api.CreateTests.test_after_destroy_some,
/// CPython: test__interpreters.ListAllTests.test_after_destroying, test__interpreters.CreateTests.test_after_destroy_some
pub fn the_list_is_exact_after_ends<H: TestHost>() {
    let rt = H::started();
    let made: Vec<_> = (0..6).map(|n| create(&rt, &presets()[n % 2])).collect();
    let mut expected = list_all(&rt);
    for gone in [made[2], made[0], made[5]] {
        rt.end(gone, None).unwrap();
        expected.retain(|id| *id != gone);
        assert_eq!(list_all(&rt), expected);
        assert_eq!(rt.count(), Ok(expected.len()));
    }
    let new = create(&rt, &InterpreterConfig::isolated());
    assert_eq!(new.number(), 7);
    expected.push(new);
    assert_eq!(list_all(&rt), expected);
}

/// SPEC: R3
/// CPython: test_api.CreateTests.test_after_destroy_all, test__interpreters.CreateTests.test_after_destroy_all
pub fn numbers_are_never_used_again<H: TestHost>() {
    let rt = H::started();
    let mut seen = HashSet::new();
    for _ in 0..scaled(20, 3) {
        let made: Vec<_> = (0..3).map(|_| create(&rt, &InterpreterConfig::isolated())).collect();
        for id in made {
            assert!(seen.insert(id.number()));
            rt.end(id, None).unwrap();
        }
    }
    assert_eq!(numbers(&rt), [0]);
}

/// SPEC: R3
/// CPython: test__interpreters.CreateTests.test_unique_id
pub fn a_hundred_names_differ<H: TestHost>() {
    let rt = H::started();
    let n = scaled(100, 20);
    let names: HashSet<InterpreterId> = (0..n).map(|_| create(&rt, &InterpreterConfig::isolated())).collect();
    assert_eq!(names.len(), n);
    for name in names {
        assert_eq!(rt.interpreter(name).unwrap().id(), name, "found by name");
        assert_eq!(rt.id(name.number()), Ok(name), "found by number");
    }
}

/// SPEC: R3
pub fn head_and_next_go_from_the_newest_to_main<H: TestHost>() {
    let rt = H::started();
    let made: Vec<_> = (0..4).map(|n| create(&rt, &presets()[n % 2])).collect();
    rt.end(made[1], None).unwrap();
    let walk = core::iter::successors(rt.head().ok(), |id| rt.next(*id).unwrap());
    let expected = [made[3], made[2], made[0], rt.main().unwrap()];
    assert_eq!(walk.collect::<Vec<_>>(), expected);
    assert_eq!(rt.next(made[1]), Err(LookupError::NotFound), "an ended one has no neighbour");
}

/// SPEC: R3
/// CPython: test_capi.InterpreterIDTests.test_lookup_exists, test_capi.InterpreterIDTests.test_lookup_does_not_exist,
/// CPython: test_capi.InterpreterIDTests.test_lookup_destroyed, test_api.InterpreterObjectTests.test_init_does_not_exist,
/// CPython: test__interpreters.IsRunningTests.test_does_not_exist, test__interpreters.DestroyTests.test_does_not_exist
pub fn lookup_finds_what_exists_and_nothing_else<H: TestHost>() {
    let rt = H::started();
    let id = create(&rt, &InterpreterConfig::isolated());
    assert_eq!(rt.id(id.number()), Ok(id));
    assert_eq!(rt.interpreter(id).unwrap().id(), id);
    for number in [id.number() + 1, 1_000_000, u64::MAX, u64::MAX - 1] {
        assert_eq!(rt.id(number), Err(LookupError::NotFound), "{number}");
    }
    rt.end(id, None).unwrap();
    assert_eq!(rt.id(id.number()), Err(LookupError::NotFound));
    assert_eq!(rt.interpreter(id).err(), Some(LookupError::NotFound));
    assert_eq!(rt.thread_state(id).err(), Some(ThreadError::NotFound));
    assert_eq!(rt.end(id, None), Err(EndError::NotFound));
}

/// SPEC: R3
/// CPython: test_api.InterpreterObjectTests.test_equality, test_api.InterpreterObjectTests.test_id_type
pub fn names_compare_by_interpreter<H: TestHost>() {
    let rt = H::started();
    let (a, b) = (create(&rt, &InterpreterConfig::isolated()), create(&rt, &InterpreterConfig::isolated()));
    assert_eq!(a, rt.interpreter(a).unwrap().id());
    assert_eq!(a, rt.id(a.number()).unwrap());
    assert_ne!(a, b);
    assert!(a < b, "in the order of creation");
    assert_eq!(HashSet::from([a, a, b]).len(), 2);
}

/// SPEC: R3, L5
/// CPython: test_api.ListAllTests.test_created_with_capi, test_api.LowLevelTests.test_list_all
pub fn the_list_has_whoever_made_it<H: TestHost>() {
    let rt = H::started();
    let whences = [Whence::CApi, Whence::LegacyCApi, Whence::Unknown, Whence::Stdlib];
    for whence in whences {
        rt.create_as(&InterpreterConfig::isolated(), None, whence).unwrap();
    }
    let seen: Vec<_> =
        list_all(&rt).iter().map(|id| rt.interpreter(*id).unwrap().whence().unwrap()).collect();
    assert_eq!(seen, [&[Whence::Runtime], &whences[..]].concat());
}

/// SPEC: R3
pub fn a_short_buffer_gets_what_fits<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let (a, b) = (create(&rt, &InterpreterConfig::isolated()), create(&rt, &InterpreterConfig::isolated()));
    assert_eq!(rt.list(&mut []), Ok(3));
    let mut two = [main; 2];
    assert_eq!(rt.list(&mut two), Ok(3));
    assert_eq!(two, [main, a]);
    let mut four = [main; 4];
    assert_eq!(rt.list(&mut four), Ok(3));
    assert_eq!(four, [main, a, b, main], "the rest is not written");
}

/// SPEC: R3, L15
pub fn lists_taken_meanwhile_are_lists<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    thread::scope(|s| {
        let worker = s.spawn(|| {
            for n in 0..scaled(200, 8) {
                let id = create(&rt, &presets()[n % 2]);
                rt.end(id, None).unwrap();
            }
        });
        while !worker.is_finished() {
            let all = list_all(&rt);
            assert_eq!(all[0], main);
            assert!(all.len() <= 2 && all.is_sorted());
            let newest = rt.head().unwrap();
            // It may have ended since it was the newest.
            let next = rt.next(newest);
            assert!(
                newest == main || next == Ok(Some(main)) || next == Err(LookupError::NotFound),
                "{next:?}"
            );
        }
    });
}

/// SPEC: R1, R3
pub fn two_runtimes_refuse_each_others_names<H: TestHost>() {
    let (one, two) = (H::started(), H::started());
    let a = create(&one, &InterpreterConfig::isolated());
    let b = create(&two, &InterpreterConfig::isolated());
    assert_eq!(a.number(), b.number());
    assert_ne!(a, b);
    assert_eq!(two.interpreter(a).err(), Some(LookupError::WrongCycle));
    assert_eq!(two.thread_state(a).err(), Some(ThreadError::NotFound));
    assert_eq!(two.end(a, None), Err(EndError::NotFound));
    assert_eq!(two.end(one.main().unwrap(), None), Err(EndError::NotFound));
    assert_eq!(two.next(a), Err(LookupError::WrongCycle));
    assert_eq!(one.end(a, None).map(|ledger| ledger.is_clean()), Ok(true));
    assert_eq!(two.interpreter(b).unwrap().id(), b, "the other one's is untouched");
}

/// SPEC: R6
pub fn an_index_is_assigned_once_and_differs_from_every_other<H: TestHost>() {
    use archipelago_kernel::runtime::UniqueIndex;
    let (one, two) = (H::fresh(), H::started());
    let n = scaled(50, 8);
    let keys: Vec<UniqueIndex> = (0..n).map(|_| UniqueIndex::new()).collect();
    let assigned =
        |rt: &archipelago_kernel::Runtime<H>| keys.iter().map(|key| key.get(rt)).collect::<Vec<_>>();
    let start = std::sync::Barrier::new(3);
    let seen: Vec<Vec<usize>> = thread::scope(|s| {
        let (assigned, start) = (&assigned, &start);
        let threads = [&one, &two, &two].map(|rt| {
            s.spawn(move || {
                start.wait();
                assigned(rt)
            })
        });
        threads.map(|thread| thread.join().unwrap()).into()
    });
    assert!(seen.iter().all(|indexes| *indexes == seen[0]), "one number each, for every runtime and thread");
    assert_eq!(seen[0].iter().collect::<HashSet<_>>().len(), n);
    assert_eq!(assigned(&one), seen[0]);
}
