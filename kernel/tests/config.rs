//! Interpreter configs: presets, rules, settings by name, permissions (SPEC C1 to C7).

use core::time::Duration;

use archipelago_kernel::{
    config::{Act, ConfigValue, GilChoice, InterpreterConfig},
    error::{ConfigError, PermitError},
};

const FLAGS: [&str; 6] = [
    "use_main_obmalloc",
    "allow_fork",
    "allow_exec",
    "allow_threads",
    "allow_daemon_threads",
    "check_multi_interp_extensions",
];

/// All 2^6 times 3 combinations of the settings that CPython has; bit n is `FLAGS[n]`.
fn every_config() -> impl Iterator<Item = (u32, GilChoice, InterpreterConfig)> {
    (0..1 << FLAGS.len()).flat_map(|bits: u32| {
        GilChoice::ALL.map(|gil| {
            let mut config = InterpreterConfig::empty().with_gil(gil);
            for (n, name) in FLAGS.into_iter().enumerate() {
                config.set(name, ConfigValue::Bool(bits >> n & 1 == 1)).unwrap();
            }
            (bits, gil, config)
        })
    })
}

fn flags(config: &InterpreterConfig) -> [bool; 6] {
    [
        config.use_main_obmalloc(),
        config.allow_fork(),
        config.allow_exec(),
        config.allow_threads(),
        config.allow_daemon_threads(),
        config.check_multi_interp_extensions(),
    ]
}

#[test]
fn c1_every_setting_reads_back() {
    for (bits, gil, config) in every_config() {
        assert_eq!(flags(&config), core::array::from_fn(|n| bits >> n & 1 == 1));
        assert_eq!(config.gil(), gil);
    }
}

#[test]
fn c2_presets_have_cpythons_values() {
    let isolated = InterpreterConfig::isolated();
    assert_eq!(flags(&isolated), [false, false, false, true, false, true]);
    assert_eq!(isolated.gil(), GilChoice::Own);
    assert_eq!(isolated.validate(), Ok(()));

    let legacy = InterpreterConfig::legacy();
    assert_eq!(flags(&legacy), [true, true, true, true, true, false]);
    assert_eq!(legacy.gil(), GilChoice::Shared);
    assert_eq!(legacy.validate(), Ok(()));

    let empty = InterpreterConfig::empty();
    assert_eq!(flags(&empty), [false; 6]);
    assert_eq!(empty.gil(), GilChoice::Default);
    assert_eq!(empty.validate(), Err(ConfigError::OwnHeapWithoutExtensionCheck));

    assert_eq!(InterpreterConfig::preset("isolated"), Some(isolated));
    assert_eq!(InterpreterConfig::preset("default"), Some(isolated));
    assert_eq!(InterpreterConfig::preset("legacy"), Some(legacy));
    assert_eq!(InterpreterConfig::preset("empty"), Some(empty));
    assert_eq!(InterpreterConfig::preset("Isolated"), None);
}

#[test]
fn c2_presets_leave_the_further_settings_unset() {
    for config in [InterpreterConfig::isolated(), InterpreterConfig::legacy(), InterpreterConfig::empty()] {
        assert_eq!(config.memory_limit(), None);
        assert_eq!(config.switch_interval(), None);
        assert_eq!(config.deadline(), None);
        assert_eq!(config.fuel(), None);
        assert!(!config.always_new_thread());
        assert!(!config.bound_to_thread());
    }
}

