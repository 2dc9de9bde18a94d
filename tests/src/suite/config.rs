//! Configs, created for real and refused for real.

use core::time::Duration;
use std::thread;

use archipelago_kernel::{
    config::{Act, ConfigValue, GilChoice, InterpreterConfig},
    error::{AttachError, ConfigError, CreateError, PermitError},
    host::{Clock, Host},
    memory::AllocCause,
};

use crate::{
    TestHost,
    support::{create, list_all, presets, scaled},
};

const FLAGS: [&str; 6] = [
    "use_main_obmalloc",
    "allow_fork",
    "allow_exec",
    "allow_threads",
    "allow_daemon_threads",
    "check_multi_interp_extensions",
];

/// All combinations of CPython's seven fields.
fn every_config() -> impl Iterator<Item = InterpreterConfig> {
    (0..1u32 << FLAGS.len()).flat_map(|bits| {
        GilChoice::ALL.map(|gil| {
            let mut config = InterpreterConfig::empty().with_gil(gil);
            for (n, name) in FLAGS.into_iter().enumerate() {
                config.set(name, ConfigValue::Bool(bits >> n & 1 == 1)).unwrap();
            }
            config
        })
    })
}

/// What an interpreter was made with is what it answers, to the last nanosecond, whether it was set or not.
///
/// SPEC: C1
pub fn a_config_is_kept_as_it_was<H: TestHost>() {
    let rt = H::started();
    let of = InterpreterConfig::isolated();
    let time = |secs| Some(Duration::new(secs, 999_999_999));
    let all = of
        .with_memory_limit(Some(usize::MAX))
        .with_memory_soft_limit(Some(1 << 20))
        .with_memory_reserve(usize::MAX)
        .with_fuel(Some(u64::MAX))
        .with_switch_interval(time(0))
        .with_deadline(time(3))
        .with_bound_to_thread(true);
    let one_each = [
        of,
        of.with_memory_limit(Some(1 << 20)),
        of.with_memory_soft_limit(Some(1 << 20)),
        of.with_memory_reserve(1),
        of.with_fuel(Some(0)),
        of.with_switch_interval(Some(Duration::from_nanos(1001))),
        of.with_deadline(time(2)),
        of.with_allow_fork(true),
        of.with_allow_exec(true),
        of.with_allow_threads(true),
        of.with_allow_daemon_threads(true),
        of.with_always_new_thread(true),
        all,
    ];
    for config in one_each {
        let id = create(&rt, &config);
        assert_eq!(rt.interpreter(id).unwrap().config(), Ok(config));
    }
}

/// SPEC: C1, C3, C4
/// CPython: test_capi.InterpreterConfigTests.test_interp_init, test_capi.InterpreterConfigTests.test_get_config,
/// CPython: test_capi.SubinterpreterTest.test_configured_settings, test_api.LowLevelTests.test_get_config
pub fn every_combination_is_created_or_refused_for_real<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let (mut created, mut refused) = (0, 0);
    for config in every_config().step_by(scaled(1, 7)) {
        let given = config;
        let answer = rt.create(&config, None).map(|state| state.interpreter());
        assert_eq!(config, given, "a config is never modified");
        let main_heap = config.use_main_obmalloc();
        let expected = if !main_heap && !config.check_multi_interp_extensions() {
            Err(ConfigError::OwnHeapWithoutExtensionCheck)
        } else if main_heap && config.gil() == GilChoice::Own && !H::ONE_HEAP {
            Err(ConfigError::OwnGilWithMainHeap)
        } else {
            Ok(())
        };
        match (answer, expected) {
            (Ok(id), Ok(())) => {
                created += 1;
                let stored = rt.interpreter(id).unwrap().config().unwrap();
                let gil = if config.gil() == GilChoice::Own { GilChoice::Own } else { GilChoice::Shared };
                assert_eq!(stored, config.with_gil(gil), "default is stored as shared");
                let mut state = rt.thread_state(id).unwrap();
                let main_gil = || rt.interpreter(main).unwrap().gil().unwrap().held;
                let (seen, main_held) = state.attach(|cx| (cx.config(), main_gil())).unwrap();
                assert_eq!(seen, stored);
                assert_eq!(main_held, gil == GilChoice::Shared, "the GIL is the one the config asks for");
                drop(state);
                rt.end(id, None).unwrap();
            }
            (Err(error), Err(reason)) => {
                refused += 1;
                assert_eq!(error, CreateError::Config(reason), "{config:?}");
            }
            (answer, expected) => panic!("{config:?}: {answer:?}, expected {expected:?}"),
        }
        assert_eq!(list_all(&rt), [main], "nothing is left behind");
    }
    if !cfg!(miri) {
        assert_eq!((created, refused), if H::ONE_HEAP { (144, 48) } else { (112, 80) });
    }
}