/// The table is written down apart from the code: heap (main's or own), extension check, GIL.
#[test]
fn c3_exactly_the_configs_of_the_table_are_refused() {
    use ConfigError::{OwnGilWithMainHeap, OwnHeapWithoutExtensionCheck};
    use GilChoice::{Default, Own, Shared};
    #[rustfmt::skip]
    let table = [
        // main's heap, check, gil, answer
        (false, false, Default, Err(OwnHeapWithoutExtensionCheck)),
        (false, false, Shared,  Err(OwnHeapWithoutExtensionCheck)),
        (false, false, Own,     Err(OwnHeapWithoutExtensionCheck)),
        (false, true,  Default, Ok(())),
        (false, true,  Shared,  Ok(())),
        (false, true,  Own,     Ok(())),
        (true,  false, Default, Ok(())),
        (true,  false, Shared,  Ok(())),
        (true,  false, Own,     Err(OwnGilWithMainHeap)),
        (true,  true,  Default, Ok(())),
        (true,  true,  Shared,  Ok(())),
        (true,  true,  Own,     Err(OwnGilWithMainHeap)),
    ];
    let mut seen = 0;
    for (bits, gil, config) in every_config() {
        let (main_heap, check) = (bits & 1 != 0, bits & 0b10_0000 != 0);
        let row = table.iter().find(|row| (row.0, row.1, row.2) == (main_heap, check, gil)).unwrap();
        assert_eq!(config.validate(), row.3, "{config:?}");
        seen += 1;
    }
    assert_eq!(seen, 192);
}

#[test]
fn c3_daemon_threads_without_threads_mean_no_threads() {
    let config = InterpreterConfig::isolated().with_allow_threads(false).with_allow_daemon_threads(true);
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.permits(Act::Thread), Err(PermitError::Threads));
    assert_eq!(config.permits(Act::DaemonThread), Err(PermitError::Threads));
}

#[test]
fn c3_unknown_gil_numbers_are_refused() {
    for gil in GilChoice::ALL {
        assert_eq!(GilChoice::from_number(gil.number()), Ok(gil));
    }
    for number in [-1, 3, 255, i64::MIN, i64::MAX, 1 << 32] {
        assert_eq!(GilChoice::from_number(number), Err(ConfigError::UnknownGil));
    }
}

#[test]
fn c3_a_limit_below_the_footprint_is_refused() {
    let config = InterpreterConfig::isolated();
    let longest = Duration::MAX;
    assert_eq!(config.validate_for(usize::MAX, longest), Ok(()));
    let limited = config.with_memory_limit(Some(1000));
    assert_eq!(limited.validate_for(1000, longest), Ok(()));
    assert_eq!(limited.validate_for(1001, longest), Err(ConfigError::LimitBelowFootprint));
}

#[test]
fn c7_durations_beyond_the_clock_are_refused() {
    let (longest, longer) = (Duration::from_millis(100), Duration::from_micros(100_001));
    let config =
        InterpreterConfig::isolated().with_switch_interval(Some(longest)).with_deadline(Some(longest));
    assert_eq!(config.validate_for(0, longest), Ok(()));
    for config in [config.with_switch_interval(Some(longer)), config.with_deadline(Some(longer))] {
        assert_eq!(config.validate_for(0, longest), Err(ConfigError::DurationTooLong));
    }
}

#[test]
fn c4_a_config_is_never_modified() {
    for (_, gil, config) in every_config() {
        let before = config;
        let resolved = config.resolved();
        let _ = (config.validate(), config.permits(Act::Fork), config.with_fuel(Some(1)));
        assert_eq!(config, before);
        let stored = if gil == GilChoice::Default { GilChoice::Shared } else { gil };
        assert_eq!(resolved, before.with_gil(stored));
        assert_eq!(resolved.validate(), before.validate(), "resolving changes no answer");
    }
}

#[test]
fn c4_mains_config_fed_back_is_refused() {
    let as_main = InterpreterConfig::legacy().with_gil(GilChoice::Own);
    assert_eq!(as_main.validate(), Err(ConfigError::OwnGilWithMainHeap));
}

fn answer_to(name: &str, value: ConfigValue<'_>) -> Result<(), ConfigError> {
    InterpreterConfig::isolated().set(name, value)
}

#[test]
fn c5_three_different_errors() {
    let mut config = InterpreterConfig::isolated();
    let before = config;
    let values = [ConfigValue::Bool(true), ConfigValue::Int(1), ConfigValue::Text("own")];
    for value in values {
        for name in ["", "allow_Fork", "allow_fork ", "switch_interval", "own_gil"] {
            assert_eq!(config.set(name, value), Err(ConfigError::UnknownField));
        }
    }
    for name in InterpreterConfig::NAMES {
        let accepted = values.iter().filter(|&&value| answer_to(name, value).is_ok()).count();
        assert_eq!(accepted, 1, "{name} takes values of one type");
        for value in values {
            let answer = answer_to(name, value);
            assert!(answer.is_ok() || answer == Err(ConfigError::WrongType), "{name}");
        }
    }
    for text in ["", "Own", "own ", "2", "shared,own"] {
        assert_eq!(config.set("gil", ConfigValue::Text(text)), Err(ConfigError::BadGilName));
    }
    assert_eq!(config, before, "an error changes nothing");
}

#[test]
fn c5_values_by_name_reach_their_setting() {
    let mut config = InterpreterConfig::empty();
    for (name, text) in [
        ("use_main_obmalloc", "true"),
        ("allow_fork", "1"),
        ("allow_exec", "true"),
        ("allow_threads", "1"),
        ("allow_daemon_threads", "true"),
        ("check_multi_interp_extensions", "1"),
        ("gil", "own"),
        ("memory_limit", "65536"),
        ("switch_interval_us", "5000"),
        ("deadline_us", "1000001"),
        ("fuel", "18446744073709551615"),
        ("always_new_thread", "true"),
        ("bound_to_thread", "true"),
    ] {
        config.set(name, ConfigValue::from_text(name, text).unwrap()).unwrap();
    }
    let expected = InterpreterConfig::empty()
        .with_use_main_obmalloc(true)
        .with_allow_fork(true)
        .with_allow_exec(true)
        .with_allow_threads(true)
        .with_allow_daemon_threads(true)
        .with_check_multi_interp_extensions(true)
        .with_gil(GilChoice::Own)
        .with_memory_limit(Some(65536))
        .with_switch_interval(Some(Duration::from_millis(5)))
        .with_deadline(Some(Duration::from_micros(1_000_001)))
        .with_fuel(Some(u64::MAX))
        .with_always_new_thread(true)
        .with_bound_to_thread(true);
    assert_eq!(config, expected);
    config.set("allow_fork", ConfigValue::from_text("allow_fork", "false").unwrap()).unwrap();
    config.set("allow_exec", ConfigValue::from_text("allow_exec", "0").unwrap()).unwrap();
    assert_eq!(config, expected.with_allow_fork(false).with_allow_exec(false));
}

#[test]
fn c5_text_has_the_same_three_errors() {
    let read = ConfigValue::from_text;
    assert_eq!(read("own_gil", "true"), Err(ConfigError::UnknownField));
    assert_eq!(read("allow_fork", "yes"), Err(ConfigError::WrongType));
    assert_eq!(read("fuel", "many"), Err(ConfigError::WrongType));
    assert_eq!(read("fuel", "-1"), Err(ConfigError::WrongType));
    assert_eq!(read("fuel", "18446744073709551616"), Err(ConfigError::WrongType));
    assert_eq!(read("gil", "2"), Err(ConfigError::BadGilName));
}

#[test]
fn c5_a_limit_beyond_the_address_space_is_the_largest() {
    let mut config = InterpreterConfig::isolated();
    config.set("memory_limit", ConfigValue::Int(u64::MAX)).unwrap();
    assert_eq!(config.memory_limit(), Some(usize::MAX));
}

#[test]
fn c6_every_permission_follows_its_flags() {
    for (_, _, config) in every_config() {
        let [_, fork, exec, threads, daemons, check] = flags(&config);
        for act in Act::ALL {
            let (allowed, error) = match act {
                Act::Fork => (fork, PermitError::Fork),
                Act::Exec => (exec, PermitError::Exec),
                Act::Thread => (threads, PermitError::Threads),
                Act::DaemonThread if !threads => (false, PermitError::Threads),
                Act::DaemonThread => (daemons, PermitError::DaemonThreads),
                Act::Extension => (!check, PermitError::Extension),
            };
            assert_eq!(config.permits(act), if allowed { Ok(()) } else { Err(error) }, "{act:?} {config:?}");
        }
    }
}