/// SPEC: C2
/// CPython: test_capi.InterpreterConfigTests.test_predefined_config, test_api.LowLevelTests.test_new_config
pub fn the_presets_are_what_they_are_called<H: TestHost>() {
    let rt = H::started();
    for (name, expected) in [
        ("isolated", Some([false, false, false, true, false, true])),
        ("default", Some([false, false, false, true, false, true])),
        ("legacy", Some([true, true, true, true, true, false])),
        ("empty", None),
    ] {
        let config = InterpreterConfig::preset(name).unwrap();
        let answer = rt.create(&config, None);
        let Some(flags) = expected else {
            let refused = CreateError::Config(ConfigError::OwnHeapWithoutExtensionCheck);
            assert_eq!(answer.err(), Some(refused), "empty can be read, not created");
            continue;
        };
        let stored = rt.interpreter(answer.unwrap().interpreter()).unwrap().config().unwrap();
        let seen = [
            stored.use_main_obmalloc(),
            stored.allow_fork(),
            stored.allow_exec(),
            stored.allow_threads(),
            stored.allow_daemon_threads(),
            stored.check_multi_interp_extensions(),
        ];
        assert_eq!(seen, flags, "{name}");
        let gil = if name == "legacy" { GilChoice::Shared } else { GilChoice::Own };
        assert_eq!(stored.gil(), gil, "{name}");
    }
}

/// SPEC: C3
pub fn a_limit_below_the_footprint_is_refused<H: TestHost>() {
    let rt = H::started();
    let plain = create(&rt, &InterpreterConfig::isolated());
    let footprint = rt.interpreter(plain).unwrap().usage().unwrap().bytes();
    assert!(footprint > 0);
    let limited = |limit| InterpreterConfig::isolated().with_memory_limit(Some(limit));
    for below in [0, 1, footprint - 1] {
        let refused = CreateError::Config(ConfigError::LimitBelowFootprint);
        assert_eq!(rt.create(&limited(below), None).err(), Some(refused), "{below}");
    }
    let mut tight = rt.create(&limited(footprint), None).unwrap();
    tight
        .attach(|cx| {
            assert_eq!(cx.available(), 0);
            let (_, error) = cx.alloc_plain(1u8).err().unwrap();
            assert_eq!(error.cause, AllocCause::HardLimit);
        })
        .unwrap();
}

/// SPEC: C3, C7
pub fn durations_beyond_the_clock_are_refused<H: TestHost>() {
    let rt = H::started();
    let longest = <<H as Host>::Clock as Clock>::MAX;
    let longer = longest.saturating_add(Duration::from_micros(1));
    let config = InterpreterConfig::isolated();
    for refused in [config.with_deadline(Some(longer)), config.with_switch_interval(Some(longer))] {
        let error = CreateError::Config(ConfigError::DurationTooLong);
        assert_eq!(rt.create(&refused, None).err(), Some(error));
    }
    assert_eq!(rt.count(), Ok(1));
    let accepted = config.with_deadline(Some(longest)).with_switch_interval(Some(longest));
    let id = create(&rt, &accepted);
    assert_eq!(rt.interpreter(id).unwrap().config(), Ok(accepted));
}

/// SPEC: C4
/// CPython: test_embed.test_init_main_interpreter_settings
pub fn main_reads_back_as_legacy_with_its_own_gil<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let config = rt.interpreter(main).unwrap().config().unwrap();
    assert_eq!(config, InterpreterConfig::legacy().with_gil(GilChoice::Own));
    let mut state = rt.thread_state(main).unwrap();
    assert_eq!(state.attach(|cx| cx.config()), Ok(config));
    let refused = (!H::ONE_HEAP).then_some(CreateError::Config(ConfigError::OwnGilWithMainHeap));
    assert_eq!(
        rt.create(&config, None).err(),
        refused,
        "fed back it is refused, unless it has a meaning there"
    );
}

/// SPEC: C5
/// CPython: test_capi.InterpreterConfigTests.test_update_from_dict, test_api.LowLevelTests.test_create
pub fn a_config_built_from_names_is_created<H: TestHost>() {
    let rt = H::started();
    let mut config = InterpreterConfig::empty();
    for (name, text) in [
        ("use_main_obmalloc", "true"),
        ("allow_threads", "1"),
        ("gil", "shared"),
        ("memory_limit", "1000000"),
    ] {
        config.set(name, ConfigValue::from_text(name, text).unwrap()).unwrap();
    }
    let before = config;
    let wrong = [
        (config.set("gill", ConfigValue::Text("own")), ConfigError::UnknownField),
        (config.set("gil", ConfigValue::Int(2)), ConfigError::WrongType),
        (config.set("gil", ConfigValue::Text("mine")), ConfigError::BadGilName),
        (config.set("allow_fork", ConfigValue::Int(1)), ConfigError::WrongType),
    ];
    for (answer, error) in wrong {
        assert_eq!(answer, Err(error));
    }
    assert_eq!(config, before, "an error changes nothing");
    let id = create(&rt, &config);
    assert_eq!(rt.interpreter(id).unwrap().config(), Ok(before));
}

/// SPEC: C6
/// CPython: test_threading.SubinterpThreadingTests.test_threads_not_allowed
pub fn permissions_are_asked_where_the_act_happens<H: TestHost>() {
    let rt = H::started();
    let main = rt.main().unwrap();
    let answers = |id| {
        let outside = Act::ALL.map(|act| rt.interpreter(id).unwrap().permit(act));
        let inside = rt.thread_state(id).unwrap().attach(|cx| Act::ALL.map(|act| cx.permit(act)));
        assert_eq!(Ok(outside), inside);
        outside.map(|answer| {
            answer.map_err(|refusal| {
                assert_eq!((refusal.interpreter, refusal.code()), (id, refusal.reason.code()));
                let text = refusal.to_string();
                assert!(text.starts_with(&format!("interpreter {}: permit: ", id.number())), "{text}");
                refusal.reason
            })
        })
    };
    assert_eq!(answers(main), [Ok(()); 5]);
    let [isolated, legacy] = presets().map(|config| create(&rt, &config));
    assert_eq!(answers(legacy), [Ok(()); 5]);
    let refused = [
        Err(PermitError::Fork),
        Err(PermitError::Exec),
        Ok(()),
        Err(PermitError::DaemonThreads),
        Err(PermitError::Extension),
    ];
    assert_eq!(answers(isolated), refused);
    let none = InterpreterConfig::isolated().with_allow_threads(false).with_allow_daemon_threads(true);
    let none = create(&rt, &none);
    assert_eq!(answers(none)[2..4], [Err(PermitError::Threads); 2]);
}

/// SPEC: C7
pub fn the_switch_interval_is_the_gils<H: TestHost>() {
    let rt = H::started();
    let own = InterpreterConfig::isolated().with_switch_interval(Some(Duration::from_millis(2)));
    let interval = |id| rt.thread_state(id).unwrap().attach(|cx| cx.switch_interval()).unwrap();
    let main = rt.main().unwrap();
    assert_eq!(interval(main), Duration::from_millis(5));
    let own = create(&rt, &own);
    assert_eq!((interval(own), interval(main)), (Duration::from_millis(2), Duration::from_millis(5)));
    let shared = InterpreterConfig::legacy().with_switch_interval(Some(Duration::from_millis(3)));
    let refused = rt.create(&shared, None).err();
    assert_eq!(refused, Some(CreateError::Config(ConfigError::IntervalOfSharedGil)));
    assert_eq!(interval(main), Duration::from_millis(5), "and main's is as it was");
    let shared = create(&rt, &InterpreterConfig::legacy());
    rt.ensure(shared, |cx| cx.set_switch_interval(Duration::from_millis(3))).unwrap();
    assert_eq!(interval(main), Duration::from_millis(3), "a shared GIL has one interval");
}

/// SPEC: C7
pub fn an_interpreter_bound_to_its_first_thread<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let id = create(&rt, &config.with_bound_to_thread(true));
        let free = create(&rt, &config);
        thread::scope(|s| {
            let elsewhere = || {
                let mut state = rt.thread_state(id).unwrap();
                assert_eq!(state.attach(|_| ()), Err(AttachError::WrongThread));
                assert_eq!(rt.ensure(id, |_| ()), Err(AttachError::WrongThread));
                let entered = rt.ensure(free, |cx| {
                    let entered = cx.enter(&mut state, |_| ());
                    assert_eq!(cx.safepoint(), Ok(()), "the caller is attached as before");
                    entered
                });
                assert_eq!(entered, Ok(Err(AttachError::WrongThread)));
            };
            // Who creates it is not bound; who attaches first is.
            let mut state = rt.thread_state(id).unwrap();
            for _ in 0..2 {
                assert_eq!(state.attach(|cx| cx.id()), Ok(id));
                s.spawn(elsewhere).join().unwrap();
            }
            assert_eq!(rt.ensure(id, |cx| cx.id()), Ok(id), "any thread state of that thread");
            let interpreter = rt.interpreter(id).unwrap();
            assert_eq!(interpreter.stats().unwrap().activations, 0);
            assert!(!interpreter.gil().unwrap().held);
            assert!(s.spawn(|| rt.end(id, None)).join().unwrap().is_ok(), "anybody may end it");
        });
        let next = create(&rt, &config);
        assert_eq!(thread::scope(|s| s.spawn(|| rt.ensure(next, |cx| cx.id())).join().unwrap()), Ok(next));
    }
}

/// SPEC: C7
pub fn fuel_and_limit_come_from_the_config<H: TestHost>() {
    let rt = H::started();
    let config = InterpreterConfig::isolated().with_fuel(Some(10)).with_memory_limit(Some(1 << 20));
    let mut state = rt.create(&config, None).unwrap();
    let seen = state.attach(|cx| (cx.fuel(), cx.memory_limits().hard)).unwrap();
    assert_eq!(seen, (Some(10), Some(1 << 20)));
    let mut plain = rt.create(&InterpreterConfig::isolated(), None).unwrap();
    assert_eq!(plain.attach(|cx| (cx.fuel(), cx.memory_limits().hard)), Ok((None, None)));
}

/// SPEC: C7
pub fn an_interpreter_that_needs_a_thread_of_its_own<H: TestHost>() {
    let rt = H::started();
    for config in presets() {
        let mut state = rt.create(&config.with_always_new_thread(true), None).unwrap();
        let id = state.interpreter();
        let main = rt.main().unwrap();
        let in_the_middle = rt.ensure(main, |cx| {
            let entered = cx.enter(&mut state, |_| ());
            let attached = cx.detach(|| state.attach(|_| ()));
            let ensured = cx.detach(|| rt.ensure(id, |_| ()));
            assert_eq!(cx.safepoint(), Ok(()), "the caller is attached as before");
            [entered, attached, ensured]
        });
        assert_eq!(in_the_middle, Ok([Err(AttachError::NeedsNewThread); 3]));
        let nested = state.attach(|cx| cx.detach(|| rt.ensure(id, |cx| cx.id())));
        assert_eq!(nested, Ok(Ok(id)), "its own frames are no others");
        let spawned = thread::scope(|s| s.spawn(|| rt.ensure(id, |cx| cx.id())).join().unwrap());
        assert_eq!(spawned, Ok(id));
        assert_eq!(rt.interpreter(id).unwrap().stats().unwrap().activations, 0);
    }
}
